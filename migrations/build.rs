//! A new file under `sql/` must rebuild the crate that embeds it.
fn main() {
    println!("cargo:rerun-if-changed=sql");
}
