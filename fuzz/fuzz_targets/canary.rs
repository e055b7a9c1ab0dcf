#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netswap_fuzz::canary(bytes));
