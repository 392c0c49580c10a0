//! What runs of the source showed, as far as hardening uses it: who serves, and what the server does.
//!
//! Reads a profile; what follows from it is for the steps of the plan. A start-up script and what it starts are not the
//! server: what they do is needed where they stay, and is not where the server is started without them.

use std::collections::BTreeSet;

use crate::path::ImagePath;
use crate::profile::{Actor, Exec, How, Phase, Process, Profile, Protocol};

/// The process that serves, from one of its programs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    process: u32,
    exec: u32,
}

impl Server {
    /// Its place among the processes.
    pub fn process(&self) -> u32 {
        self.process
    }
}

/// Whose doings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whose {
    /// Everybody's.
    #[default]
    All,
    /// The server's, and those of what it starts.
    Server(Server),
}

/// A profile, with whose doings count.
#[derive(Debug, Clone, Copy)]
pub struct Traced<'p> {
    profile: &'p Profile,
    whose: Whose,
}

/// A file or directory, and a program that did something with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Links followed.
    pub path: ImagePath,
    /// The program; escaped. The first of several.
    pub by: String,
}

/// A path that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which, and by whom.
    pub place: Use,
    /// Whether it is a directory that was made.
    pub is_directory: bool,
    /// Whether it is the directory in which something without a name was made.
    pub is_around: bool,
    /// Whether it is a file that was made, opened and changed, and neither renamed nor removed nor anything else.
    pub is_plain: bool,
}

/// A port that was listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listens {
    /// 1–65535.
    pub port: u16,
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// At which address.
    pub address: String,
    /// By which program; escaped.
    pub by: String,
}

/// How a server was reached from the first process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached<'p> {
    /// Which process.
    pub server: Server,
    /// The programs that stay above it, such as `tini`, outermost first.
    pub above: Vec<&'p Exec>,
    /// What its process was before, from its start on.
    pub before: &'p [Exec],
    /// The program itself, as it was started.
    pub exec: &'p Exec,
}

/// A process that is neither the server's nor above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other<'p> {
    /// What it ran last; escaped.
    pub program: &'p str,
    /// Whether it was still there when the server was ready.
    pub lasted: bool,
    /// Whether it, or what it started, listened.
    pub listens: bool,
    /// Whether it was started after the server.
    pub is_later: bool,
}

/// Something that others than the server wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparation<'p> {
    /// Links followed.
    pub path: ImagePath,
    /// In what ways.
    pub how: BTreeSet<How>,
    /// By which program; escaped. The last of several.
    pub by: &'p str,
    /// In how many runs.
    pub runs: u32,
}

/// A file that others than the server opened for reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherRead<'p> {
    /// Links followed.
    pub path: ImagePath,
    /// By which program; escaped.
    pub by: &'p str,
    /// Whether that program had ended, or become another, when the server was ready.
    pub is_gone: bool,
}

/// The part that a program plays above a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A shell: what it starts is looked for.
    Shell,
    /// An init: what it starts is looked for, and it stays above that.
    Init,
    /// The server, for all that is known.
    Other,
}

impl<'p> Traced<'p> {
    /// What everybody did in `profile`.
    pub fn new(profile: &'p Profile) -> Self {
        Self { profile, whose: Whose::All }
    }

    /// The same runs, where only the doings of some count.
    #[must_use]
    pub fn of(self, whose: Whose) -> Self {
        Self { whose, ..self }
    }

    /// The profile.
    pub fn profile(&self) -> &'p Profile {
        self.profile
    }

    /// The first process' programs; `None` where runs differ in them.
    pub fn first(&self) -> Option<&'p [Exec]> {
        let mut roots = self.profile.processes.iter().filter(|process| process.parent.is_none());
        match (roots.next(), roots.next()) {
            (Some(root), None) => Some(&root.execs),
            _ => None,
        }
    }

    /// The server: what the first process ends up as, or, below a shell or an init, the one child that listens, or else that
    /// lasts.
    pub fn server(&self, part: impl Fn(&Exec) -> Part) -> Option<Reached<'p>> {
        let mut process = 0;
        self.first()?;
        let listening = self.listening();
        let mut above = Vec::new();
        // Each step goes to a child, which has a higher number.
        loop {
            let execs = &self.profile.processes.get(process)?.execs;
            let exec = execs.last()?;
            let number = u32::try_from(process).ok()?;
            let last = u32::try_from(execs.len()).ok()?;
            match part(exec) {
                Part::Other => {
                    // `haproxy -W` becomes itself again: it serves from the first time on.
                    let again = execs.iter().rev().take_while(|other| other.file == exec.file).count();
                    let first = execs.len().saturating_sub(again);
                    let server = Server { process: number, exec: u32::try_from(first).ok()?.checked_add(1)? };
                    let before = execs.get(..first)?;
                    return Some(Reached { server, above, before, exec: execs.get(first)? });
                }
                Part::Init => above.push(exec),
                Part::Shell => {}
            }
            let after = (number, last);
            let children = self.profile.processes.iter().enumerate().skip(process + 1);
            let children: Vec<(usize, &Process)> = children
                .filter(|(_, entry)| entry.parent == Some(after) && !entry.execs.is_empty())
                .collect();
            let only = |is_it: &dyn Fn(usize, &Process) -> bool| {
                let mut found = children.iter().filter(|(child, entry)| is_it(*child, entry));
                found.next().filter(|_| found.next().is_none()).map(|(child, _)| *child)
            };
            // `mysqld_safe` has a `logger` beside its server: who listens is the server.
            let listens =
                |child, _: &Process| u32::try_from(child).is_ok_and(|child| listening.contains(&child));
            process = only(&listens).or_else(|| only(&|_, entry| entry.lasted))?;
        }
    }

    /// Processes that are neither the server's nor above it.
    pub fn others(&self, server: Server) -> impl Iterator<Item = Other<'p>> {
        let above: BTreeSet<u32> = self.above(server.process).collect();
        let listening = self.listening();
        let traced = *self;
        self.profile.processes.iter().enumerate().filter_map(move |(number, process)| {
            let number = u32::try_from(number).ok()?;
            let own = Actor { process: number, exec: 0, phase: Phase::StartUp };
            if number == server.process || above.contains(&number) || traced.descends(&own, server) {
                return None;
            }
            let program = process.execs.last().map(|exec| exec.file.as_str());
            Some(Other {
                program: program.or_else(|| traced.program(&own)).unwrap_or_default(),
                lasted: process.lasted,
                listens: listening.contains(&number),
                // All that the first process started has a higher number than it has itself.
                is_later: !above.is_empty() && number > server.process,
            })
        })
    }

    /// The processes above one, nearest first.
    fn above(&self, process: u32) -> impl Iterator<Item = u32> + use<'p> {
        let profile = self.profile;
        let parent = move |&at: &u32| {
            let (parent, _) = profile.processes.get(at as usize)?.parent?;
            (parent < at).then_some(parent)
        };
        std::iter::successors(Some(process), parent).skip(1)
    }

    /// Processes that listen, and all above them.
    fn listening(&self) -> BTreeSet<u32> {
        let mut listening = BTreeSet::new();
        for by in self.profile.sockets.iter().flat_map(|socket| &socket.by) {
            for process in std::iter::once(by.process).chain(self.above(by.process)) {
                if !listening.insert(process) {
                    break;
                }
            }
        }
        listening
    }

    /// Whether `by` is `server` or something that it started.
    fn descends(&self, by: &Actor, server: Server) -> bool {
        let mut at = (by.process, by.exec);
        loop {
            if at.0 == server.process {
                return at.1 >= server.exec;
            }
            match self.profile.processes.get(at.0 as usize).and_then(|process| process.parent) {
                // A parent stands before its children; a document that says otherwise says nothing.
                Some(parent) if parent.0 < at.0 => at = parent,
                _ => return false,
            }
        }
    }

    /// Whether the doings of `by` count.
    pub fn counts(&self, by: &Actor) -> bool {
        match self.whose {
            Whose::All => true,
            Whose::Server(server) => self.descends(by, server),
        }
    }

    /// The program that `by` ran.
    pub fn program(&self, by: &Actor) -> Option<&'p str> {
        let mut at = (by.process, by.exec);
        loop {
            let process = self.profile.processes.get(at.0 as usize)?;
            if let Some(exec) = at.1.checked_sub(1).and_then(|exec| process.execs.get(exec as usize)) {
                return Some(&exec.file);
            }
            at = process.parent.filter(|parent| parent.0 < at.0)?;
        }
    }

    /// The program of the first of `by` whose doings count; `None` where nobody's do.
    fn doer(&self, by: &[Actor], back: u32) -> Option<String> {
        let first = by.iter().find(|by| self.counts(by))?;
        let before = Actor { exec: first.exec.saturating_sub(back), ..*first };
        Some(self.program(&before).or_else(|| self.program(first)).unwrap_or_default().to_owned())
    }

    /// Programs that were executed, each with the one that executed it: as they were called, and links followed.
    pub fn executed(&self) -> impl Iterator<Item = Use> {
        let called = self.profile.processes.iter().enumerate().flat_map(|(number, process)| {
            process.execs.iter().enumerate().filter_map(move |(before, exec)| {
                let after = u32::try_from(before).ok()?.checked_add(1)?;
                let by = Actor { process: u32::try_from(number).ok()?, exec: after, phase: Phase::StartUp };
                Some((exec.path.as_str(), [by]))
            })
        });
        let called = called.filter_map(|(called, by)| {
            Some(Use { path: ImagePath::unescape(called)?, by: self.doer(&by, 1)? })
        });
        let followed = self.profile.executed.iter();
        let followed = followed.filter_map(|used| {
            Some(Use { path: ImagePath::unescape(&used.path)?, by: self.doer(&used.by, 1)? })
        });
        followed.chain(called)
    }

    /// When `file`, links followed, was executed, in words.
    pub fn when_executed(&self, file: &ImagePath) -> String {
        let file = file.to_string();
        let used = self.profile.executed.iter().filter(|used| used.path == file).flat_map(|used| &used.by);
        let phases: BTreeSet<Phase> = used.filter(|by| self.counts(by)).map(|by| by.phase).collect();
        let words = phases.into_iter().map(|phase| match phase {
            Phase::StartUp => "at its start",
            Phase::Steady => "while it served",
            Phase::Shutdown => "at its end",
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Files and directories that were opened for reading, or mapped as code.
    pub fn read(&self) -> impl Iterator<Item = Use> {
        let used = self.profile.opened.iter().chain(&self.profile.mapped);
        used.filter_map(|used| {
            Some(Use { path: ImagePath::unescape(&used.path)?, by: self.doer(&used.by, 0)? })
        })
    }

    /// Paths that were written: made, opened for writing, renamed, removed. Modes, owners and times alone are no reason
    /// to need a volume.
    pub fn written(&self) -> impl Iterator<Item = Write> {
        self.profile.written.iter().filter(|written| written.how.iter().any(is_content)).filter_map(
            |written| {
                Some(Write {
                    place: Use { path: ImagePath::unescape(&written.path)?, by: self.doer(&written.by, 0)? },
                    is_around: written.how == [How::Unnamed],
                    is_directory: written.how.contains(&How::Directory),
                    is_plain: written.how.iter().copied().all(is_plain),
                })
            },
        )
    }

    /// Ports that were listened on.
    pub fn listens(&self) -> impl Iterator<Item = Listens> {
        self.profile.sockets.iter().filter(|socket| socket.bind.port != 0).filter_map(|socket| {
            let protocol = match socket.bind.protocol {
                Protocol::Tcp => "TCP",
                Protocol::Udp => "UDP",
                Protocol::Unix => return None,
            };
            let by = self.doer(&socket.by, 0)?;
            Some(Listens { port: socket.bind.port, protocol, address: socket.bind.address.clone(), by })
        })
    }

    /// What those whose doings do not count had a hand in.
    pub fn prepared(&self) -> impl Iterator<Item = Preparation<'p>> {
        let traced = *self;
        self.profile.written.iter().filter_map(move |written| {
            // Who had it last: of `sed -i` and what came before it, `sed`.
            let by = written.by.iter().rev().find(|by| !traced.counts(by))?;
            Some(Preparation {
                path: ImagePath::unescape(&written.path)?,
                how: written.how.iter().copied().collect(),
                by: traced.program(by).unwrap_or_default(),
                runs: written.runs,
            })
        })
    }

    /// Programs that those became whose doings do not count.
    pub fn others_became(&self) -> impl Iterator<Item = &'p Exec> {
        let traced = *self;
        self.profile.processes.iter().enumerate().flat_map(move |(number, process)| {
            process.execs.iter().enumerate().filter_map(move |(before, exec)| {
                let (process, exec_number) = (u32::try_from(number).ok()?, u32::try_from(before).ok()?);
                let by = Actor { process, exec: exec_number.checked_add(1)?, phase: Phase::StartUp };
                (!traced.counts(&by)).then_some(exec)
            })
        })
    }

    /// Files that those opened for reading whose doings do not count, once for each of them.
    pub fn others_read(&self) -> impl Iterator<Item = OtherRead<'p>> {
        let traced = *self;
        self.profile.opened.iter().flat_map(move |used| {
            used.by.iter().filter(move |by| !traced.counts(by)).filter_map(move |by| {
                let process = traced.profile.processes.get(by.process as usize)?;
                Some(OtherRead {
                    path: ImagePath::unescape(&used.path)?,
                    by: traced.program(by).unwrap_or_default(),
                    is_gone: !process.lasted || (by.exec as usize) < process.execs.len(),
                })
            })
        })
    }
}

/// Whether what was done to a file is done the same through a link to it.
fn is_plain(how: How) -> bool {
    matches!(how, How::Created | How::Opened | How::Truncated | How::Mode | How::Owner | How::Times)
}

/// Whether a file or directory itself is written, and not what is said of it: its mode, owner, times, attributes.
pub fn is_content(how: &How) -> bool {
    !matches!(how, How::Mode | How::Owner | How::Times | How::Attributes)
}
