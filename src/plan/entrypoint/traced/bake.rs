//! Whether a file that a script left behind is a constant of the image, and may be in it from the beginning.
//!
//! A constant has the same bytes, mode and owner in all runs, and nothing in it that comes from elsewhere. Data, identity
//! and secrets are none: what is not certain is refused with the reason.

use std::sync::Arc;

use super::given::{self, is_given};
use crate::catalog::Catalog;
use crate::packages;
use crate::path::{ImagePath, unescape};
use crate::plan::access::Permissions;
use crate::plan::baked::{Baked, Holds};
use crate::plan::known::Known;
use crate::plan::traced::{Preparation, Traced, is_content};
use crate::profile::{Holds as Told, How, Prepared, Profile, Untold, has_private_key, is_secret_name};
use crate::rootfs::Content;

/// Files that say who is there, or what every program loads: what a start makes of them is of the moment or of the machine.
const SYSTEM: &[&[u8]] = &[
    b"etc/passwd",
    b"etc/group",
    b"etc/shadow",
    b"etc/gshadow",
    b"etc/machine-id",
    b"etc/ld.so.preload",
    b"etc/ld.so.conf",
    b"var/lib/dbus/machine-id",
];

/// `made` as it is in the image from now on, or why it is not.
pub(super) fn bake(
    known: &Known<'_>,
    server: Traced<'_>,
    made: &Preparation<'_>,
    told: Option<&Prepared>,
    is_read: bool,
) -> Result<Baked, String> {
    let Preparation { path, by, .. } = made;
    let profile = server.profile();
    let told = told.ok_or("what is in it was not told")?;
    if told.runs != profile.runs {
        return Err("only some runs have it".into());
    }
    can_be_replaced(known, path)?;
    let holds = match &told.holds {
        Told::Image => Holds::Image,
        Told::Text(text) => Holds::Bytes(constant(text, profile)?),
        Told::Link(target) if known.rootfs.node(path).is_none() => Holds::Link(target_of(target, profile)?),
        Told::Link(_) => return Err("it is a link, and the image has something else there".into()),
        Told::Untold(Untold::Given) => return Err(from_given(profile)),
        Told::Untold(why) => return Err(why.words().into()),
    };
    let mode = u16::from_str_radix(&told.mode, 8).map_err(|_| "it has no mode")?;
    if mode & 0o6000 != 0 {
        return Err("it runs as somebody else".into());
    }
    Ok(Baked {
        path: path.clone(),
        holds,
        permissions: Permissions { mode, uid: told.uid, gid: told.gid },
        by: (*by).to_owned(),
        runs: told.runs,
        is_read,
    })
}

/// Refuses text that is more than a constant of the image, whatever wrote the profile.
fn constant(text: &str, profile: &Profile) -> Result<Arc<[u8]>, String> {
    if text.starts_with("#!") {
        return Err("it is a program".into());
    }
    if has_private_key(text) {
        return Err("what is in it may be a secret".into());
    }
    if is_given(text, &profile.start.env) {
        return Err(from_given(profile));
    }
    Ok(Arc::from(text.as_bytes()))
}

/// Where a link leads, as bytes.
fn target_of(text: &str, profile: &Profile) -> Result<Arc<[u8]>, String> {
    if is_given(text, &profile.start.env) {
        return Err(from_given(profile));
    }
    unescape(text).map(Arc::from).ok_or_else(|| "where it leads is not told".into())
}

/// Says that a value comes from the user of the runs, and under which names there are such.
fn from_given(profile: &Profile) -> String {
    let names: Vec<&str> = given::names(profile).collect();
    format!("what is in it comes from a value that only the watched runs were given ({})", names.join(", "))
}

/// Refuses a removal that is more than that of a file.
pub(super) fn remove(known: &Known<'_>, made: &Preparation<'_>, runs: u32) -> Result<(), String> {
    let Preparation { path, how, .. } = made;
    let is_removal = |how: &How| matches!(how, How::Removed | How::RenamedAway) || !is_content(how);
    if !how.iter().all(is_removal) {
        return Err("what becomes of it was not told".into());
    }
    if made.runs != runs {
        return Err("only some runs did".into());
    }
    if SYSTEM.contains(&path.as_bytes()) || packages::is_database(path) {
        return Err("it is one of the system's own files".into());
    }
    match known.rootfs.entry(path) {
        Some(entry) if entry.is_directory() => Err("it is a directory".into()),
        Some(_) if !known.names_of(path).is_empty() => {
            Err("the image has the file under several names".into())
        }
        Some(_) => Ok(()),
        None => Err("the image has it through a link".into()),
    }
}

/// Refuses places where a file of a script would be more than a file.
fn can_be_replaced(known: &Known<'_>, path: &ImagePath) -> Result<(), String> {
    if SYSTEM.contains(&path.as_bytes()) || packages::is_database(path) {
        return Err("it is one of the system's own files".into());
    }
    let secrets = Catalog::builtin().secrets();
    if secrets.find(&path.absolute()).is_some() || is_secret_name(&String::from_utf8_lossy(path.name())) {
        return Err("what is in it may be a secret".into());
    }
    if known.rootfs.canonicalize_missing(path).as_ref() != Some(path) {
        return Err("a link of the image is in its path".into());
    }
    if known.rootfs.node(path).is_none() {
        return Ok(());
    }
    let file = known.rootfs.entry(path).and_then(|entry| entry.file());
    match file.map(|file| &file.content) {
        Some(_) if !known.names_of(path).is_empty() => {
            Err("the image has the file under several names".into())
        }
        Some(Content::Data) => Ok(()),
        Some(_) => Err("the image has a program there".into()),
        None => Err("the image has something there that is no file".into()),
    }
}
