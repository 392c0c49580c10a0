//! Capabilities by name and number.
//!
//! Knows the list of the kernel (linux/capability.h) and what runtimes leave a container; drops nothing itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// In the kernel's order: the position is the number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What Docker and containerd leave root of a container.
pub const DEFAULT: [Capability; 14] = [
    Capability(0),
    Capability(1),
    Capability(3),
    Capability(4),
    Capability(5),
    Capability(6),
    Capability(7),
    Capability(8),
    Capability(10),
    Capability(13),
    Capability(18),
    Capability(27),
    Capability(29),
    Capability(31),
];

/// One capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

/// A name that is no capability's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no capability")]
pub struct UnknownCapability(String);

impl Capability {
    /// All that are known.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(NAMES.len()).map(Self)
    }

    /// As one bit of a set.
    pub fn bit(self) -> u64 {
        1 << self.0
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.get(usize::from(self.0)).unwrap_or_else(|| unreachable!("made from the list"));
        write!(f, "CAP_{name}")
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    /// With or without `CAP_`, as pods write it.
    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let name = text.strip_prefix("CAP_").unwrap_or(text);
        let number = NAMES.iter().position(|known| *known == name);
        let number = number.and_then(|number| u8::try_from(number).ok());
        number.map(Self).ok_or_else(|| UnknownCapability(text.to_owned()))
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_what_runtimes_leave() {
        let names: Vec<_> = DEFAULT.iter().map(ToString::to_string).collect();
        expect_test::expect![[r#"
            [
                "CAP_CHOWN",
                "CAP_DAC_OVERRIDE",
                "CAP_FOWNER",
                "CAP_FSETID",
                "CAP_KILL",
                "CAP_SETGID",
                "CAP_SETUID",
                "CAP_SETPCAP",
                "CAP_NET_BIND_SERVICE",
                "CAP_NET_RAW",
                "CAP_SYS_CHROOT",
                "CAP_MKNOD",
                "CAP_AUDIT_WRITE",
                "CAP_SETFCAP",
            ]
        "#]]
        .assert_debug_eq(&names);
    }

    #[test]
    fn name_and_number_lead_to_each_other() {
        for capability in Capability::all() {
            assert_eq!(capability.to_string().parse(), Ok(capability));
        }
        assert_eq!("SYS_ADMIN".parse::<Capability>().unwrap().bit(), 1 << 21);
        assert!("CAP_ALL".parse::<Capability>().is_err());
    }
}
