//! Fuzzes `entry::edit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kiln_fuzz::edit::check(data));
