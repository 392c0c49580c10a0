//! Fuzzes `entry::apk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kiln_fuzz::apk::check(data));
