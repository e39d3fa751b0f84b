//! The settings of a `dev`: the profile's, with what this run itself decides put over them. They are a file of the data
//! folder, so that other commands can join: `tokenx admin --config .tokenx --profile dev user list`.

use anyhow::{Context, Result};
use tokenx_config::{Profile, Settings};
use toml::{Table, Value};

use super::contracts::Contracts;
use super::folder::Folder;
use super::ground::Ground;
use crate::local::suite::LANE_KEYS;
use crate::local::write_secret;

/// What `dev` decides itself: a shell prepared for a real deployment must not make it write there. Everything else
/// (`TOKENX__CHAIN__CONFIRMATIONS`, say) may be set.
const OURS: [&str; 11] = [
    "TOKENX__DATABASE__",
    "TOKENX__SIGNER__",
    "TOKENX__CHAIN__RPC_URL",
    "TOKENX__CHAIN__WS_URL",
    "TOKENX__CHAIN__CHAIN_ID",
    "TOKENX__CHAIN__START_BLOCK",
    "TOKENX__CHAIN__FACTORY",
    "TOKENX__CHAIN__REGISTRY",
    "TOKENX__CHAIN__EXECUTORS",
    "TOKENX__SERVER__BIND",
    "TOKENX__FILES__",
];

/// Writes them to the data folder and reads them back in layers, as every other command would.
pub(crate) fn settle(folder: &Folder, ground: &Ground, contracts: &Contracts, api_port: u16) -> Result<Settings> {
    let mut settings: Table = include_str!("../../config/dev.toml").parse().context("config/dev.toml is not TOML")?;
    let mut set = |section: &str, key: &str, value: Value| {
        let section = settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(key.to_owned(), value);
        }
    };
    set("database", "url", ground.database_url.as_str().into());
    set("chain", "rpc_url", ground.chain.url().into());
    set("chain", "ws_url", ground.chain.ws_url().into());
    set("chain", "start_block", i64::try_from(contracts.start_block)?.into());
    set("chain", "factory", contracts.factory.to_string().into());
    set("chain", "registry", contracts.registry.to_string().into());
    set("chain", "executors", vec![contracts.registry_executor.to_string()].into());
    set("signer", "keys", LANE_KEYS.to_vec().into());
    set("server", "bind", format!("127.0.0.1:{api_port}").into());
    set("files", "path", folder.join("files").display().to_string().into());
    // The terminal is for the table; TOKENX__TELEMETRY__FILTER=info shows more.
    set("telemetry", "filter", "warn".into());
    write_secret(&folder.join("dev.toml"), &settings.to_string())?;

    let environment = std::env::vars().filter(|(name, _)| !OURS.iter().any(|ours| name.starts_with(ours)));
    let settings = Settings::layered(Some(folder.path()), Profile::Dev, environment)?;
    settings.validate()?;
    Ok(settings)
}
