//! What a container uses: memory and threads of its processes, bytes of what it wrote.
//!
//! Looks from outside, where no limit of the kernel counts a container as a whole; does not end anything.

use std::fs;

use super::keeper::{PROC, SCRATCH};
use crate::sandbox::message::LimitKind;
use crate::sandbox::settings::Limits;

/// Bytes of a page, as `/proc` counts memory; on machines with larger ones the limit is so much looser.
const PAGE: u64 = 4096;

/// What may be used.
pub(super) struct Usage {
    limits: Limits,
}

/// One process, as far as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    threads: u64,
    /// Pages in memory, those shared with others included.
    pages: u64,
}

impl Usage {
    /// Nothing was looked at yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// What there is too much of now.
    pub(super) fn exceeded(&self) -> Option<LimitKind> {
        let mut sum = Counted { threads: 0, pages: 0 };
        let processes = processes();
        for process in &processes {
            let text = fs::read_to_string(format!("{PROC}/{process}/stat")).unwrap_or_default();
            if let Some(found) = parse_stat(&text) {
                sum.threads = sum.threads.saturating_add(found.threads);
                sum.pages = sum.pages.saturating_add(found.pages);
            }
        }
        if sum.threads >= self.limits.processes {
            return Some(LimitKind::Processes);
        }
        // What processes share is in every one's sum; the exact number takes far longer to find.
        if sum.pages.saturating_mul(PAGE) > self.limits.memory
            && exact_memory(&processes) > self.limits.memory
        {
            return Some(LimitKind::Memory);
        }
        is_full().then_some(LimitKind::Disk)
    }
}

/// Whether nothing more can be written.
pub(super) fn is_full() -> bool {
    rustix::fs::statvfs(SCRATCH).is_ok_and(|stat| stat.f_bfree == 0 || stat.f_ffree == 0)
}

/// All of the outer process namespace, the server and this process apart.
fn processes() -> Vec<u32> {
    let own = std::process::id();
    let names = fs::read_dir(PROC).into_iter().flatten().flatten();
    let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|&number| number != own && number != 1).collect()
}

/// Bytes, shared ones divided among those who share them.
fn exact_memory(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let text = fs::read_to_string(format!("{PROC}/{process}/smaps_rollup")).unwrap_or_default();
        parse_pss(&text).unwrap_or(0)
    };
    processes.iter().map(of).fold(0, u64::saturating_add)
}

/// `/proc/PID/stat` (`proc_pid_stat(5)`): the name may hold anything, so fields count from its last parenthesis.
fn parse_stat(text: &str) -> Option<Counted> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The state is field 3; threads are 20, pages 24.
    Some(Counted { threads: fields.get(17)?.parse().ok()?, pages: fields.get(21)?.parse().ok()? })
}

/// `Pss:` of `smaps_rollup`, in bytes.
fn parse_pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_and_pages_are_found_behind_any_name() {
        let line = "7 (a) b ( c)) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 5 0 12345 8192000 321 18446744073709551615 1";
        assert_eq!(parse_stat(line), Some(Counted { threads: 5, pages: 321 }));
        assert_eq!(parse_stat("7 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn own_process_is_counted_as_the_kernel_tells_it() {
        let text = fs::read_to_string("/proc/self/stat").unwrap();
        let counted = parse_stat(&text).unwrap();
        assert!(counted.threads >= 1 && counted.pages >= 1, "{counted:?}");
    }

    #[test]
    fn shared_memory_is_what_the_kernel_divides() {
        assert_eq!(parse_pss("55 [rollup]\nRss:  12 kB\nPss:    7 kB\nPss_Anon: 1 kB\n"), Some(7168));
        assert_eq!(parse_pss(""), None);
    }
}
