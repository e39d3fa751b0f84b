//! The file of addresses: what one suite on one chain consists of. Each run adds to it and takes nothing away.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write, stdout};
use std::path::{Path, PathBuf};
use std::{fs, io};

use alloy::primitives::Address;
use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use tokenx_keeper::deploy::{Implementations, Node, Suite};

use crate::failure::Advice;

/// What is written for people and programs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Addresses {
    chain_id: u64,
    admin: Address,
    /// The first block that holds any of them; null where the endpoint did not tell.
    start_block: Option<u64>,
    registry: Address,
    registry_executor: Address,
    factory: Address,
    token_implementation: Address,
    implementations: Implementations,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_token: Option<Address>,
    /// Nodes by their ids.
    #[serde(default)]
    nodes: BTreeMap<String, OneNode>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OneNode {
    executor: Address,
    contracts: Implementations,
}

impl Addresses {
    pub(super) fn of(chain_id: u64, admin: Address, suite: &Suite, start_block: Option<u64>) -> Self {
        Self {
            chain_id,
            admin,
            start_block,
            registry: suite.registry,
            registry_executor: suite.registry_executor,
            factory: suite.factory,
            token_implementation: suite.token_implementation,
            implementations: suite.implementations,
            payment_token: suite.payment_token,
            nodes: BTreeMap::new(),
        }
    }

    /// What the file tells; `None` where there is no file.
    pub(super) fn read(file: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", file.display()))?,
        };
        serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("{} tells of no suite", file.display()))
            .hint("mend it, or name another file with --out")
    }

    /// The suite that it tells of.
    pub(super) fn suite(&self) -> Suite {
        Suite {
            registry: self.registry,
            registry_executor: self.registry_executor,
            factory: self.factory,
            token_implementation: self.token_implementation,
            implementations: self.implementations,
            payment_token: self.payment_token,
        }
    }

    /// Whether it tells of this suite on this chain.
    pub(super) fn is_of(&self, chain_id: u64, suite: &Suite) -> bool {
        (self.chain_id, self.registry, self.factory) == (chain_id, suite.registry, suite.factory)
    }

    /// Keeps what an earlier run has written of the same suite and this one does not know.
    pub(super) fn after(mut self, earlier: Self) -> Self {
        self.start_block = self.start_block.or(earlier.start_block);
        self.payment_token = self.payment_token.or(earlier.payment_token);
        self.nodes = earlier.nodes;
        self
    }

    pub(super) fn add(&mut self, node_id: &str, node: &Node) {
        self.nodes.insert(node_id.to_owned(), OneNode { executor: node.executor, contracts: node.contracts });
    }

    /// Moves the file of another suite out of the way; where to.
    pub(super) fn aside(&self, file: &Path) -> Result<PathBuf> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let kept = file.with_file_name(format!("{stem}-{}.json", self.registry));
        fs::rename(file, &kept).with_context(|| format!("cannot rename {}", file.display()))?;
        Ok(kept)
    }

    /// The whole file or none of it.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let beside = file.with_extension("json.new");
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// What the settings need of them.
    pub(super) fn tell(&self, file: &Path) -> io::Result<()> {
        let Self { chain_id, start_block, registry, registry_executor, factory, nodes, .. } = self;
        let mut out = stdout().lock();
        writeln!(
            out,
            "\naddresses are in {}; the settings need these:\n\n[chain]\nchain_id = {chain_id}",
            file.display()
        )?;
        match start_block {
            Some(block) => writeln!(out, "start_block = {block}")?,
            None => writeln!(out, "# start_block = …  the block of the registry's creation")?,
        }
        writeln!(out, "factory = \"{factory}\"\nregistry = \"{registry}\"\nexecutors = [\"{registry_executor}\"]")?;
        for (node_id, OneNode { executor, .. }) in nodes {
            writeln!(out, "\nnode {node_id}: tokenx admin node add --issuer <its issuer's id> --executor {executor}")?;
        }
        Ok(())
    }
}

/// That the file tells of another suite than the one to be deployed.
pub(super) fn another(file: &Path, told: &Addresses, planned: &Suite) -> Result<()> {
    let (there, factory) = (told.factory, planned.factory);
    Err(anyhow!(
        "{} tells of the suite of factory {there} on chain {}; with this admin, delay, salt and code it would be that of \
         factory {factory}",
        file.display(),
        told.chain_id,
    ))
    .hint(format!(
        "to add to the suite that is there, name --factory {there}; for a second one beside it, say --new"
    ))
}
