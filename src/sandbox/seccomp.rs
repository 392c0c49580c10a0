//! Profiles for system calls, in the JSON of the OCI and Docker, compiled to filters of the kernel.
//!
//! A filter here has two answers, so a profile becomes several that the kernel asks one after the other: of their
//! answers the strictest counts, and of equally strict ones that of the filter added last (seccomp(2)). Does not install
//! them. Programs of another architecture than kiln's own are killed: images for one do not get this far.

mod narrow;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use serde::{Deserialize, Serialize};
use syscalls::Sysno;

pub use narrow::Unseen;

use super::capability::Capability;

/// The default profile of Docker and containerd; its source is named in it.
const DEFAULT: &str = include_str!("seccomp.json");

/// Calls that change owners or credentials: what a user with a single id cannot do and most servers try.
const IDENTITY: [&str; 14] = [
    "capset",
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setuid",
];

/// `EPERM`, where a profile says no other error.
const EPERM: u32 = 1;

/// A profile as it is written; what it says of other architectures is kept and not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    args: Option<Vec<Argument>>,
    #[serde(default, skip_serializing_if = "Condition::is_none")]
    includes: Condition,
    #[serde(default, skip_serializing_if = "Condition::is_none")]
    excludes: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_kernel: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not a profile.
    #[error("seccomp profile is not the JSON of one")]
    Parse(#[source] serde_json::Error),
    /// No filter can be made of it.
    #[error("seccomp profile cannot be compiled")]
    Compile(#[source] seccompiler::BackendError),
    /// kiln has no filters for this machine.
    #[error("seccomp filters are not made for machines of architecture `{0}`")]
    Architecture(&'static str),
}

impl Profile {
    /// The default of Docker and containerd.
    pub fn standard() -> Self {
        Self::parse(DEFAULT.as_bytes()).unwrap_or_else(|error| unreachable!("kiln's own profile: {error}"))
    }

    /// Reads a profile. Actions that hand calls to another process (`SCMP_ACT_NOTIFY`, `SCMP_ACT_TRACE`) are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProfileError> {
        serde_json::from_slice(bytes).map_err(ProfileError::Parse)
    }

    /// The filters for a process that keeps `capabilities`, in the order to install them.
    pub fn compile(&self, capabilities: &[Capability]) -> Result<Vec<BpfProgram>, ProfileError> {
        let caps: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
        let default = self.default_action.answer(self.default_errno_ret);
        let mut named: Rules = BTreeMap::new();
        let mut groups: BTreeMap<(Action, u32), Rules> = BTreeMap::new();
        for rule in self.syscalls.iter().filter(|rule| rule.applies(&caps)) {
            let errno = rule.errno_ret.filter(|_| rule.action == Action::Errno).unwrap_or(EPERM);
            // Names that this kernel interface does not have are other architectures'.
            for number in rule.names.iter().filter_map(|name| number_of(name)) {
                let conditions = rule.conditions()?;
                named.entry(number).or_default().push(conditions.clone());
                if rule.action != Action::Allow {
                    groups
                        .entry((rule.action, errno))
                        .or_default()
                        .entry(number)
                        .or_default()
                        .push(conditions);
                }
            }
        }
        let mut filters = Vec::new();
        for ((action, errno), rules) in groups {
            filters.push(filter(rules, SeccompAction::Allow, action.answer(Some(errno)))?);
        }
        // The last: it need not allow another to be installed.
        if default != SeccompAction::Allow {
            filters.push(filter(named, default, SeccompAction::Allow)?);
        }
        Ok(filters)
    }
}

/// A filter that answers calls for which a single id is not enough as if they had been done.
pub fn pretending() -> Result<BpfProgram, ProfileError> {
    let calls = IDENTITY.iter().filter_map(|name| number_of(name));
    let rules = calls.map(|number| (number, vec![Vec::new()])).collect();
    filter(rules, SeccompAction::Allow, SeccompAction::Errno(0))
}

/// A filter as the kernel takes it, on its way to another stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter(Vec<(u16, u8, u8, u32)>);

impl From<&BpfProgram> for Filter {
    fn from(program: &BpfProgram) -> Self {
        Self(program.iter().map(|line| (line.code, line.jt, line.jf, line.k)).collect())
    }
}

impl Filter {
    /// To be installed.
    pub fn program(&self) -> BpfProgram {
        self.0.iter().map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k }).collect()
    }
}

/// Alternatives, each a list of conditions that must all hold; an empty list always does.
type Rules = BTreeMap<i64, Vec<Vec<SeccompCondition>>>;

fn filter(rules: Rules, otherwise: SeccompAction, answer: SeccompAction) -> Result<BpfProgram, ProfileError> {
    let arch: TargetArch =
        std::env::consts::ARCH.try_into().map_err(|_| ProfileError::Architecture(std::env::consts::ARCH))?;
    let mut compiled = BTreeMap::new();
    for (number, alternatives) in rules {
        let mut chain = Vec::new();
        // One that always holds makes the others idle; to the compiler it is a call without rules.
        if !alternatives.iter().any(Vec::is_empty) {
            for conditions in alternatives {
                chain.push(SeccompRule::new(conditions).map_err(ProfileError::Compile)?);
            }
        }
        compiled.insert(number, chain);
    }
    let filter = SeccompFilter::new(compiled, otherwise, answer, arch).map_err(ProfileError::Compile)?;
    filter.try_into().map_err(ProfileError::Compile)
}

fn number_of(name: &str) -> Option<i64> {
    name.parse::<Sysno>().ok().map(|call| call.id().into())
}

impl Rule {
    /// As Docker and podman read `includes` and `excludes`; every kernel that kiln runs on is new enough for `minKernel`.
    fn applies(&self, caps: &[String]) -> bool {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let is_here = |wanted: &Condition| wanted.arches.iter().any(|name| name == arch);
        self.includes.caps.iter().all(|cap| caps.contains(cap))
            && (self.includes.arches.is_empty() || is_here(&self.includes))
            && !self.excludes.caps.iter().any(|cap| caps.contains(cap))
            && !is_here(&self.excludes)
    }

    fn conditions(&self) -> Result<Vec<SeccompCondition>, ProfileError> {
        self.args.iter().flatten().map(Argument::condition).collect()
    }
}

impl Condition {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, ProfileError> {
        let (operator, value) = match self.op {
            Operator::Ne => (SeccompCmpOp::Ne, self.value),
            Operator::Lt => (SeccompCmpOp::Lt, self.value),
            Operator::Le => (SeccompCmpOp::Le, self.value),
            Operator::Eq => (SeccompCmpOp::Eq, self.value),
            Operator::Ge => (SeccompCmpOp::Ge, self.value),
            Operator::Gt => (SeccompCmpOp::Gt, self.value),
            Operator::MaskedEq => (SeccompCmpOp::MaskedEq(self.value), self.value_two),
        };
        SeccompCondition::new(self.index, SeccompCmpArgLen::Qword, operator, value)
            .map_err(ProfileError::Compile)
    }
}

impl Action {
    fn answer(self, errno: Option<u32>) -> SeccompAction {
        match self {
            Self::Allow => SeccompAction::Allow,
            Self::Log => SeccompAction::Log,
            Self::Errno => SeccompAction::Errno(errno.unwrap_or(EPERM)),
            Self::Trap => SeccompAction::Trap,
            Self::KillThread => SeccompAction::KillThread,
            Self::KillProcess => SeccompAction::KillProcess,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::capability;

    #[test]
    fn default_profile_allows_what_servers_call_and_no_new_namespaces() {
        let profile = Profile::standard();
        let allowed = |name: &str, caps: &[String]| {
            let rule = |rule: &&Rule| rule.names.iter().any(|known| known == name) && rule.applies(caps);
            profile.syscalls.iter().any(|known| rule(&known) && known.action == Action::Allow)
        };
        let caps: Vec<_> = capability::DEFAULT.iter().map(ToString::to_string).collect();
        for name in ["read", "execve", "openat", "socket", "clone", "chroot", "futex", "ptrace"] {
            assert!(allowed(name, &caps), "{name}");
        }
        for name in ["mount", "unshare", "setns", "bpf", "clone3", "keyctl", "io_uring_setup", "reboot"] {
            assert!(!allowed(name, &caps), "{name}");
        }
        assert!(!allowed("chroot", &[]) && allowed("mount", &["CAP_SYS_ADMIN".to_owned()]));
    }

    #[test]
    fn every_name_of_the_default_profile_is_a_call_of_some_machine() {
        // Those of 32-bit machines have no number here; a typing error would look the same, so they are counted.
        let profile = Profile::standard();
        let names = profile.syscalls.iter().flat_map(|rule| &rule.names);
        let unknown = names.filter(|name| number_of(name).is_none()).count();
        assert!(unknown < 90, "{unknown}");
    }

    #[test]
    fn profile_becomes_a_filter_for_each_answer() {
        let filters = |text: &str| Profile::parse(text.as_bytes()).unwrap().compile(&capability::DEFAULT);
        assert_eq!(Profile::standard().compile(&capability::DEFAULT).unwrap().len(), 2);
        assert_eq!(filters(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#).unwrap().len(), 0);
        let two = r#"{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
            {"names": ["close"], "action": "SCMP_ACT_LOG"}]}"#;
        assert_eq!(filters(two).unwrap().len(), 3);
        assert!(filters(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#).unwrap().len() == 1);
    }

    #[test]
    fn call_that_is_handed_to_another_process_is_refused() {
        let text = r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#;
        assert!(matches!(Profile::parse(text.as_bytes()), Err(ProfileError::Parse(_))));
    }

    #[test]
    fn every_call_that_needs_ids_is_pretended() {
        let numbers = IDENTITY.iter().filter_map(|name| number_of(name)).count();
        assert!(numbers >= 12, "arm64 has no chown and lchown");
        let pretending = pretending().unwrap();
        assert_eq!(Filter::from(&pretending).program(), pretending);
    }
}
