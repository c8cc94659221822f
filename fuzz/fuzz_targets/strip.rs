#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whop_sync::fuzzing::strip(bytes));
