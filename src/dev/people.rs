//! The demo world's people: staff, issuers' users, two investors, one hosted and one with his own key, and a newcomer, who is
//! to be let in by KYC.

use alloy::primitives::{Address, B256, U256};
use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokenx_api::admin::{self, NewParty, NewServiceToken, NewUser, NewWallet, Wallet, WalletKind};
use tokenx_api::policy::{Role, Scope as TokenScope};
use tokenx_config::Settings;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::{CommandId, InstrumentId, PartyId, Scope};
use tokenx_keeper::state::State;
use tokenx_keeper::{Commands, NewCommand, Operation};
use uuid::Uuid;

use super::contracts::Contracts;
use super::{ACTOR, PAUSE};
use crate::local::anvil::KEYS;
use crate::local::suite::{self, DECIMALS, key};
use crate::local::{Anvil, Report};

/// Bob holds this key himself.
pub(crate) const BOB_KEY: &str = KEYS[9];
/// Nobody knows him yet: the KYC sandbox finds him good, and the rest is an officer's to decide.
const NEWCOMER: &str = "dave::122...";
/// What Alice holds of the first instrument, in whole tokens.
const ALICE_HOLDS: &str = "1000";
/// What Alice and Bob each hold of TestUSD: 100,000 with its six decimals.
const PAYS: u64 = 100_000_000_000;
/// Germany and the United States, ISO 3166-1 numeric.
const COUNTRIES: [u16; 2] = [276, 840];

/// Someone who signs in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The variable of `dev.env` that carries the access token.
    pub(crate) variable: String,
    pub(crate) role: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

/// An investor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Investor {
    pub(crate) name: String,
    pub(crate) party_id: String,
    pub(crate) wallet_id: Uuid,
    pub(crate) address: Address,
}

impl Investor {
    fn of(name: &str, wallet: Wallet) -> Self {
        let Wallet { party_id, wallet_id, address, .. } = wallet;
        Self { name: name.to_owned(), party_id, wallet_id, address }
    }
}

/// Everyone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct People {
    pub(crate) logins: Vec<Login>,
    pub(crate) investors: Vec<Investor>,
    /// Bob's second wallet, whose key the platform holds: it signs where a shell cannot.
    pub(crate) hosted: Investor,
    pub(crate) service_read: String,
}

/// Adds everyone through the functions that the API and `tokenx admin` use. The keeper is running.
pub(crate) async fn seed(
    pool: &PgPool,
    commands: &Commands,
    settings: &Settings,
    chain: &Anvil,
    contracts: &Contracts,
    report: Report<'_>,
) -> Result<People> {
    report("adding people");
    let mut investors = Vec::new();
    for ((name, kind), country) in
        [("alice", WalletKind::Hosted), ("bob", WalletKind::SelfCustody(key(BOB_KEY)?.address()))]
            .into_iter()
            .zip(COUNTRIES)
    {
        let party_id = PartyId::parse(format!("{name}::122..."))?;
        let new = NewParty { party_id: party_id.clone(), country, investor_class: 0, kyc_expires_at: None };
        admin::add_party(pool, ACTOR, new).await?;
        admin::vouch(pool, ACTOR, &party_id).await?;
        investors.push(Investor::of(name, wallet(pool, commands, NewWallet { party_id, kind }).await?));
    }
    let newcomer = PartyId::parse(NEWCOMER)?;
    let new = NewParty { party_id: newcomer, country: COUNTRIES[0], investor_class: 0, kyc_expires_at: None };
    admin::add_party(pool, ACTOR, new).await?;
    let logins = logins(pool, settings, contracts).await?;
    let reads = vec![TokenScope::DataRead, TokenScope::OpsRead, TokenScope::ComplianceRead];
    let new = NewServiceToken {
        name: "demo reader".to_owned(),
        role: Role::SuperAdmin,
        issuer_id: None,
        scopes: reads,
        days: admin::MAX_DAYS,
    };
    let (_, service_read) = admin::add_service_token(pool, ACTOR, new).await?;

    report("whitelisting wallets and minting the first holding");
    for (investor, wallet) in investors.iter().zip(admin::list_wallets(pool, settings.chain.chain_id).await?) {
        done(commands, wallet.command.as_deref().unwrap_or_default())
            .await
            .with_context(|| format!("whitelisting {}", investor.name))?;
    }
    let ([alice, bob], Some(issuer)) = (&investors[..], contracts.issuers.first()) else { bail!("nobody to mint to") };
    // After the one of his own, which is thus his primary one.
    let second = NewWallet { party_id: PartyId::parse(bob.party_id.as_str())?, kind: WalletKind::Hosted };
    let second = wallet(pool, commands, second).await?;
    done(commands, second.command.as_deref().unwrap_or_default()).await.context("whitelisting Bob's second wallet")?;
    let hosted = Investor::of(&bob.name, second);
    let gifts = [alice, &hosted].map(|investor| (investor.address, U256::from(PAYS)));
    suite::give(&chain.url(), contracts.payment_token, &gifts).await?;
    mint(commands, &issuer.instrument, alice.address).await.context("minting Alice's holding")?;
    Ok(People { logins, investors, hosted, service_read: service_read.expose_secret().to_owned() })
}

async fn logins(pool: &PgPool, settings: &Settings, contracts: &Contracts) -> Result<Vec<Login>> {
    let issuer = |index: usize| contracts.issuers.get(index).map(|issuer| issuer.issuer_id);
    let accounts = [
        ("TOKEN", "admin", Role::SuperAdmin, None, None),
        ("TOKEN_ISSUER", "issuer", Role::Issuer, issuer(0), None),
        ("TOKEN_ISSUER_2", "issuer2", Role::Issuer, issuer(1), None),
        ("TOKEN_COMPLIANCE", "compliance", Role::ComplianceOfficer, None, None),
        ("TOKEN_TRANSFER_AGENT", "agent", Role::TransferAgent, None, None),
        ("TOKEN_ALICE", "alice", Role::Investor, None, Some("alice::122...")),
        ("TOKEN_BOB", "bob", Role::Investor, None, Some("bob::122...")),
        ("TOKEN_DAVE", "dave", Role::Investor, None, Some(NEWCOMER)),
    ];
    let mut logins = Vec::new();
    for (variable, name, role, issuer_id, party_id) in accounts {
        let email = format!("{name}@demo.test");
        let password = hex::encode(rand::random::<[u8; 8]>());
        let secret = SecretString::from(password.clone());
        let new =
            NewUser { email: email.clone(), password: secret, role, issuer_id, party_id: party_id.map(Into::into) };
        admin::add_user(pool, &settings.auth, ACTOR, new).await?;
        logins.push(Login { variable: variable.to_owned(), role: role.as_str().to_owned(), email, password });
    }
    Ok(logins)
}

/// Adds a wallet; a hosted one as soon as the keeper has a key ready.
async fn wallet(pool: &PgPool, commands: &Commands, new: NewWallet) -> Result<Wallet> {
    let mut tries = 0;
    loop {
        match admin::add_wallet(pool, commands, ACTOR, new.clone()).await {
            Err(admin::Error::Keeper(_)) if new.kind == WalletKind::Hosted && tries < 200 => tries += 1,
            other => return Ok(other?),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn mint(commands: &Commands, instrument: &str, to: Address) -> Result<()> {
    let id = format!("seed:{instrument}:alice");
    let amount = Amount::parse(ALICE_HOLDS, DECIMALS)?.base();
    commands
        .accept(&NewCommand {
            scope: Scope::System,
            command_id: CommandId::parse(id.as_str())?,
            operation: Operation::Mint { instrument: InstrumentId::parse(instrument)?, to, amount, reason: B256::ZERO },
            requested_by: ACTOR.actor.to_owned(),
            request_id: "none".to_owned(),
            answer: serde_json::json!({ "command_id": id, "status": "submitted" }).to_string(),
            valid_until: None,
        })
        .await?;
    done(commands, &id).await
}

/// Waits until a command of scope `system` is confirmed.
async fn done(commands: &Commands, id: &str) -> Result<()> {
    let command_id = CommandId::parse(id)?;
    loop {
        let view = commands.view(&Scope::System, &command_id).await?.context("the command is not there")?;
        match view.state {
            State::Confirmed | State::Final => return Ok(()),
            State::Failed | State::Cancelled | State::Expired | State::Rejected => {
                bail!("{id} ended {}: {}", view.state.name(), view.failure.unwrap_or_default())
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
