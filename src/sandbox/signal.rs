//! Signals by name, and what a program starts with of them.
//!
//! Sends none.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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

/// Sees to it that the program that this process becomes ignores none of the signals that are asked of apps, whoever started
/// kiln: shells ignore interrupts in what they start in the background, `nohup` hang-ups.
///
/// What is caught is the default again when a program starts (signal(7), "Signal dispositions"); what is ignored stays so.
pub fn ignore_none() -> io::Result<()> {
    for (_, signal) in NAMES.iter().filter(|(_, signal)| *signal != Signal::KILL) {
        signal_hook::flag::register(signal.as_raw(), Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
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
