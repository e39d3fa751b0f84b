//! `tokenx deploy`.

mod addresses;

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use anyhow::{Context, Result, anyhow};
use secrecy::{ExposeSecret, SecretString};
use tokenx_keeper::deploy::{Deployer, Governance, NewNode, Plan, Step};
use tokenx_keeper::signer::cold_key;

use self::addresses::Addresses;
use crate::failure::{Advice, BAD_SETTINGS};
use crate::progress::Progress;
use crate::settings::Flags;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// JSON-RPC endpoint; that of the settings if not said. Every process sees it here: where it holds a provider's key,
    /// set TOKENX__CHAIN__RPC_URL instead
    #[arg(long, value_name = "URL")]
    rpc_url: Option<String>,
    /// What the endpoint must say its chain is; that of the settings if not said
    #[arg(long, value_name = "ID")]
    chain_id: Option<u64>,
    /// Keystore file of the cold key; without it the key itself comes from TOKENX_DEPLOY_KEY
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
    /// Address of the cold key, which a plan does not need
    #[arg(long, value_name = "ADDRESS", requires = "plan", conflicts_with = "keystore")]
    admin: Option<Address>,
    /// Address of a keeper's lane; once for each
    #[arg(long = "keeper", value_name = "ADDRESS", required_unless_present = "plan")]
    keepers: Vec<Address>,
    /// May stop the Executors at once
    #[arg(long, value_name = "ADDRESS")]
    guardian: Option<Address>,
    /// How long a new admin and a wider rule wait
    #[arg(long, value_name = "SECONDS", default_value_t = 172_800)]
    admin_delay: u64,
    /// Tells suites of one admin on one chain apart
    #[arg(long, value_name = "TEXT", default_value = "")]
    salt: String,
    /// Make a second suite where the file tells of another one, whose file is kept under its registry's address
    #[arg(long)]
    new: bool,
    /// Add keepers, guardian and node to the suite of this factory, of which the file tells, whatever it was made from
    #[arg(long, value_name = "ADDRESS", conflicts_with = "new")]
    factory: Option<Address>,
    /// Deploy TestUSD as well, a payment token that anyone may mint: never where money is real
    #[arg(long)]
    test_money: bool,
    /// Also deploy a node of this id
    #[arg(long, value_name = "ID", requires = "issuer", requires = "treasury")]
    node: Option<String>,
    /// Id of the node's issuer
    #[arg(long, value_name = "ID", requires = "node")]
    issuer: Option<String>,
    /// Wallet that receives the node's proceeds and funds its payouts
    #[arg(long, value_name = "ADDRESS", requires = "node")]
    treasury: Option<Address>,
    /// Let the node's Executor set prices, payment tokens, fees and who gets them, which else the admin alone does. A thief
    /// of a keeper's key could then sell at any price, and have fees and redemptions paid to himself, until the guardian
    /// stops the Executor
    #[arg(long, requires = "node")]
    keeper_sets_terms: bool,
    /// Only show what there is and what would be done
    #[arg(long)]
    plan: bool,
    /// Where the addresses go, and those of earlier runs are; tokenx-<chain id>.json if not said
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) const HELP: &str = "\
Addresses follow from code, admin, delay and salt. Coming again therefore finds what is there and does the rest, whatever
broke off the first time; a keeper or a node named later is added. Only the admin can carry it out. With another delay or
salt, or a newer version's code, it would be another suite: it stops where the file tells of one already. A keeper that was
shut out is let in again if it is named again; what the factory gives to new nodes is never put back.

  export TOKENX__CHAIN__RPC_URL=https://… TOKENX__CHAIN__CHAIN_ID=1 TOKENX_DEPLOY_PASSWORD=…
  tokenx deploy --admin 0x… --keeper 0x… --plan
  tokenx deploy --keystore cold.json --keeper 0x…

The file that it writes holds all addresses, of nodes of earlier runs too; what the settings need of them is printed at the
end.";

/// Deploys the suite, and a node if one is named.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let settings = arguments.flags.read()?;
    let rpc_url = arguments.rpc_url.clone().unwrap_or_else(|| settings.chain.rpc_url.expose_secret().to_owned());
    let chain_id = arguments.chain_id.unwrap_or(settings.chain.chain_id);
    if rpc_url.is_empty() || chain_id == 0 {
        return Err(anyhow!("no chain to deploy on"))
            .hint("give --rpc-url and --chain-id, or set chain.rpc_url and chain.chain_id")
            .code(BAD_SETTINGS);
    }
    let deployer = match arguments.admin {
        Some(admin) => Deployer::look(&rpc_url, admin).await?,
        None => {
            let keystore = arguments.keystore.as_deref();
            Deployer::connect(&rpc_url, cold_key(keystore, &secret(keystore)?).await?).await?
        }
    };
    if deployer.chain_id() != chain_id {
        let there = deployer.chain_id();
        return Err(anyhow!("the endpoint is of chain {there}, not of chain {chain_id}"))
            .hint("check --rpc-url and --chain-id")
            .code(BAD_SETTINGS);
    }
    let governance = Governance {
        admin_delay: arguments.admin_delay,
        guardian: arguments.guardian.unwrap_or_default(),
        keepers: arguments.keepers.clone(),
    };
    let file = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("tokenx-{chain_id}.json")));
    let told = Addresses::read(&file)?;
    let plan = arguments.plan(deployer.admin(), &governance, &file, told.as_ref())?;
    let (told, other) = match told {
        Some(told) if told.is_of(chain_id, &plan.suite) => (Some(told), None),
        other => (None, other),
    };
    if let Some(other) = &other
        && !arguments.new
    {
        return addresses::another(&file, other, &plan.suite);
    }
    let node = arguments.new_node();
    let progress = Progress::start();
    let mut notes = Vec::new();
    let unmined = deployer.unmined().await?;
    if !unmined.is_empty() {
        let earlier = format!("{} transactions of an earlier run are not mined", unmined.count());
        if arguments.plan {
            notes.push(format!("{earlier}: what they do is not seen yet"));
        } else {
            progress.step(&format!("{earlier}: waiting for them"));
            deployer.settle().await?;
        }
    }
    let mut steps = plan.steps.clone();
    if let Some(node) = &node {
        steps.extend(deployer.node_steps(plan.suite.factory, &governance, node).await?);
    }
    let done = deployer.done(&steps).await.context("the endpoint does not say what is deployed")?;
    if arguments.plan {
        progress.finish();
        return show(&steps, &done, "to do", &notes);
    }

    let left = done.iter().filter(|done| !**done).count();
    progress.step(&format!("{left} of {} steps to do", steps.len()));
    let receipts = deployer.carry_out(&plan.steps).await.hint(AGAIN)?;
    let mut suite = plan.suite;
    // The admin may have told the factory of newer ones.
    suite.implementations = deployer.implementations(suite.factory).await.unwrap_or(suite.implementations);
    let begins = match deployer.start_block(&suite, &receipts).await {
        Ok(block) => Some(block),
        Err(error) => {
            notes.push(format!("where the suite begins is not found: {error}"));
            None
        }
    };
    let mut addresses = Addresses::of(chain_id, deployer.admin(), &suite, begins);
    if let Some(told) = told {
        addresses = addresses.after(told);
    }
    if let Some(other) = other {
        notes.push(format!("the other suite's addresses are in {}", other.aside(&file)?.display()));
    }
    addresses.write(&file)?;
    if let Some(new) = node {
        progress.step(&format!("deploying node {}", new.node_id));
        for node in deployer.nodes(suite.factory, &governance, std::slice::from_ref(&new)).await.hint(AGAIN)? {
            addresses.add(&new.node_id, &node);
        }
        addresses.write(&file)?;
    }
    progress.finish();
    show(&steps, &done, "done now", &notes)?;
    Ok(addresses.tell(&file)?)
}

const AGAIN: &str = "what was done stays done: run the same command again for the rest";

impl Arguments {
    /// The suite of these arguments, or the one that is there if its factory is named.
    fn plan(&self, admin: Address, governance: &Governance, file: &Path, told: Option<&Addresses>) -> Result<Plan> {
        let Some(factory) = self.factory else {
            return Ok(Plan::of(admin, governance, &self.salt, self.test_money));
        };
        match told.map(Addresses::suite) {
            Some(suite) if suite.factory == factory => Ok(Plan::onto(suite, governance)),
            _ => Err(anyhow!("{} does not tell of factory {factory}", file.display()))
                .hint("name the file that was written when it was deployed with --out"),
        }
    }

    fn new_node(&self) -> Option<NewNode> {
        Some(NewNode {
            node_id: self.node.clone()?,
            issuer_id: self.issuer.clone()?,
            treasury: self.treasury?,
            keeper_sets_terms: self.keeper_sets_terms,
        })
    }
}

/// The variable that unlocks the cold key; never an argument, which every process can read.
fn secret(keystore: Option<&Path>) -> Result<SecretString> {
    let (name, what) = match keystore {
        Some(_) => ("TOKENX_DEPLOY_PASSWORD", "the keystore's password"),
        None => ("TOKENX_DEPLOY_KEY", "the cold key, or name its --keystore"),
    };
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => Ok(text.into()),
        _ => Err(anyhow!("{name} is not set")).hint(format!("set it to {what}")),
    }
}

fn show(steps: &[Step], done: &[bool], otherwise: &str, notes: &[String]) -> Result<()> {
    let mut out = stdout().lock();
    for (step, done) in steps.iter().zip(done) {
        let state = if *done { "there" } else { otherwise };
        let address = step.makes.map(|address| format!("  {address}")).unwrap_or_default();
        writeln!(out, "{state:8}  {}{address}", step.what)?;
    }
    for note in notes {
        writeln!(out, "{note}")?;
    }
    Ok(())
}
