//! How often, how soon and how long: retries, waits, limits of patience.
//!
//! Does not know what is tried.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

/// Tries of one request: with the waits between them half a minute, which a restart of a registry takes.
pub(super) const MAX_ATTEMPTS: u32 = 6;

/// Tries to reach a host that does not answer at all: three seconds.
pub(super) const MAX_FIRST_ATTEMPTS: u32 = 3;

/// Tries of one blob that does get on between them: a link that is cut every few MiB still gets through a layer.
pub(super) const MAX_RESUMES: u32 = 100;

/// Longest wait between two tries, in seconds.
const MAX_BACKOFF: u32 = 30;

/// Longest wait that a registry may ask for, in seconds: beyond it the run fails and says so.
pub(super) const MAX_RETRY_AFTER: u64 = 120;

/// Bytes that must come while [`Pace::stall`] passes; less is a line that stands still: 4 KiB a second, half of what the
/// first mobile networks gave. What trickles must not keep a run going for months.
pub(super) const MIN_PROGRESS: u64 = 256 << 10;

/// The lengths of all waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// What a second is: tests make it short. Scales the waits between tries, those a registry asks for too.
    pub second: Duration,
    /// How long a connection may give or take nothing.
    pub stall: Duration,
    /// How long connecting may take.
    pub connect: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            // What proxies and registries grant each other by default.
            stall: Duration::from_mins(1),
            connect: Duration::from_secs(30),
        }
    }
}

impl Pace {
    /// The wait before try number `next` (2 is the first that waits): doubled each time, less up to a half at random, so
    /// that many runs do not come back at once. `None` where the registry asks for more than is waited.
    pub(super) fn before(self, next: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if let Some(asked) = retry_after {
            return (asked.as_secs() <= MAX_RETRY_AFTER).then(|| self.second.mul_f64(asked.as_secs_f64()));
        }
        let seconds = 1_u32.checked_shl(next.saturating_sub(2)).unwrap_or(MAX_BACKOFF).min(MAX_BACKOFF);
        let full = self.second * seconds;
        let thousandth = u32::try_from(RandomState::new().hash_one(next) % 500).unwrap_or(0);
        Some(full * (1000 - thousandth) / 1000)
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3); a date that has passed is no wait.
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value.trim()).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// Whether an answer may be another one in a moment.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        let pace = Pace::default();
        for (next, most) in [(2, 1), (3, 2), (4, 4), (7, 30), (60, 30)] {
            let wait = pace.before(next, None).unwrap();
            let most = Duration::from_secs(most);
            assert!(wait <= most && wait >= most / 2, "{next}: {wait:?}");
        }
    }

    #[test]
    fn registry_may_ask_for_a_wait_within_reason() {
        let pace = Pace { second: Duration::from_millis(1), ..Pace::default() };
        assert_eq!(pace.before(2, Some(Duration::from_secs(7))), Some(Duration::from_millis(7)));
        assert_eq!(pace.before(2, Some(Duration::from_secs(121))), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let parse = |text| parse_retry_after(text, now);
        assert_eq!(parse("3"), Some(Duration::from_secs(3)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
    }
}
