//! `tokenx`: the one binary.
fn main() {}
