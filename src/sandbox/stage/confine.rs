//! What a process may not do once it is the app: limits, ids, capabilities, the filter; and the start of its program.
//!
//! Everything that reads or computes is done first; between the filter and the program stands nothing but the start.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Access, accessat};
use rustix::process::{Gid, Resource, Rlimit, Uid, chdir, getrlimit, setrlimit, umask};
use rustix::thread::{
    CapabilitySet, CapabilitySets, CpuSet, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, sched_getaffinity, sched_setaffinity, set_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use seccompiler::BpfProgram;

use super::{Failed, Step, step};
use crate::sandbox::capability::Capability;
use crate::sandbox::message::{IdNumber, NotExecuted};
use crate::sandbox::seccomp::{self, Filter, Profile, ProfileError};
use crate::sandbox::settings::{Process, Seccomp, Settings};
use crate::sandbox::signal::ignore_none;

/// Most open files, softly: enough for any start; programs that close all they could have open need long for more.
const OPEN_FILES: u64 = 65536;

/// More threads than the limit that the kernel allows each user: the stages count there, and exceeding must be seen by
/// the keeper, which names the limit.
const UNCOUNTED: u64 = 64;

/// What is ready to be installed.
pub(super) struct Confinement {
    filters: Vec<BpfProgram>,
}

impl Confinement {
    /// Compiles the filters.
    pub(super) fn new(settings: &Settings, ids: IdNumber) -> Result<Self, Failed> {
        let filters = compile(settings, ids).map_err(|error| Failed {
            step: Step::Filter,
            with: error.to_string(),
            errno: 0,
        })?;
        Ok(Self { filters })
    }

    /// Installs the filters.
    pub(super) fn install(&self) -> Result<(), Failed> {
        let failed =
            |error: seccompiler::Error| Failed { step: Step::Filter, with: error.to_string(), errno: 0 };
        self.filters.iter().try_for_each(|filter| seccompiler::apply_filter(filter).map_err(failed))
    }

    /// Installs the filters and starts the program; comes back where it cannot be started.
    pub(super) fn become_app(&self, process: &Process) -> Result<NotExecuted, Failed> {
        let Some(program) = find(process) else { return Ok(NotExecuted::NotFound) };
        let (first, rest) = process.argv.split_first().unwrap_or_else(|| unreachable!("it was found"));
        let mut command = Command::new(program);
        command.arg0(first).args(rest).env_clear();
        command.envs(process.env.iter().map(|(name, value)| (name, value)));
        step(Step::Confine, "signals", ignore_none())?;
        self.install()?;
        let error = command.exec();
        Ok(match error.raw_os_error() {
            Some(errno) => NotExecuted::Refused(errno),
            // A NUL byte in a word.
            None => NotExecuted::NotFound,
        })
    }
}

/// Limits, ids and capabilities: what needs no program to be chosen yet.
pub(super) fn drop_privileges(settings: &Settings, ids: IdNumber) -> Result<(), Failed> {
    // If the machine runs out of memory, this goes first.
    step(Step::Limit, "oom_score_adj", std::fs::write("/proc/self/oom_score_adj", "1000"))?;
    limit(settings)?;
    let cwd = if settings.process.cwd.is_empty() { "/" } else { &settings.process.cwd };
    // As root: a user who may not enter its working directory is in it all the same, as under runc.
    step(Step::Confine, cwd, chdir(cwd))?;
    let kept = settings.capabilities.iter().fold(0, |bits, capability| bits | capability.bit());
    step(Step::Confine, "ambient set", clear_ambient_capability_set())?;
    for capability in Capability::all() {
        let one = CapabilitySet::from_bits_retain(capability.bit());
        // Older kernels know fewer.
        if kept & capability.bit() == 0 && capability_is_in_bounding_set(one).unwrap_or(false) {
            step(Step::Confine, capability.to_string(), remove_capability_from_bounding_set(one))?;
        }
    }
    let process = &settings.process;
    if ids == IdNumber::Many {
        let groups: Vec<Gid> = process.groups.iter().map(|&group| Gid::from_raw(group)).collect();
        step(Step::Confine, "groups", set_thread_groups(&groups))?;
        let (uid, gid) = (Uid::from_raw(process.uid), Gid::from_raw(process.gid));
        step(Step::Confine, format!("group {}", process.gid), set_thread_res_gid(gid, gid, gid))?;
        step(Step::Confine, format!("user {}", process.uid), set_thread_res_uid(uid, uid, uid))?;
    }
    // An ordinary user's program starts without any, as under every runtime.
    let own = CapabilitySet::from_bits_retain(if process.uid == 0 { kept } else { 0 });
    let sets = CapabilitySets { effective: own, permitted: own, inheritable: CapabilitySet::empty() };
    step(Step::Confine, "capabilities", set_capabilities(None, sets))?;
    step(Step::Confine, "no_new_privs", set_no_new_privs(true))?;
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(())
}

fn compile(settings: &Settings, ids: IdNumber) -> Result<Vec<BpfProgram>, ProfileError> {
    let mut filters = Vec::new();
    if ids == IdNumber::One {
        filters.push(seccomp::pretending()?);
    }
    filters.extend(settings.watch.as_ref().map(Filter::program));
    // The profile comes last: it need not allow another to be installed.
    filters.extend(match &settings.seccomp {
        Seccomp::Default => Profile::standard().compile(&settings.capabilities)?,
        Seccomp::Profile(profile) => profile.compile(&settings.capabilities)?,
        Seccomp::Unconfined => Vec::new(),
    });
    Ok(filters)
}

fn limit(settings: &Settings) -> Result<(), Failed> {
    let both = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    let at_most = |resource, value: u64| {
        let maximum = getrlimit(resource).maximum;
        both(maximum.map_or(value, |maximum| maximum.min(value)))
    };
    step(Step::Limit, "core", setrlimit(Resource::Core, both(0)))?;
    let processes = at_most(Resource::Nproc, settings.limits.processes.saturating_add(UNCOUNTED));
    step(Step::Limit, "processes", setrlimit(Resource::Nproc, processes))?;
    let files = at_most(Resource::Nofile, OPEN_FILES).maximum.unwrap_or(OPEN_FILES);
    let files = both(files_of(settings.replica, files));
    step(Step::Limit, "open files", setrlimit(Resource::Nofile, files))?;
    limit_processors(settings.replica);
    Ok(())
}

/// The open files that a replica may have, of `most`: what is made of their number is then no constant of two replicas.
fn files_of(replica: u8, most: u64) -> u64 {
    if replica.is_multiple_of(2) { most } else { most - most / 4 }
}

/// Lets every other replica run on half of the processors: how many there are is of the machine, as [`files_of`]. Where a
/// machine does not allow that, all have as many.
fn limit_processors(replica: u8) {
    let Ok(own) = sched_getaffinity(None) else { return };
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&at| own.is_set(at)).collect();
    let own = processors_of(replica, &all);
    if own.len() == all.len() {
        return;
    }
    let mut some = CpuSet::new();
    for &at in own {
        some.set(at);
    }
    let _ = sched_setaffinity(None, &some);
}

fn processors_of(replica: u8, all: &[usize]) -> &[usize] {
    let taken = if replica.is_multiple_of(2) { 0 } else { all.len() / 2 };
    all.get(..all.len() - taken).unwrap_or(all)
}

/// The program as runc finds it: with a `/` as it is, else in the image's `PATH`.
fn find(process: &Process) -> Option<PathBuf> {
    let name = process.argv.first().filter(|name| !name.is_empty())?;
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    let path = process.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_str());
    let directories = path.unwrap_or_default().split(':');
    let candidates =
        directories.map(|directory| Path::new(if directory.is_empty() { "." } else { directory }).join(name));
    candidates.into_iter().find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    let bytes = OsStr::as_bytes(path.as_os_str());
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && accessat(rustix::fs::CWD, bytes, Access::EXEC_OK, rustix::fs::AtFlags::empty()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_replicas_differ_in_what_they_may_use_and_three_have_two_kinds() {
        assert_eq!([0, 1, 2].map(|replica| files_of(replica, 1024)), [1024, 768, 1024]);
        let of = |replica, all: &'static [usize]| processors_of(replica, all);
        assert_eq!([0, 1, 2].map(|replica| of(replica, &[0, 2, 3])), [&[0, 2, 3][..], &[0, 2], &[0, 2, 3]]);
        assert_eq!([of(1, &[5]), of(1, &[])], [&[5][..], &[]], "somewhere it runs");
    }

    fn process(name: &str, path: &str) -> Process {
        let env = vec![("PATH".to_owned(), path.to_owned())];
        Process { argv: vec![name.to_owned()], env, ..Process::default() }
    }

    #[test]
    fn program_is_the_first_of_its_name_that_can_run() {
        let directory = tempfile::tempdir().unwrap();
        let [plain, program] = ["a/app", "b/app"].map(|path| directory.path().join(path));
        for path in [&plain, &program] {
            std::fs::create_dir(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::create_dir_all(directory.path().join("c/app")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let text = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let path = format!("{}:{}:{}", text("c"), text("a"), text("b"));
        assert_eq!(find(&process("app", &path)), Some(program));
        assert_eq!(find(&process("other", &path)), None);
        assert_eq!(find(&process("", &path)), None);
        assert_eq!(find(&process("./own", &path)), Some(PathBuf::from("./own")));
    }
}
