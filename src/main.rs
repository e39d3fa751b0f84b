//! `tokenx`: the one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenx::cli::run()
}
