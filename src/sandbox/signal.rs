//! Signals by name.
//!
//! Sends none.

use rustix::process::Signal;

/// Those that ask an app to do something; images name no others as their stop signal.
const NAMES: [(&str, Signal); 11] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ABRT", Signal::ABORT),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("WINCH", Signal::WINCH),
    ("PWR", Signal::POWER),
];

/// The signal of a name (`SIGTERM`, `TERM`) or number, as images write it.
pub fn parse_signal(text: &str) -> Option<Signal> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let number: Option<i32> = text.parse().ok();
    let is_it = |(known, signal): &&(&str, Signal)| *known == name || Some(signal.as_raw()) == number;
    NAMES.iter().find(is_it).map(|&(_, signal)| signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_is_found_by_name_and_number() {
        for text in ["SIGQUIT", "QUIT", "3"] {
            assert_eq!(parse_signal(text), Some(Signal::QUIT), "{text}");
        }
        for text in ["", "SIG", "quit", "0", "99"] {
            assert_eq!(parse_signal(text), None, "{text}");
        }
    }
}
