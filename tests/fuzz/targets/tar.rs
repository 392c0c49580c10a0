//! Fuzzes `entry::tar`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kiln_fuzz::tar::check(data));
