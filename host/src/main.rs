//! The command `cloister`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloister::cli::main()
}
