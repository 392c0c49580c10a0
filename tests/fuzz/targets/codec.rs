//! Fuzzes `entry::codec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kiln_fuzz::codec::check(data));
