//! Progress, drawn on a terminal.
//!
//! Does not know what the stages are; nothing of it reaches stdout.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::progress::Progress;

/// One line on stderr that shows the stage at hand.
pub(super) struct Drawn {
    bar: RwLock<ProgressBar>,
}

impl Drawn {
    pub(super) fn new() -> Self {
        Self { bar: RwLock::new(ProgressBar::hidden()) }
    }

    fn replace(&self, bar: ProgressBar) {
        let mut place = self.bar.write().unwrap_or_else(PoisonError::into_inner);
        place.finish_and_clear();
        *place = bar;
    }
}

impl Progress for Drawn {
    fn start(&self, stage: &str, total_bytes: Option<u64>) {
        let (bar, template) = match total_bytes {
            Some(total) => (
                ProgressBar::new(total),
                "{msg:<12} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
            ),
            None => (ProgressBar::new_spinner(), "{msg:<12} {spinner} {binary_bytes}"),
        };
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|error| unreachable!("template of our own: {error}"));
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.replace(bar);
    }

    fn advance(&self, bytes: u64) {
        self.bar.read().unwrap_or_else(PoisonError::into_inner).inc(bytes);
    }

    fn finish(&self) {
        self.replace(ProgressBar::hidden());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_understood() {
        let drawn = Drawn::new();
        for total in [Some(100), None] {
            drawn.start("index", total);
            drawn.advance(50);
            drawn.finish();
        }
    }
}
