//! Audits of manifests: what each rule finds, and what it does not.
