//! Whole images: two layers and a config, planned at both levels; the plan's layers make an image that merges.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroUsize;

use kiln::digest::{BlobDigest, DiffId, ImageId};
use kiln::harden::analyse;
use kiln::image::{Codec, Config, LayerDescriptor, Platform};
use kiln::layer::index::read_index;
use kiln::layer::rewrite::rewrite;
use kiln::layer::writer::write_layer;
use kiln::options::Options;
use kiln::plan::Level;
use kiln::progress::Silent;
use kiln::rootfs::{Kind, Rootfs};
use kiln::source::{Platforms, Source, SourceError, SourceImage};
use serde_json::json;

use super::tar::with_checksums;

/// Where the first layer ends: its length in blocks is the input's first byte.
const BLOCK: usize = 512;

/// Checks one image.
pub fn check(data: &[u8]) {
    let Some((&blocks, rest)) = data.split_first() else { return };
    let (lower, upper) = rest.split_at(rest.len().min(usize::from(blocks) * BLOCK));
    let image = Memory { layers: [with_checksums(lower), with_checksums(upper)] };
    for level in [Level::Strip, Level::Distroless] {
        let options = Options { level, jobs: NonZeroUsize::MIN, ..Options::default() };
        let Ok(analysed) = analyse(&image, &options, &Silent) else { continue };
        let plan = analysed.plan;
        let mut layers = Vec::new();
        for (layer, verdicts) in image.layers.iter().zip(&plan.verdicts) {
            let mut out = Vec::new();
            rewrite(layer.as_slice(), verdicts, &mut out)
                .unwrap_or_else(|error| panic!("planned: {error:?}"));
            layers.push(out);
        }
        let mut own = Vec::new();
        write_layer(&mut own, &plan.additions).unwrap_or_else(|error| panic!("to memory: {error}"));
        layers.push(own);
        let indexes = layers.iter().map(|layer| read_index(layer.as_slice(), &|_| None));
        let indexes: Result<Vec<_>, _> = indexes.collect();
        let indexes = indexes.unwrap_or_else(|error| panic!("written: {error:?}"));
        let after = Rootfs::merge(indexes).unwrap_or_else(|error| panic!("written: {error:?}"));
        for (path, _) in after.nodes() {
            // Nobody looks at the mode of a symbolic link.
            let Some(entry) = after.entry(path).filter(|entry| !matches!(entry.kind, Kind::Symlink(_)))
            else {
                continue;
            };
            assert_eq!(entry.mode & 0o6000, 0, "setuid or setgid stays: {path}");
        }
    }
}

/// An image in memory.
struct Memory {
    layers: [Vec<u8>; 2],
}

impl Source for Memory {
    fn image(&self, _: Option<&Platform>) -> Result<SourceImage, SourceError> {
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| DiffId::of(layer)).collect();
        let config_bytes = json!({
            "os": "linux", "architecture": "amd64",
            "config": {"Entrypoint": ["/bin/app"], "User": "app", "Env": ["PATH=/usr/bin:/bin"], "Volumes": {"/data": {}}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string()
        .into_bytes();
        let config = Config::parse(&config_bytes).unwrap_or_else(|error| panic!("own config: {error}"));
        let layers = self.layers.iter().map(|layer| LayerDescriptor {
            digest: BlobDigest::of(layer),
            size: layer.len() as u64,
            diff_id: DiffId::of(layer),
            codec: Codec::Plain,
            media_type: Codec::Plain.media_type().to_owned(),
            annotations: BTreeMap::new(),
        });
        Ok(SourceImage {
            manifest_digest: None,
            index_digest: None,
            image_id: ImageId::of(&config_bytes),
            config,
            config_bytes,
            layers: layers.collect(),
            annotations: BTreeMap::new(),
            name: None,
        })
    }

    fn platforms(&self) -> Result<Platforms, SourceError> {
        unreachable!("one image is analysed")
    }

    fn open_layer(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let found = self.layers.iter().find(|bytes| BlobDigest::of(bytes) == layer.digest);
        Ok(Box::new(std::io::Cursor::new(found.cloned().unwrap_or_default())))
    }
}
