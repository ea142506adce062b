//! Nothing: the tests are in `main.rs` and `tidy.rs`.
