//! Layers, each over the one before: defaults in code, `default.toml`, `{profile}.toml`, the environment, secret files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use crate::settings::{Profile, Settings};

/// `TOKENX__SECTION__KEY`.
const PREFIX: &str = "TOKENX__";
const SEPARATOR: &str = "__";

/// Keys that may come from a file of their own: `section.key_file = "path"` sets `section.key` to its content.
const SECRETS: [(&str, &str); 11] = [
    ("database", "url"),
    ("database", "direct_url"),
    ("chain", "rpc_url"),
    ("chain", "ws_url"),
    ("signer", "master_key"),
    ("signer", "keystore_password"),
    ("files", "secret_key"),
    ("auth", "jwt_secret"),
    ("kyc", "app_token"),
    ("kyc", "secret_key"),
    ("kyc", "webhook_secret"),
];

/// Why settings could not be read. Values of secrets are never part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A file or variable that cannot be read as settings.
    #[error("settings: {0}")]
    Read(String),
    /// A key that does not exist, or a value of the wrong kind.
    #[error("settings: {key}: {problem}")]
    Key {
        /// The key, dotted; an unknown one is named by `problem`.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A secret's file that cannot be read.
    #[error("settings: {key}: cannot read {}: {source}", path.display())]
    SecretFile {
        /// The key that names the file.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl From<ConfigError> for SettingsError {
    fn from(error: ConfigError) -> Self {
        Self::Read(error.to_string())
    }
}

impl Settings {
    /// Reads the settings of `profile` from `dir` and the environment. A file that is not there is skipped; the
    /// profile's own then comes from the binary, which carries a copy.
    ///
    /// Reading does not judge: call [`Settings::validate`] next.
    ///
    /// # Errors
    /// [`SettingsError`], naming the file or the key.
    pub fn load(dir: &Path, profile: Profile) -> Result<Self, SettingsError> {
        Self::layered(
            Some(dir),
            profile,
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// The settings that the binary carries for `profile`: no files, no environment.
    ///
    /// # Errors
    /// None in a binary whose tests pass.
    pub fn embedded(profile: Profile) -> Result<Self, SettingsError> {
        Self::layered(None, profile, [])
    }

    /// As [`Settings::load`], with the environment given.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn layered(
        dir: Option<&Path>,
        profile: Profile,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Config::builder();
        let file = |name: &str| dir.map(|dir| dir.join(name)).filter(|path| path.exists());
        if let Some(path) = file("default.toml") {
            layers = layers.add_source(File::from(path).format(FileFormat::Toml));
        }
        layers = match file(&format!("{profile}.toml")) {
            Some(path) => layers.add_source(File::from(path).format(FileFormat::Toml)),
            None => layers.add_source(File::from_str(carried(profile), FileFormat::Toml)),
        };
        layers = layers.add_source(Environment(environment.into_iter().collect()));
        let mut root = layers.build()?.cache.into_table()?;
        read_secret_files(&mut root)?;
        // The caller chose the profile; a file that says otherwise is somebody's mistake.
        if let Some(said) = root.get("profile").map(ToString::to_string).filter(|said| *said != profile.as_str()) {
            return Err(SettingsError::Key {
                key: "profile".to_owned(),
                problem: format!(
                    "the settings say {said:?}, but {profile} was asked for: remove the key or change the command"
                ),
            });
        }
        root.insert("profile".to_owned(), Value::new(None, profile.as_str()));
        serde_path_to_error::deserialize(Value::new(None, ValueKind::Table(root)))
            .map_err(|error| SettingsError::Key { key: error.path().to_string(), problem: error.inner().to_string() })
    }
}

/// The binary's copy of a profile's file.
pub(crate) const fn carried(profile: Profile) -> &'static str {
    match profile {
        Profile::Dev => include_str!("../dev.toml"),
        Profile::Test => include_str!("../test.toml"),
        Profile::Production => include_str!("../production.toml"),
        Profile::Bench => include_str!("../bench.toml"),
    }
}

/// Replaces each `key_file` by `key`, with the file's content less its last line break.
fn read_secret_files(root: &mut Map<String, Value>) -> Result<(), SettingsError> {
    for (section, key) in SECRETS {
        let Some(ValueKind::Table(table)) = root.get_mut(section).map(|value| &mut value.kind) else {
            continue;
        };
        let Some(path) = table.remove(&format!("{key}_file")) else { continue };
        let path = PathBuf::from(path.into_string()?);
        let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::SecretFile {
            key: format!("{section}.{key}_file"),
            path: path.clone(),
            source,
        })?;
        table.insert(key.to_owned(), Value::new(None, text.trim_end_matches(['\r', '\n'])));
    }
    Ok(())
}

/// `TOKENX__SECTION__KEY=value`. Values stay text, so that a password of digits keeps its zeros; one that begins with
/// `[` is a TOML list.
#[derive(Clone, Debug)]
struct Environment(HashMap<String, String>);

impl Source for Environment {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut collected = Map::new();
        for (name, text) in &self.0 {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            let key = key.to_ascii_lowercase().replace(SEPARATOR, ".");
            let value = if text.trim_start().starts_with('[') {
                let origin = Some(&format!("environment variable {name}"));
                let list: Map<String, Value> = toml::from_str(&format!("list = {text}")).map_err(|_| {
                    ConfigError::Message(format!("{name} begins a list but is not one: write it as in toml"))
                })?;
                list.get("list").map(|value| Value::new(origin, value.kind.clone()))
            } else {
                Some(Value::new(None, text.as_str()))
            };
            collected.extend(value.map(|value| (key, value)));
        }
        Ok(collected)
    }
}

#[cfg(test)]
mod tests;
