//! One task per layer on a few threads, the largest layers first.
//!
//! Results come back in the order of the layers; what a task does is not known here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::image::LayerDescriptor;

/// Runs `task` for every layer on at most `jobs` threads; the error of the lowest layer that failed wins.
///
/// Once a task has failed no new one is begun.
pub fn for_each_layer<T: Send, E: Send>(
    layers: &[LayerDescriptor],
    jobs: usize,
    task: impl Fn(usize, &LayerDescriptor) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let mut order: Vec<(usize, &LayerDescriptor)> = layers.iter().enumerate().collect();
    order.sort_by_key(|(number, layer)| (std::cmp::Reverse(layer.size), *number));
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<T, E>)>> = Mutex::new(Vec::new());
    let worker = || {
        while let Some((number, layer)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = task(*number, layer);
            if result.is_err() {
                next.store(order.len(), Ordering::Relaxed);
            }
            if let Ok(mut results) = results.lock() {
                results.push((*number, result));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.min(layers.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
