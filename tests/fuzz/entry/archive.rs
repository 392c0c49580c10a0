//! Image archives: opened as both kinds, their layers read as far as they go.

use std::io::{self, Read, Write};

use kiln::image::LayerReader;
use kiln::registry::Registries;
use kiln::source::{Source, open_source};

use super::tar::with_checksums;

/// Most bytes read of one layer here.
const MOST: u64 = 8 << 20;

/// Checks one archive.
pub fn check(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&with_checksums(data)).expect("a temporary file");
    for transport in ["docker-archive", "oci-archive"] {
        let name = format!("{transport}:{}", file.path().display());
        let reference = name.parse().expect("a reference");
        if let Ok(source) = open_source(&reference, &Registries::default()) {
            read(&*source);
        }
    }
}

fn read(source: &dyn Source) {
    let Ok(image) = source.image(None) else { return };
    assert_eq!(image.layers.len(), image.config.diff_ids.len());
    for layer in &image.layers {
        let Ok(stored) = source.open_layer(layer) else { continue };
        if let Ok(reader) = LayerReader::new(stored, layer) {
            let _ = io::copy(&mut reader.take(MOST), &mut io::sink());
        }
    }
}
