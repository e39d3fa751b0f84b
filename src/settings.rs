//! The flags by which a command finds its settings.

use std::path::PathBuf;

use anyhow::Result;
use tokenx_config::{Profile, Settings};

use crate::failure::{Advice, BAD_SETTINGS};

/// Where settings come from: defaults, then `default.toml` and `{profile}.toml` of a folder, then `TOKENX__SECTION__KEY`,
/// then secret files.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// Folder with default.toml and the file of the profile, as dev.toml (of a running dev: its data folder)
    #[arg(long, default_value = "config", env = "TOKENX_CONFIG", value_name = "FOLDER", global = true)]
    pub config: PathBuf,
    /// dev, test, bench or production
    #[arg(long, default_value = "production", env = "TOKENX_PROFILE", value_name = "PROFILE", global = true)]
    pub profile: Profile,
}

impl Flags {
    /// Reads the settings without judging them.
    pub fn read(&self) -> Result<Settings> {
        Settings::load(&self.config, self.profile)
            .hint(format!("`tokenx config print --profile {}` shows what is in force", self.profile))
            .code(BAD_SETTINGS)
    }

    /// Reads the settings and refuses bad ones.
    pub fn load(&self) -> Result<Settings> {
        let settings = self.read()?;
        settings.validate().hint("config/default.toml explains every setting").code(BAD_SETTINGS)?;
        Ok(settings)
    }
}
