//! Manifests before and after.
