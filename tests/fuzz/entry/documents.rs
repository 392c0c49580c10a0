//! Indexes, manifests, configs: read or refused; what is derived from a config is a config.

use kiln::digest::DiffId;
use kiln::image::manifest::{Document, is_known_layout_version};
use kiln::image::{Config, ConfigChange, Platform};

/// Checks one document, as all of its kinds.
pub fn check(data: &[u8]) {
    let _ = is_known_layout_version(data);
    for media_type in ["", "application/vnd.oci.image.index.v1+json"] {
        if let Err(error) = Document::parse(data, media_type) {
            assert!(!error.to_string().is_empty());
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = text.parse::<Platform>();
        let _ = text.parse::<DiffId>();
    }
    let Ok(config) = Config::parse(data) else { return };
    let _ = config.history_is_in_step();
    let derived = config.derive(&ConfigChange::none(&config));
    let again =
        Config::parse(&derived).unwrap_or_else(|error| panic!("derived from a config, but none: {error:?}"));
    assert_eq!((&config.entrypoint, &config.cmd, &config.user), (&again.entrypoint, &again.cmd, &again.user));
    assert_eq!((&config.env, &config.labels, &config.volumes), (&again.env, &again.labels, &again.volumes));
    assert_eq!((&config.diff_ids, &config.history), (&again.diff_ids, &again.history));
    assert_eq!(again.derive(&ConfigChange::none(&again)), derived, "derived twice is derived once");
}
