//! A profile for system calls, made of what a start under the pod called, and believed only when the app serves under it.
//!
//! It is tried as a filter that refuses, whatever is written in the end: what is only logged fails nothing. Clients of two
//! kinds ask, for servers send files to one by another way than to the other. How a profile is made is `sandbox::seccomp`'s.

use std::collections::BTreeSet;
use std::fmt;

use super::{Case, Round, Seen, TrialError, start};
use crate::kube::given::{Ask, Scheme};
use crate::observe::{Answer, Client, Exercise, Heard, fetch};
use crate::promise::{Proof, Shown};
use crate::sandbox::seccomp::{Profile, Unseen};
use crate::sandbox::{Door, Sandbox, Seccomp, Settings};

/// What a profile is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrow {
    /// Calls that other runs made.
    pub seen: BTreeSet<String>,
    /// What becomes of those that nobody was seen to make.
    pub unseen: Unseen,
}

/// What a client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    /// A page.
    Page(Answer),
    /// A connection, on which nothing speaks HTTP.
    Connection,
    /// Nothing.
    Nothing,
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(Answer { is_whole: false, status, .. }) => write!(f, "status {status}, cut off"),
            Self::Page(Answer { has_body: false, status, .. }) => write!(f, "status {status}, no page"),
            Self::Page(Answer { is_compressed, status, .. }) => {
                write!(f, "status {status}, a {} page", if *is_compressed { "compressed" } else { "plain" })
            }
            Self::Connection => f.write_str("a connection"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// Asks, as clients of both kinds, for what probes and exercises ask for and for the first page of each port.
pub(super) fn ask(case: &Case<'_>, door: &Door) -> Vec<(String, Got)> {
    let mut out = Vec::new();
    for (port, host, path) in pages(case) {
        for client in [Client::Plain, Client::Gzip] {
            let got = match fetch(door, port, &host, &path, client) {
                Ok(answer) => Got::Page(answer),
                Err(_) if door.connect(port).is_ok() => Got::Connection,
                Err(_) => Got::Nothing,
            };
            let kind = if client == Client::Gzip { "gzip" } else { "plain" };
            out.push((format!("GET {path} of port {port}, {kind} client"), got));
        }
    }
    out
}

/// Port, name of the server and path, each once.
fn pages(case: &Case<'_>) -> BTreeSet<(u16, String, String)> {
    const HOST: &str = "localhost";
    let mut out = BTreeSet::new();
    for (_, ask) in &case.container.probes {
        if let Ask::Http { port, path, host, scheme: Scheme::Http } = ask {
            out.insert((*port, host.clone().unwrap_or_else(|| HOST.to_owned()), path.clone()));
        }
    }
    for exercise in &case.asked.exercises {
        if let Exercise::Page { host, port, path, .. } = exercise {
            out.insert((*port, host.clone(), path.clone()));
        }
    }
    let of_manifest = case.manifest.iter().flat_map(|manifest| &manifest.ports);
    let of_manifest = of_manifest.filter(|port| port.protocol == "TCP").map(|port| port.port);
    let of_probes = case.container.probes.iter().filter_map(|(_, ask)| match ask {
        Ask::Tcp(port) => Some(*port),
        _ => None,
    });
    out.extend(of_manifest.chain(of_probes).map(|port| (port, HOST.to_owned(), "/".to_owned())));
    out
}

/// Makes a profile of what was `seen` of the first start, and starts the app twice more under it.
pub(super) fn prove(
    case: &Case<'_>,
    wanted: &Narrow,
    seen: &Seen,
    sandbox: &mut Sandbox,
    heard: &Heard,
) -> Result<(Proof<Shown>, Option<Profile>), TrialError> {
    let mut proof = Proof::new(Shown::Seccomp);
    let Some(profile) = seen.profile.as_ref().filter(|_| seen.served && seen.complaints.is_empty()) else {
        proof.leave_open("not tried: it did not serve and end without it");
        return Ok((proof, None));
    };
    let called: BTreeSet<String> = profile.syscalls.iter().chain(&wanted.seen).cloned().collect();
    let of = |unseen| Profile::narrowed(&called, &case.settings.capabilities, unseen);
    let settings = Settings { seccomp: Seccomp::Profile(of(Unseen::Refused)), ..case.settings.clone() };
    for round in [Round::Asked, Round::AskedAgain] {
        let under = start(case, &settings, round, sandbox, heard)?;
        compare(round, seen, &under, &mut proof);
        if !proof.breaches.is_empty() {
            return Ok((proof, None));
        }
    }
    let written = of(wanted.unseen);
    let (allowed, logged) = written.counts();
    let pages = seen.answers.iter().filter(|(_, got)| matches!(got, Got::Page(_))).count();
    let rest = match wanted.unseen {
        Unseen::Refused => "all others fail".to_owned(),
        Unseen::Logged => {
            format!("{logged} more that the default profile allows are logged, all others fail")
        }
    };
    proof.prove(format!(
        "{} calls seen, {allowed} allowed; {rest}; it was tried so that all others fail: two starts, {pages} answers to plain and gzip clients each, two stops",
        called.len()
    ));
    Ok((proof, Some(written)))
}

/// What a start under the profile did worse than the first.
fn compare(round: Round, before: &Seen, under: &Seen, proof: &mut Proof<Shown>) {
    let which = if round == Round::AskedAgain { "at the second start under it" } else { "under it" };
    let reasons = under.refused.iter().cloned();
    let reasons =
        reasons.chain(under.unprepared.iter().map(|(init, how)| format!("init container {init} {how}")));
    for reason in reasons.chain(under.complaints.iter().map(ToString::to_string)) {
        proof.break_at("app", format!("{which}: {reason}"));
    }
    if !proof.breaches.is_empty() {
        return;
    }
    let probes = before.before.iter().filter(|(_, is_answered)| *is_answered);
    for (name, _) in probes.filter(|probe| !under.before.contains(probe)) {
        proof.break_at(name, format!("is not answered {which}"));
    }
    for (what, got) in &before.answers {
        let now = under.answers.iter().find(|(known, _)| known == what).map_or(Got::Nothing, |(_, got)| *got);
        if now != *got {
            proof.break_at(what, format!("got {got} without the profile, and {which} {now}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Complaint;

    const WHOLE: Answer = Answer { status: 200, has_body: true, is_whole: true, is_compressed: false };

    fn seen(plain: Got, gzip: Got) -> Seen {
        let answers = vec![("plain client".to_owned(), plain), ("gzip client".to_owned(), gzip)];
        Seen { served: true, answers, before: vec![("probe".to_owned(), true)], ..Seen::default() }
    }

    fn breaches(before: &Seen, under: &Seen) -> Vec<String> {
        let mut proof = Proof::new(Shown::Seccomp);
        compare(Round::Asked, before, under, &mut proof);
        proof.breaches.iter().map(|breach| format!("{}: {}", breach.subject, breach.message)).collect()
    }

    #[test]
    fn client_that_gets_less_than_without_the_profile_breaks_it() {
        let packed = Answer { is_compressed: true, ..WHOLE };
        let before = seen(Got::Page(WHOLE), Got::Page(packed));
        assert_eq!(breaches(&before, &before), [""; 0]);
        // nginx without `sendfile`: the head comes, and no page.
        let cut = Answer { has_body: false, is_whole: false, ..WHOLE };
        assert_eq!(
            breaches(&before, &seen(Got::Page(cut), Got::Page(packed))),
            [
                "plain client: got status 200, a plain page without the profile, and under it status 200, cut off"
            ]
        );
        assert_eq!(
            breaches(&before, &seen(Got::Page(WHOLE), Got::Nothing)),
            ["gzip client: got status 200, a compressed page without the profile, and under it nothing"]
        );
        let connected = seen(Got::Connection, Got::Connection);
        assert_eq!(breaches(&connected, &connected), [""; 0]);
    }

    #[test]
    fn start_that_fails_and_probe_that_is_not_answered_break_it() {
        let before = seen(Got::Connection, Got::Connection);
        let silent =
            Seen { before: vec![("probe".to_owned(), false)], ..seen(Got::Connection, Got::Connection) };
        assert_eq!(breaches(&before, &silent), ["probe: is not answered under it"]);
        let killed =
            Seen { complaints: vec![Complaint::Killed(30)], ..seen(Got::Connection, Got::Connection) };
        assert_eq!(
            breaches(&before, &killed),
            ["app: under it: it did not end 30 seconds after its stop signal, and was killed"]
        );
    }
}
