//! `just fuzz bearer`: tokens and what carries them, led by what the code does with it.
#![no_main]
#![allow(
    unsafe_code,
    reason = "the fuzzer calls the target by an unmangled name"
)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cloister_fuzz::bearer::bearer(bytes);
});
