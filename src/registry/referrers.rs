//! Documents beside an image: pushed as OCI 1.1 referrers, and listed under a tag where a registry does not list them itself.
//!
//! Does not know what the documents say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde_json::Value;
use ureq::http::Method;

use super::client::{Client, FetchedManifest, Tag};
use super::error::RegistryError;
use super::exchange::Call;
use super::upload::Content;
use crate::digest::BlobDigest;
use crate::image::companion::{EMPTY_CONFIG, parse_artifact, parse_referrers, with_referrers};
use crate::image::manifest::Blob;
use crate::image::{Companion, FoundCompanion, MAX_DOCUMENT, WantedCompanion, media};

/// Times that a list under a tag is written again because another writer was in the way.
const MAX_RACES: u32 = 5;

/// Most artifacts of one type that are looked at, whatever they turn out to be: each push of an image from elsewhere
/// adds one, and each costs requests, which registries count.
const MAX_READ: usize = 32;

/// Most pages of a list: registries give a hundred or more entries a page, and a list that never ends is no list.
const MAX_PAGES: usize = 100;

/// Bytes of all pages of a list: a hundred thousand entries.
const MAX_LIST: u64 = 32 << 20;

/// Bytes of all documents that are held at once: the report of an image with a million removed paths is one of them.
const MAX_COMPANIONS: u64 = 256 << 20;

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

    /// Documents beside `subject` that are `wanted`. What is no such document, or not as it is named, is passed over:
    /// anybody who may push puts it there, and a list outlives what it lists.
    pub fn companions(
        &self,
        subject: &BlobDigest,
        wanted: &[WantedCompanion],
    ) -> Result<Vec<FoundCompanion>, RegistryError> {
        let listed = self.referrers(subject)?;
        let (mut found, mut room) = (Vec::new(), MAX_COMPANIONS);
        for wanted in wanted {
            let of_type = listed.iter().filter(|(artifact_type, _)| artifact_type == wanted.artifact_type);
            let artifacts: BTreeSet<BlobDigest> = of_type.map(|(_, blob)| blob.digest).collect();
            if artifacts.len() > MAX_READ && wanted.digest.is_none() {
                let what = format!("documents of type `{}`", wanted.artifact_type);
                return Err(self.too_much(MAX_READ as u64, what));
            }
            for artifact in artifacts.into_iter().take(MAX_READ) {
                let Some((document, title)) = self.artifact(artifact, subject)? else { continue };
                if !wanted.may_be(document) {
                    continue;
                }
                let left = room.checked_sub(document.size);
                room = left.ok_or_else(|| self.too_much(MAX_COMPANIONS, "bytes of documents".to_owned()))?;
                let Some(bytes) = self.document(document)? else { continue };
                found.push(FoundCompanion { artifact_type: wanted.artifact_type.to_owned(), title, bytes });
                if wanted.digest.is_some() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// What an artifact about `subject` holds; `None` where it is none.
    fn artifact(
        &self,
        digest: BlobDigest,
        subject: &BlobDigest,
    ) -> Result<Option<(Blob, Option<String>)>, RegistryError> {
        match self.get_manifest(&Tag::Digest(digest)) {
            Ok(artifact) => Ok(parse_artifact(&artifact.bytes, subject)),
            Err(error) if error.is_lost_or_wrong() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a document; `None` where the registry does not have them as they are named.
    fn document(&self, Blob { digest, size }: Blob) -> Result<Option<Vec<u8>>, RegistryError> {
        let mut bytes = Vec::new();
        match self.get_blob(digest, size)?.open().take(size).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if RegistryError::find(&error).is_some_and(RegistryError::is_lost_or_wrong) => {
                Ok(None)
            }
            Err(source) => Err(RegistryError::Document { digest, source }),
        }
    }

    /// What is listed as being about `subject`, with each one's type: by the registry itself, else under a tag.
    fn referrers(&self, subject: &BlobDigest) -> Result<Vec<(String, Blob)>, RegistryError> {
        let mut url = self.url(&format!("referrers/{subject}"))?;
        let (mut all, mut read) = (Vec::new(), 0_u64);
        for page in 1..=MAX_PAGES {
            let call = Call::new(Method::GET, url).header("Accept", media::OCI_INDEX.to_owned());
            let (answer, bytes) = self.send_and_read(&call, MAX_DOCUMENT)?;
            read = read.saturating_add(bytes.len() as u64);
            if read > MAX_LIST {
                return Err(RegistryError::TooLong { url: call.url.to_string(), limit: MAX_LIST });
            }
            let listed = (answer.status() == 200).then(|| parse_referrers(&bytes)).flatten();
            match listed {
                Some(listed) => all.extend(listed),
                // Whatever else a registry answers that does not know the question.
                None if page == 1 => {
                    let listed = self.under_tag(subject)?;
                    return Ok(listed.and_then(|index| parse_referrers(&index.bytes)).unwrap_or_default());
                }
                None => return Err(answer.refusal(&Method::GET, &bytes)),
            }
            match answer.next() {
                Some(next) => url = next.clone(),
                None => return Ok(all),
            }
        }
        Err(self.too_much(MAX_PAGES as u64, "pages of documents".to_owned()))
    }

    fn too_much(&self, limit: u64, what: String) -> RegistryError {
        RegistryError::TooMuchBeside { repository: self.repository.to_string(), limit, what }
    }

    fn under_tag(&self, subject: &BlobDigest) -> Result<Option<FetchedManifest>, RegistryError> {
        match self.get_manifest(&referrers_tag(subject)) {
            Ok(index) => Ok(Some(index)),
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
            // Some registries say no type.
            if old.as_ref().is_some_and(|old| !["", media::OCI_INDEX].contains(&old.media_type.as_str())) {
                return Err(no_index());
            }
            let old = old.map(|old| old.bytes);
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
