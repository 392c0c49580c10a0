//! Fuzzes `entry::deflate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kiln_fuzz::deflate::check(data));
