//! Documents beside an image: pushed as OCI 1.1 referrers, and listed under a tag where a registry does not list them itself.
//!
//! Does not know what the documents say.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;
use ureq::http::Method;

use super::client::{Client, Tag};
use super::error::RegistryError;
use super::exchange::Call;
use super::upload::Content;
use crate::digest::BlobDigest;
use crate::image::companion::{EMPTY_CONFIG, parse_artifact, parse_referrers, with_referrers};
use crate::image::manifest::Blob;
use crate::image::{Companion, FoundCompanion, MAX_DOCUMENT, media};

/// Times that a list under a tag is written again because another writer was in the way.
const MAX_RACES: u32 = 5;

/// Most documents of one type that are read: each push of an image from elsewhere adds one.
const MAX_READ: usize = 32;

/// Most pages of a list: registries give a hundred or more entries a page, and a list that never ends is no list.
const MAX_PAGES: usize = 100;

/// Largest document that is read, in bytes: the report of an image with a million removed paths.
const MAX_COMPANION: u64 = 256 << 20;

impl Client {
    /// Puts documents beside the images that they are about; what is there already is not sent again.
    pub fn put_companions(&self, companions: &[Companion]) -> Result<(), RegistryError> {
        let mut by_subject: BTreeMap<BlobDigest, Vec<&Companion>> = BTreeMap::new();
        for companion in companions {
            by_subject.entry(companion.subject.blob.digest).or_default().push(companion);
        }
        for (subject, companions) in by_subject {
            let listed = self.referrers(&subject)?;
            let is_there = |digest| listed.iter().any(|(_, blob)| blob.digest == digest);
            let mut unlisted = Vec::new();
            for companion in companions {
                let manifest = companion.manifest_bytes();
                let digest = BlobDigest::of(&manifest);
                if is_there(digest) {
                    continue;
                }
                let config = BlobDigest::of(EMPTY_CONFIG);
                self.put_blob(&config, EMPTY_CONFIG.len() as u64, Content::Bytes(EMPTY_CONFIG))?;
                let document = BlobDigest::of(&companion.bytes);
                self.put_blob(&document, companion.bytes.len() as u64, Content::Bytes(&companion.bytes))?;
                let stored = self.put_manifest(&Tag::Digest(digest), &manifest, media::OCI_MANIFEST)?;
                if stored.subject != Some(subject) {
                    unlisted.push(companion.descriptor());
                }
            }
            if !unlisted.is_empty() {
                self.list_under_tag(&subject, &unlisted)?;
            }
        }
        Ok(())
    }

    /// Documents of `types` beside `subject`. What is no such document is passed over: anybody who may push puts it there.
    pub fn companions(
        &self,
        subject: &BlobDigest,
        types: &[&str],
    ) -> Result<Vec<FoundCompanion>, RegistryError> {
        let listed = self.referrers(subject)?;
        let mut found = Vec::new();
        for (artifact_type, blob) in listed {
            if !types.contains(&artifact_type.as_str()) || found.len() == MAX_READ {
                continue;
            }
            let artifact = match self.get_manifest(&Tag::Digest(blob.digest)) {
                Ok(artifact) => artifact,
                // A list outlives what it lists.
                Err(RegistryError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            let Some((document, title)) = parse_artifact(&artifact.bytes, subject) else { continue };
            if document.size > MAX_COMPANION {
                continue;
            }
            let mut bytes = Vec::new();
            let mut reader = self.get_blob(document.digest, document.size)?.open();
            let read = (&mut reader).take(MAX_COMPANION).read_to_end(&mut bytes);
            read.map_err(|source| RegistryError::Document { digest: document.digest, source })?;
            found.push(FoundCompanion { artifact_type, title, bytes });
        }
        Ok(found)
    }

    /// What is listed as being about `subject`, with each one's type: by the registry itself, else under a tag.
    fn referrers(&self, subject: &BlobDigest) -> Result<Vec<(String, Blob)>, RegistryError> {
        let mut next = Some(self.url(&format!("referrers/{subject}"))?);
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let Some(url) = next else { break };
            let call = Call::new(Method::GET, url).header("Accept", media::OCI_INDEX.to_owned());
            let (answer, bytes) = self.send_and_read(&call, MAX_DOCUMENT)?;
            let listed = (answer.status() == 200).then(|| parse_referrers(&bytes)).flatten();
            match listed {
                Some(listed) => all.extend(listed),
                None if page == 1 => break,
                None => return Err(answer.refusal(&Method::GET, &bytes)),
            }
            next = answer.next().cloned();
            if next.is_none() || page == MAX_PAGES {
                return Ok(all);
            }
        }
        // Whatever else a registry answers that does not know the question.
        let listed = self.under_tag(subject)?;
        Ok(listed.as_deref().and_then(parse_referrers).unwrap_or_default())
    }

    fn under_tag(&self, subject: &BlobDigest) -> Result<Option<Vec<u8>>, RegistryError> {
        match self.get_manifest(&referrers_tag(subject)) {
            Ok(index) => Ok(Some(index.bytes)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list_under_tag(&self, subject: &BlobDigest, entries: &[Value]) -> Result<(), RegistryError> {
        let tag = referrers_tag(subject);
        let no_index = || RegistryError::NoReferrersIndex {
            repository: self.repository.to_string(),
            tag: tag.to_string(),
        };
        for _ in 0..MAX_RACES {
            let old = self.under_tag(subject)?;
            let new = with_referrers(old.as_deref(), entries).ok_or_else(no_index)?;
            if old.as_ref() == Some(&new) {
                return Ok(());
            }
            self.put_manifest(&tag, &new, media::OCI_INDEX)?;
            // Two that write at once overwrite each other; the next round finds everything there, or writes again.
        }
        Err(RegistryError::ReferrersRace { repository: self.repository.to_string(), tag: tag.to_string() })
    }
}

/// `sha256-HEX` (distribution-spec, "Referrers Tag Schema").
fn referrers_tag(subject: &BlobDigest) -> Tag {
    Tag::Name(format!("sha256-{}", subject.hex()))
}
