//! `just fuzz endpoint`: conversations with the endpoint, led by what the code does with them.
#![no_main]
#![allow(
    unsafe_code,
    reason = "the fuzzer calls the target by an unmangled name"
)]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cloister_fuzz::endpoint::endpoint(bytes);
});
