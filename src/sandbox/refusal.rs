//! Why a machine gives no namespaces, and what to do: the setting behind an error number.
//!
//! Decides from what it is told of the machine; reads nothing.

/// Settings of the machine, as far as they can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// `/proc/sys/user/max_user_namespaces`
    pub max_user_namespaces: Option<u64>,
    /// Other `/proc/sys/user/max_*_namespaces` that are 0.
    pub none_of: Vec<String>,
    /// `/proc/sys/kernel/unprivileged_userns_clone` (Debian's)
    pub unprivileged_userns_clone: Option<u64>,
    /// `/proc/sys/kernel/apparmor_restrict_unprivileged_userns` (Ubuntu's)
    pub apparmor_restrict: Option<u64>,
    /// Whether kiln is root.
    pub is_root: bool,
    /// Whether a filter for system calls is over kiln itself.
    pub is_filtered: bool,
    /// Whether the kernel knows user namespaces: `/proc/self/ns/user`.
    pub knows_user_namespaces: bool,
}

/// What keeps kiln from making a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// None may be made at all.
    #[error("`/proc/sys/user/max_user_namespaces` is 0")]
    NoUserNamespaces,
    /// None of another kind may be made.
    #[error("`/proc/sys/user/{0}` is 0")]
    NoneOf(String),
    /// Debian's switch.
    #[error("`kernel.unprivileged_userns_clone` is 0")]
    DebianSwitch,
    /// Ubuntu's switch.
    #[error("`kernel.apparmor_restrict_unprivileged_userns` is 1")]
    AppArmor,
    /// A container's filter.
    #[error("a seccomp filter is over kiln, as in a container of Docker's")]
    Filtered,
    /// The kernel was built without.
    #[error("the kernel has no user namespaces (CONFIG_USER_NS)")]
    NotBuilt,
    /// Something that no setting shows: a chroot, another security module.
    #[error("the kernel refuses user namespaces to this process")]
    Unknown,
}

impl Refusal {
    /// What most likely stands behind a refusal.
    pub fn of(machine: &Machine) -> Self {
        if !machine.knows_user_namespaces {
            return Self::NotBuilt;
        }
        if machine.max_user_namespaces == Some(0) {
            return Self::NoUserNamespaces;
        }
        if let Some(name) = machine.none_of.first() {
            return Self::NoneOf(name.clone());
        }
        if !machine.is_root && machine.unprivileged_userns_clone == Some(0) {
            return Self::DebianSwitch;
        }
        if machine.is_filtered {
            return Self::Filtered;
        }
        if !machine.is_root && machine.apparmor_restrict.is_some_and(|value| value > 0) {
            return Self::AppArmor;
        }
        Self::Unknown
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoUserNamespaces => "`sysctl user.max_user_namespaces=10000` allows them".to_owned(),
            Self::NoneOf(name) => format!("`sysctl user.{name}=10000` allows them"),
            Self::DebianSwitch => {
                "`sysctl kernel.unprivileged_userns_clone=1` allows them; or run kiln as root".to_owned()
            }
            Self::AppArmor => {
                "`sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows them, or an AppArmor \
                profile for kiln with `userns,`; or run kiln as root"
                    .to_owned()
            }
            Self::Filtered => "run kiln outside of the container, or give the container `--security-opt \
                seccomp=unconfined` (and `--security-opt systempaths=unconfined`)"
                .to_owned(),
            Self::NotBuilt => "run kiln on a kernel that has them".to_owned(),
            Self::Unknown => {
                "a chroot and some security modules do that; what needs no running app works all the same"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Machine {
        Machine { max_user_namespaces: Some(9), knows_user_namespaces: true, ..Machine::default() }
    }

    #[test]
    fn setting_that_forbids_is_named_with_the_way_out() {
        for (machine, word) in [
            (Machine { max_user_namespaces: Some(0), ..open() }, "max_user_namespaces"),
            (Machine { none_of: vec!["max_net_namespaces".into()], ..open() }, "max_net_namespaces"),
            (Machine { unprivileged_userns_clone: Some(0), ..open() }, "unprivileged_userns_clone"),
            (Machine { apparmor_restrict: Some(1), ..open() }, "apparmor_restrict_unprivileged_userns"),
            (Machine { is_filtered: true, ..open() }, "seccomp"),
        ] {
            let refusal = Refusal::of(&machine);
            assert!(refusal.to_string().contains(word), "{refusal}");
            assert!(refusal.hint().contains(word), "{}", refusal.hint());
        }
    }

    #[test]
    fn switches_for_users_do_not_stop_root() {
        let machine = Machine {
            unprivileged_userns_clone: Some(0),
            apparmor_restrict: Some(1),
            is_root: true,
            ..open()
        };
        assert_eq!(Refusal::of(&machine), Refusal::Unknown);
        assert_eq!(Refusal::of(&Machine { knows_user_namespaces: false, ..machine }), Refusal::NotBuilt);
    }
}
