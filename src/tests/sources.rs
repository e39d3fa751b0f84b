//! The house's own files, as the laws read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = ["target", "node_modules", "out", "cache", "tests-snapshots"];

/// One text file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the house, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl Source {
    /// The room it is in: the first folder.
    pub(crate) fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Its Rust code without comments and without what is compiled for tests only.
    pub(crate) fn code(&self) -> String {
        let shipped = match self.text.find("#[cfg(test)]\nmod tests {") {
            Some(start) => &self.text[..start],
            None => &self.text,
        };
        shipped.lines().map(without_comment).collect::<Vec<_>>().join("\n")
    }
}

/// A line up to its comment. A `//` inside a text, as in an address, has no space before it.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.find(" // ").map_or(line, |start| &line[..start])
}

/// Where the house stands.
pub(crate) fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of ours with one of these endings.
pub(crate) fn files(endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    visit(house(), &mut |path| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if endings.contains(&ending) {
            let text = fs::read_to_string(path).unwrap();
            let path = path.strip_prefix(house()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source { path, text });
        }
    });
    assert!(!found.is_empty(), "no file ends in {endings:?}: the laws would hold of nothing");
    found
}

/// The Rust that is shipped: not the test crate, not test modules, not build scripts.
pub(crate) fn shipped_rust() -> Vec<Source> {
    let rust = files(&["rs"]);
    let tests: Vec<PathBuf> = rust.iter().flat_map(test_modules).collect();
    rust.into_iter()
        .filter(|source| {
            let path = Path::new(&source.path);
            source.room() != "anvil-tests"
                && !source.path.starts_with("src/tests/")
                && path.file_name().is_none_or(|name| name != "build.rs")
                && !tests.iter().any(|test| path.starts_with(test) || path == test.with_extension("rs"))
        })
        .collect()
}

/// The modules that a file declares for tests only, as folders.
fn test_modules(source: &Source) -> Vec<PathBuf> {
    let path = Path::new(&source.path);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new(""));
    let folder = if ["lib", "main", "mod"].contains(&stem) { parent.to_owned() } else { parent.join(stem) };
    let lines: Vec<&str> = source.text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].trim() == "#[cfg(test)]")
        .filter_map(|pair| pair[1].trim().strip_prefix("mod ")?.strip_suffix(';'))
        .map(|name| folder.join(name))
        .collect()
}

fn visit(folder: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let name = name.to_str().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_file() {
            see(&entry.path());
        } else if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name) {
            visit(&entry.path(), see);
        }
    }
}

/// What `cargo metadata` says of the workspace alone; asks no network.
pub(crate) fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(house())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The texts of a JSON array of strings.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// The words of a text: what lies between characters that no name has.
pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect()
}
