//! `dev.env`: what scripts source.

use std::fmt::{Display, Write};
use std::path::Path;

use anyhow::Result;

use crate::local::write_secret;

/// Shell variables in the order in which they are written.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    /// Adds one.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Display) {
        self.variables.push((name.into(), value.to_string()));
    }

    /// Writes the file, readable by its owner only. It appears whole or not at all: scripts wait for it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let draft = path.with_extension("env.new");
        write_secret(&draft, &self.text())?;
        Ok(std::fs::rename(draft, path)?)
    }

    fn text(&self) -> String {
        let mut text =
            "# Written by `tokenx dev` when it is ready, removed when it ends. For: source this file\n".to_owned();
        for (name, value) in &self.variables {
            // A single quote cannot be escaped between single quotes: close, escape it, open again.
            let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let values = ["plain", "with space", "it's", "$HOME `id` \\ \"", "alice::122...", "", "a\nb"];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.env");
        let mut environment = Environment::default();
        for (index, value) in values.iter().enumerate() {
            environment.set(format!("V{index}"), value);
        }
        environment.write(&path).unwrap();
        for (index, value) in values.iter().enumerate() {
            let script = format!(". \"$0\"; printf %s \"$V{index}\"");
            let output = Command::new("sh").args(["-c", &script]).arg(&path).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), *value);
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
