//! What rules about everything together need to remember of each resource.
//!
//! Remembers as little as they need: the audit of ten thousand pods holds ten thousand sets of labels, not the pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// What was audited, as far as one resource matters for another.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) pods: Vec<Pod>,
    /// Namespace and pod selector of each NetworkPolicy.
    pub(super) networks: Vec<(String, Value)>,
    pub(super) policies: Vec<Policy>,
}

impl Whole {
    /// Adds what is to be remembered of the resource of that number.
    pub(super) fn add(&mut self, number: usize, of: Self) {
        let Self { pods, networks, policies } = of;
        self.pods.extend(pods.into_iter().map(|pod| Pod { resource: number, ..pod }));
        self.networks.extend(networks);
        self.policies.extend(policies.into_iter().map(|policy| Policy { resource: number, ..policy }));
    }
}

/// A pod or a template of one.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) resource: usize,
    pub(super) namespace: String,
    /// Kept once for all that have the same.
    pub(super) labels: Arc<BTreeMap<String, String>>,
    /// Where its labels stand.
    pub(super) at: (usize, usize),
}

/// A policy about read-only root file systems.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) resource: usize,
    pub(super) at: (usize, usize),
    /// Whether it knows ephemeral containers.
    pub(super) covers_ephemeral: bool,
}
