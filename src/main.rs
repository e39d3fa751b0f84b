//! `tokenx`: the one binary.

fn main() {
    tokenx::cli::run()
}
