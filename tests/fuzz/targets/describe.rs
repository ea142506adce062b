//! `just fuzz describe`: anything as a file in `mcp/`, led by what the code does with it.
#![no_main]
#![allow(
    unsafe_code,
    reason = "the fuzzer calls the target by an unmangled name"
)]

libfuzzer_sys::fuzz_target!(
    init: {
        // The WIT parser may panic on hostile text, and the host copes. The fuzzer's own hook would
        // end the process before it can; a panic that nobody catches still ends it.
        drop(std::panic::take_hook());
        if let Some(folder) = std::env::var_os("SEEDS") {
            for (place, seed) in cloister_fuzz::describe::seeds().iter().enumerate() {
                let path = std::path::Path::new(&folder).join(format!("seed-{place}"));
                std::fs::write(path, seed).expect("a folder for seeds");
            }
        }
    },
    |bytes: &[u8]| {
        cloister_fuzz::describe::describe(bytes);
    }
);
