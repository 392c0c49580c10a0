//! The three files that a runtime writes for a container, and where they are mounted.
//!
//! Does not know the machine's own: the container has no network but itself.

use super::{Failed, Step, step};

/// Where they are mounted, and what they are called among the keeper's files.
pub(super) const FILES: [(&str, &str); 3] = [
    ("etc/hosts", "scratch/hosts"),
    ("etc/hostname", "scratch/hostname"),
    ("etc/resolv.conf", "scratch/resolv.conf"),
];

/// Writes them for one of several containers: no two have one name, one address and one name server.
pub(super) fn write(hostname: &str, replica: u8) -> Result<(), Failed> {
    // All of 127.0.0.0/8 is this machine (RFC 1122, 3.2.1.3).
    let address = format!("127.0.0.{}", replica.saturating_add(1));
    let hosts =
        format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{address}\t{hostname}\n");
    // Nobody answers there: a question about a name fails at once.
    let resolver = format!("nameserver {address}\n");
    for ((_, file), text) in FILES.iter().zip([hosts, format!("{hostname}\n"), resolver]) {
        step(Step::Mount, *file, std::fs::write(file, text))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        step(Step::Mount, *file, std::fs::set_permissions(file, mode))?;
    }
    Ok(())
}
