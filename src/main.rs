//! `tokenx`: the one binary.

fn main() {
    std::process::exit(tokenx::cli::run());
}
