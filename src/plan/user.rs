//! Who the app runs as: never root, always a number.
//!
//! Chooses from what the image and the recipes say; what the user may read and write is `plan::access`'s.

use super::entrypoint::{self, Start};
use super::known::Known;
use super::traced::Whose;
use super::writable::unit_user;
use super::{User, UserOrigin};
use crate::accounts::{self, Identity};
use crate::path::{Escaped, ImagePath};
use crate::recipe::Recipe;

/// User and group where nothing better is known: distroless' `nonroot`.
pub const NOBODY_BETTER: u32 = 65532;

/// Why no user can be chosen.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// `--user` names no account of the image, or no group.
    #[error("option `--user {spec}`")]
    Unknown {
        /// As given.
        spec: String,
        /// What is wrong with it.
        #[source]
        source: accounts::UserError,
    },
    /// `--user` is root.
    #[error("option `--user {0}`: a hardened image never runs as root")]
    Root(String),
}

/// Chooses the user.
pub fn choose(known: &Known<'_>, start: &Start, recipes: &[&Recipe]) -> Result<User, UserError> {
    if let Some(spec) = &known.options.user {
        let identity = known
            .accounts
            .resolve(spec)
            .map_err(|source| UserError::Unknown { spec: spec.clone(), source })?;
        if identity.uid == 0 {
            return Err(UserError::Root(spec.clone()));
        }
        return Ok(user(identity, UserOrigin::Option));
    }
    let not_root = |spec: &str| known.accounts.resolve(spec).ok().filter(|identity| identity.uid != 0);
    // Whoever is no user root cannot switch, whatever the command line or a script would.
    let by_image = [known.config.user.as_str()].into_iter().chain(start.switched_user.as_deref());
    if let Some(identity) = by_image.filter(|spec| !spec.is_empty()).find_map(not_root) {
        return Ok(user(identity, UserOrigin::Image));
    }
    if let Some(user) = traced(known, start) {
        return Ok(user);
    }
    // Scripts that switch to several users do not say which of them serves.
    let mut by_script = start.script_users.iter();
    if let (Some((name, script)), None) = (by_script.next(), by_script.next())
        && let Some(identity) = not_root(name)
    {
        return Ok(user(identity, UserOrigin::Script(script.clone())));
    }
    let named = |name: &str, origin: UserOrigin| {
        let identity = not_root(name).filter(|identity| identity.account.is_some())?;
        Some(user(identity, origin))
    };
    for recipe in recipes {
        if let Some(user) =
            recipe.users.iter().find_map(|name| named(name, UserOrigin::Recipe(recipe.name.clone())))
        {
            return Ok(user);
        }
    }
    if let Some(program) = &start.program {
        if let Some((name, unit)) = unit_user(known.rootfs, program)
            && let Some(user) = named(&name, UserOrigin::Unit(unit))
        {
            return Ok(user);
        }
        let by_name = account_names(known, program)
            .into_iter()
            .find_map(|name| named(&name, UserOrigin::Account(name.clone())));
        if let Some(user) = by_name {
            return Ok(user);
        }
    }
    Ok(match known.accounts.of_uid(NOBODY_BETTER) {
        Some(account) => user(
            Identity {
                uid: account.uid,
                gid: account.gid,
                groups: known.accounts.groups_of(&account.name),
                account: Some(account.clone()),
            },
            UserOrigin::Added,
        ),
        None => User {
            uid: NOBODY_BETTER,
            gid: NOBODY_BETTER,
            groups: Vec::new(),
            name: Some("nonroot".into()),
            home: Some("/nonexistent".into()),
            origin: UserOrigin::Added,
        },
    })
}

/// Who the server was when it was watched, unless that was root.
fn traced(known: &Known<'_>, start: &Start) -> Option<User> {
    let Whose::Server(_) = start.whose else { return None };
    let reached = entrypoint::server(known, known.traced?)?;
    let exec = reached.exec;
    if exec.uid == 0 {
        return None;
    }
    let identity = known.accounts.resolve(&format!("{}:{}", exec.uid, exec.gid)).ok()?;
    let groups = exec.groups.clone();
    Some(user(Identity { groups, ..identity }, UserOrigin::Trace))
}

fn user(identity: Identity, origin: UserOrigin) -> User {
    let Identity { uid, gid, mut groups, account } = identity;
    // Root's group is no privilege that an app should keep.
    groups.retain(|&group| group != gid && group != 0);
    let (name, home) = account.map(|account| (account.name, account.home)).unzip();
    User { uid, gid, groups, name, home, origin }
}

/// Names that a service account of the program may have: the program's, and its package's. Never an account
/// that something else is meant to use.
fn account_names(known: &Known<'_>, program: &ImagePath) -> Vec<String> {
    const NOT_SERVICES: &[&str] =
        &["sync", "games", "man", "lp", "mail", "news", "backup", "list", "irc", "bin", "sys", "daemon"];
    let mut names = vec![Escaped::new(program.name()).to_string()];
    names.extend(known.owner_name(program));
    names.retain(|name| !NOT_SERVICES.contains(&name.as_str()));
    names
}
