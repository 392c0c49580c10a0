//! Which ids of the machine a container's ids are.
//!
//! Never those of the user who runs kiln, where that can be avoided: then the container's root is nobody outside. Decides
//! from texts that it is given; reading them and telling the kernel is the caller's.

use serde::{Deserialize, Serialize};

/// Ids that a container has where they can be had: 0 to 65535, as images use them.
pub const IDS: u32 = 65536;

/// Where root looks for ids that are nobody's: above all that systemd gives to containers (524288 to 1879048191,
/// systemd's UIDS-GIDS), below the largest that programs take for a signed number.
const UNUSED: u32 = 1_900_000_000;

/// Fewest ids that are worth more than a single one: 999 are a distribution's own accounts.
const FEWEST: u32 = 1000;

/// Where the ids come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdMode {
    /// kiln is root: a range that is nobody's.
    Shifted,
    /// The user's subordinate ids, through `newuidmap` and `newgidmap`.
    Subordinate,
    /// The user's own id is the only one: all files are the app's, and calls that change owners or users are answered
    /// with success and do nothing.
    Single,
}

impl IdMode {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shifted => "shifted",
            Self::Subordinate => "subordinate",
            Self::Single => "single",
        }
    }
}

/// A run of ids: `count` from `inside` in the container are those from `outside`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First in the container.
    pub inside: u32,
    /// First outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// What is known of the user who runs kiln.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// `/proc/self/uid_map`
    pub uid_map: String,
    /// `/proc/self/gid_map`
    pub gid_map: String,
    /// `/etc/subuid`
    pub subuid: String,
    /// `/etc/subgid`
    pub subgid: String,
    /// Whether `newuidmap` and `newgidmap` are there.
    pub has_tools: bool,
}

/// Which ids a container gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// Where from.
    pub mode: IdMode,
    /// Users.
    pub uids: Vec<Extent>,
    /// Groups.
    pub gids: Vec<Extent>,
    /// Why there is only one, in words.
    pub why_single: Option<WhySingle>,
}

/// Why a container has a single id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhySingle {
    /// The tools are missing.
    #[error("`newuidmap` and `newgidmap` are not installed (package `uidmap`)")]
    NoTools,
    /// The user has no subordinate ids, or too few.
    #[error("the user has no {FEWEST} subordinate ids in /etc/subuid and /etc/subgid")]
    NoRange,
    /// kiln is root where there are hardly any ids.
    #[error("there are no {FEWEST} ids to give away in this user namespace")]
    FewIds,
}

impl Ids {
    /// Chooses. `user` and `group` are what the app runs as: where there is a single id, it is theirs.
    pub fn choose(caller: &Caller, user: u32, group: u32) -> Self {
        let (mode, found, why) = if caller.uid == 0 {
            let ranges = (unused(&caller.uid_map, &caller.subuid), unused(&caller.gid_map, &caller.subgid));
            (IdMode::Shifted, ranges, WhySingle::FewIds)
        } else {
            let of = |text: &str| subordinate(text, caller);
            let why = if caller.has_tools { WhySingle::NoRange } else { WhySingle::NoTools };
            let ranges =
                if caller.has_tools { (of(&caller.subuid), of(&caller.subgid)) } else { Default::default() };
            (IdMode::Subordinate, ranges, why)
        };
        let enough =
            |ids: &[Extent]| ids.iter().map(|extent| u64::from(extent.count)).sum::<u64>() >= FEWEST.into();
        let (uids, gids) = found;
        if enough(&uids) && enough(&gids) {
            return Self { mode, uids, gids, why_single: None };
        }
        let only = |inside, outside| vec![Extent { inside, outside, count: 1 }];
        Self {
            mode: IdMode::Single,
            uids: only(user, caller.uid),
            gids: only(group, caller.gid),
            why_single: Some(why),
        }
    }
}

/// Ids for root to give away: nobody's, where kiln sees all ids of the machine; else the last of those it sees.
fn unused(map: &str, taken: &str) -> Vec<Extent> {
    let seen: Vec<(u32, u32)> = map.lines().filter_map(parse_seen).collect();
    let has = |first: u32| seen.iter().any(|&(start, end)| start <= first && first + IDS - 1 <= end);
    let taken: Vec<(u32, u32)> =
        taken.lines().filter_map(|line| parse_range(line).map(|(_, range)| range)).collect();
    let is_free = |first: u32| !taken.iter().any(|&(start, end)| start < first + IDS && first <= end);
    let candidates = (0..256).map(|step| UNUSED + step * IDS);
    if let Some(outside) = candidates.into_iter().find(|&first| has(first) && is_free(first)) {
        return vec![Extent { inside: 0, outside, count: IDS }];
    }
    let Some(&(start, end)) = seen.iter().max_by_key(|(start, end)| end - start) else { return Vec::new() };
    // Not 0: it is who runs kiln. Not the lower half: users and groups of this place are there.
    let room = end.saturating_sub(start.max(1)).div_ceil(2).min(IDS);
    vec![Extent { inside: 0, outside: end - room + 1, count: room }]
}

/// A line of `uid_map`: first and last id that are there.
fn parse_seen(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.split_whitespace();
    let (inside, _, count) = (fields.next()?, fields.next()?, fields.next()?);
    let (start, count): (u32, u32) = (inside.parse().ok()?, count.parse().ok()?);
    Some((start, start.checked_add(count.checked_sub(1)?).unwrap_or(u32::MAX - 1)))
}

/// A line of `subuid`: whose, first and last.
fn parse_range(line: &str) -> Option<(&str, (u32, u32))> {
    let mut fields = line.trim().split(':');
    let (owner, start, count) = (fields.next()?, fields.next()?, fields.next()?);
    let (start, count): (u32, u32) = (start.parse().ok()?, count.parse().ok()?);
    Some((owner, (start, start.checked_add(count.checked_sub(1)?)?)))
}

/// The user's subordinate ids, put one after the other from 0.
fn subordinate(text: &str, caller: &Caller) -> Vec<Extent> {
    let number = caller.uid.to_string();
    let is_own = |owner: &str| owner == number || Some(owner) == caller.name.as_deref();
    let mut extents = Vec::new();
    let mut inside = 0;
    for (owner, (start, end)) in text.lines().filter_map(parse_range) {
        if is_own(owner) && inside < IDS {
            let count = (end - start + 1).min(IDS - inside);
            extents.push(Extent { inside, outside: start, count });
            inside += count;
        }
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "         0          0 4294967295\n";

    fn user() -> Caller {
        Caller {
            uid: 1000,
            gid: 1000,
            name: Some("anna".to_owned()),
            uid_map: ALL.to_owned(),
            gid_map: ALL.to_owned(),
            subuid: "bob:100000:65536\nanna:165536:65536\n".to_owned(),
            subgid: "1000:300000:1000\nanna:400000:100000\n".to_owned(),
            has_tools: true,
        }
    }

    #[test]
    fn root_gives_away_what_is_nobodys() {
        let root = Caller { uid_map: ALL.into(), gid_map: ALL.into(), ..Caller::default() };
        let ids = Ids::choose(&root, 33, 33);
        assert_eq!(ids.mode, IdMode::Shifted);
        assert_eq!(ids.uids, [Extent { inside: 0, outside: UNUSED, count: IDS }]);
        let taken = Caller { subuid: format!("x:{}:10\n", UNUSED + 70_000), ..root };
        assert_eq!(Ids::choose(&taken, 0, 0).uids[0].outside, UNUSED);
        let taken = Caller { subuid: format!("x:{}:10\n", UNUSED + 7), ..taken };
        assert_eq!(Ids::choose(&taken, 0, 0).uids[0].outside, UNUSED + IDS);
    }

    #[test]
    fn root_of_a_container_gives_away_the_last_it_has() {
        let map = "0 1000 1\n1 100000 65536\n";
        let root = Caller { uid_map: map.into(), gid_map: map.into(), ..Caller::default() };
        assert_eq!(Ids::choose(&root, 0, 0).uids, [Extent { inside: 0, outside: 32769, count: 32768 }]);
        let alone = Caller { uid_map: "0 1000 1".into(), gid_map: "0 1000 1".into(), ..Caller::default() };
        let ids = Ids::choose(&alone, 101, 102);
        assert_eq!((ids.mode, ids.why_single), (IdMode::Single, Some(WhySingle::FewIds)));
        assert_eq!(ids.gids, [Extent { inside: 102, outside: 0, count: 1 }]);
    }

    #[test]
    fn user_has_the_subordinate_ids_of_name_and_number() {
        let ids = Ids::choose(&user(), 33, 33);
        assert_eq!(ids.mode, IdMode::Subordinate);
        assert_eq!(ids.uids, [Extent { inside: 0, outside: 165_536, count: 65536 }]);
        let second = Extent { inside: 1000, outside: 400_000, count: 64536 };
        assert_eq!(ids.gids, [Extent { inside: 0, outside: 300_000, count: 1000 }, second]);
    }

    #[test]
    fn user_without_subordinate_ids_has_a_single_one_and_knows_why() {
        let none = Caller { subgid: "anna:5:999\nanna:x:y\n:\n".into(), ..user() };
        let ids = Ids::choose(&none, 101, 0);
        assert_eq!((ids.mode, ids.why_single), (IdMode::Single, Some(WhySingle::NoRange)));
        assert_eq!(ids.uids, [Extent { inside: 101, outside: 1000, count: 1 }]);
        let without = Caller { has_tools: false, ..user() };
        assert_eq!(Ids::choose(&without, 0, 0).why_single, Some(WhySingle::NoTools));
    }

    #[test]
    fn ranges_that_overflow_are_passed_over() {
        let odd = Caller { subuid: "anna:4294967295:9\nanna:1:0\n".into(), ..user() };
        assert_eq!(Ids::choose(&odd, 0, 0).mode, IdMode::Single);
    }
}
