//! `tokenx admin`: the people and things the platform knows. The same functions serve the API and the demo world.

use std::io::{Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenx_api::admin::{self, By, NewCurrency, NewNode, NewParty, NewServiceToken, NewUser, NewWallet, WalletKind};
use tokenx_api::policy::{Role, Scope};
use tokenx_config::Settings;
use tokenx_contracts::ids::PartyId;
use uuid::Uuid;

use crate::failure::Advice;
use crate::services;
use crate::settings::Flags;
use crate::table;

/// `tokenx admin`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Organisations that issue instruments
    #[command(subcommand)]
    Issuer(Issuer),
    /// An issuer's set of contracts, named by its Executor
    #[command(subcommand)]
    Node(Node),
    /// Payment tokens in which prices are written
    #[command(subcommand)]
    Currency(Currency),
    /// Accounts that sign in
    #[command(subcommand)]
    User(User),
    /// Holders: who stands behind wallets
    #[command(subcommand)]
    Party(Party),
    /// Addresses of parties; adding one queues its whitelisting on chain
    #[command(subcommand)]
    Wallet(Wallet),
    /// Tokens of back-office tools
    #[command(subcommand)]
    ServiceToken(ServiceToken),
    /// The keeper's signing keys: what each is at, and what stands in its way
    #[command(subcommand)]
    Lane(Lane),
}

#[derive(Debug, Subcommand)]
enum Issuer {
    /// Add one
    Add {
        /// Its name, unique
        #[arg(long)]
        name: String,
    },
    /// All of them, oldest first
    List,
}

#[derive(Debug, Subcommand)]
enum Node {
    /// Add one to an issuer: instruments that its Executor drives become the issuer's own
    Add {
        /// The issuer's id, from `tokenx admin issuer list`
        #[arg(long)]
        issuer: Uuid,
        /// The Executor's address
        #[arg(long)]
        executor: Address,
        /// The treasury's address
        #[arg(long)]
        treasury: Option<Address>,
    },
    /// All of them, oldest first
    List,
}

#[derive(Debug, Subcommand)]
enum Currency {
    /// Add one
    Add {
        /// Its contract's address
        #[arg(long)]
        address: Address,
        /// What people call it, as USDT
        #[arg(long)]
        symbol: String,
        /// Its decimals, as its contract says them
        #[arg(long)]
        decimals: u8,
    },
    /// All of them, oldest first
    List,
}

#[derive(Debug, Subcommand)]
enum User {
    /// Add one. Without --password-file a password is made up and shown once
    Add {
        /// Where it signs in with
        #[arg(long)]
        email: String,
        /// investor, issuer, compliance_officer, transfer_agent or super_admin
        #[arg(long)]
        role: Role,
        /// For the role issuer: the issuer's id
        #[arg(long)]
        issuer: Option<Uuid>,
        /// For the role investor: the party's id
        #[arg(long)]
        party: Option<String>,
        /// File whose first line is the password; `-` reads it from standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// All of them, oldest first
    List,
    /// Suspend one: an investor looks still and does nothing, anybody else is out
    Suspend {
        /// Its id, from `tokenx admin user list`
        id: Uuid,
    },
    /// Take a suspension back
    Resume {
        /// Its id
        id: Uuid,
    },
    /// Give one another password and end its sign-ins. Without --password-file a password is made up and shown once
    Password {
        /// Its id
        id: Uuid,
        /// File whose first line is the password; `-` reads it from standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum Party {
    /// Add one
    Add {
        /// Its id: 1 to 128 printable characters, unique and for ever, not like an address
        #[arg(long)]
        party: PartyId,
        /// ISO 3166-1 numeric country code, as 276 for Germany
        #[arg(long)]
        country: u16,
        /// Investor class, as the registry carries it
        #[arg(long, default_value_t = 0)]
        investor_class: u8,
        /// When its KYC ends, as 2030-01-31T00:00:00Z; never if absent
        #[arg(long, value_parser = instant, value_name = "TIME")]
        kyc_expires_at: Option<OffsetDateTime>,
        /// Take its KYC as approved, on your word; without it the party applies, and an officer decides
        #[arg(long)]
        vouch: bool,
    },
    /// All of them, oldest first
    List,
}

#[derive(Debug, Subcommand)]
enum Wallet {
    /// Add one to a party: hosted (a new key of ours) unless --address names one of the party's own
    Add {
        /// The party's id
        #[arg(long)]
        party: PartyId,
        /// Address whose key the party holds itself
        #[arg(long)]
        address: Option<Address>,
    },
    /// All of them, oldest first, approved or not as the chain has it
    List,
}

#[derive(Debug, Subcommand)]
enum ServiceToken {
    /// Make one; its text is shown once
    Add {
        /// What it is for
        #[arg(long)]
        name: String,
        /// Any role but investor
        #[arg(long)]
        role: Role,
        /// For the role issuer: the issuer's id
        #[arg(long)]
        issuer: Option<Uuid>,
        /// ledger:write, data:read, ops:read, compliance:read, compliance:write; may be given several times
        #[arg(long = "scope", required = true)]
        scopes: Vec<Scope>,
        /// Days that it lives
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=i64::from(admin::MAX_DAYS)))]
        days: u16,
    },
    /// All of them, newest first; none can be shown again
    List,
    /// End one now
    Revoke {
        /// Its id, from `tokenx admin service-token list`
        id: Uuid,
    },
}

#[derive(Debug, Subcommand)]
enum Lane {
    /// All of them, as they are now
    List,
    /// Let a halted one go on, once what `list` says of it is put right
    Resume {
        /// Its address, from `tokenx admin lane list`
        address: Address,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let settings = arguments.flags.read()?;
    let pool = services::database(&settings).await?;
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let actor = format!("cli:{name}");
    let by = By { actor: &actor, request_id: None };
    let rows = match arguments.what {
        What::Issuer(command) => issuer(&pool, by, command).await?,
        What::Node(command) => node(&pool, &settings, by, command).await?,
        What::Currency(command) => currency(&pool, &settings, by, command).await?,
        What::User(command) => user(&pool, &settings, by, command).await?,
        What::Party(command) => party(&pool, by, command).await?,
        What::Wallet(command) => wallet(&pool, &settings, by, command).await?,
        What::ServiceToken(command) => service_token(&pool, by, command).await?,
        What::Lane(command) => lane(&pool, &settings, by, command).await?,
    };
    if arguments.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&rows)?)?;
    } else {
        write!(stdout(), "{}", table::text(&rows))?;
    }
    Ok(())
}

async fn issuer(pool: &PgPool, by: By<'_>, command: Issuer) -> Result<Vec<Value>> {
    let issuers = match command {
        Issuer::Add { name } => vec![admin::add_issuer(pool, by, &name).await?],
        Issuer::List => admin::list_issuers(pool).await?,
    };
    Ok(issuers.iter().map(|issuer| json!({ "issuer_id": issuer.issuer_id, "name": issuer.name })).collect())
}

async fn node(pool: &PgPool, settings: &Settings, by: By<'_>, command: Node) -> Result<Vec<Value>> {
    let nodes = match command {
        Node::Add { issuer: issuer_id, executor, treasury } => {
            let new = NewNode { issuer_id, chain_id: settings.chain.chain_id, executor, treasury };
            vec![admin::add_node(pool, by, new).await?]
        }
        Node::List => admin::list_nodes(pool).await?,
    };
    let row =
        |node: &admin::Node| json!({ "node_id": node.node_id, "issuer_id": node.issuer_id, "executor": node.executor });
    Ok(nodes.iter().map(row).collect())
}

async fn currency(pool: &PgPool, settings: &Settings, by: By<'_>, command: Currency) -> Result<Vec<Value>> {
    let chain_id = settings.chain.chain_id;
    let currencies = match command {
        Currency::Add { address, symbol, decimals } => {
            vec![admin::add_currency(pool, by, NewCurrency { chain_id, address, symbol, decimals }).await?]
        }
        Currency::List => admin::list_currencies(pool, chain_id).await?,
    };
    let row = |currency: &tokenx_api::tokens::Currency| {
        json!({
            "currency_id": currency.currency_id,
            "address": currency.address,
            "symbol": currency.symbol,
            "decimals": currency.decimals,
        })
    };
    Ok(currencies.iter().map(row).collect())
}

async fn user(pool: &PgPool, settings: &Settings, by: By<'_>, command: User) -> Result<Vec<Value>> {
    let row = |user: tokenx_api::store::users::User| {
        json!({
            "user_id": user.user_id,
            "email": user.email,
            "role": user.role.as_str(),
            "issuer_id": user.issuer_id,
            "party_id": user.party_id,
            "suspended": user.suspended,
        })
    };
    match command {
        User::List => Ok(admin::list_users(pool).await?.into_iter().map(row).collect()),
        User::Suspend { id } => Ok(vec![row(admin::suspend_user(pool, by, id, true).await?)]),
        User::Resume { id } => Ok(vec![row(admin::suspend_user(pool, by, id, false).await?)]),
        User::Password { id, password_file } => {
            let (password, made_up) = password(password_file.as_deref())?;
            admin::set_password(pool, &settings.auth, by, id, password.clone()).await?;
            let mut changed = json!({ "user_id": id });
            if made_up {
                changed["password"] = password.expose_secret().into();
            }
            Ok(vec![changed])
        }
        User::Add { email, role, issuer: issuer_id, party: party_id, password_file } => {
            let (password, made_up) = password(password_file.as_deref())?;
            let new = NewUser { email, password: password.clone(), role, issuer_id, party_id };
            let mut added = row(admin::add_user(pool, &settings.auth, by, new).await?);
            if made_up {
                added["password"] = password.expose_secret().into();
            }
            Ok(vec![added])
        }
    }
}

async fn party(pool: &PgPool, by: By<'_>, command: Party) -> Result<Vec<Value>> {
    let parties = match command {
        Party::Add { party: party_id, country, investor_class, kyc_expires_at, vouch } => {
            let new = NewParty { party_id: party_id.clone(), country, investor_class, kyc_expires_at };
            let added = admin::add_party(pool, by, new).await?;
            if vouch {
                admin::vouch(pool, by, &party_id).await?;
            }
            vec![added]
        }
        Party::List => admin::list_parties(pool).await?,
    };
    parties
        .iter()
        .map(|party| {
            Ok(json!({
                "party_id": party.party_id,
                "investor_id": party.investor_id,
                "country": party.country,
                "investor_class": party.investor_class,
                "kyc_expires_at": party.kyc_expires_at.map(|at| at.format(&Rfc3339)).transpose()?,
            }))
        })
        .collect()
}

async fn wallet(pool: &PgPool, settings: &Settings, by: By<'_>, command: Wallet) -> Result<Vec<Value>> {
    let wallets = match command {
        Wallet::Add { party: party_id, address } => {
            let kind = address.map_or(WalletKind::Hosted, WalletKind::SelfCustody);
            let commands = services::commands(pool, settings);
            let added = admin::add_wallet(pool, &commands, by, NewWallet { party_id, kind })
                .await
                .hint("a hosted wallet needs a keeper that has run once with this database, to make keys ready")?;
            vec![added]
        }
        Wallet::List => admin::list_wallets(pool, settings.chain.chain_id).await?,
    };
    let row = |wallet: &admin::Wallet| {
        json!({
            "wallet_id": wallet.wallet_id,
            "party_id": wallet.party_id,
            "address": wallet.address,
            "kind": wallet.kind,
            "approved": wallet.approved,
        })
    };
    Ok(wallets.iter().map(row).collect())
}

async fn service_token(pool: &PgPool, by: By<'_>, command: ServiceToken) -> Result<Vec<Value>> {
    let row = |token: &admin::ServiceToken| -> Result<Value> {
        Ok(json!({
            "service_token_id": token.service_token_id,
            "name": token.name,
            "role": token.role.as_str(),
            "scopes": token.scopes.join(" "),
            "expires_at": token.expires_at.format(&Rfc3339)?,
            "revoked": token.revoked,
        }))
    };
    match command {
        ServiceToken::Add { name, role, issuer: issuer_id, scopes, days } => {
            let new = NewServiceToken { name, role, issuer_id, scopes, days };
            let (id, secret) = admin::add_service_token(pool, by, new).await?;
            Ok(vec![json!({ "service_token_id": id, "token": secret.expose_secret() })])
        }
        ServiceToken::List => admin::list_service_tokens(pool).await?.iter().map(row).collect(),
        ServiceToken::Revoke { id } => {
            admin::revoke_service_token(pool, by, id).await?;
            Ok(vec![json!({ "service_token_id": id, "revoked": true })])
        }
    }
}

async fn lane(pool: &PgPool, settings: &Settings, by: By<'_>, command: Lane) -> Result<Vec<Value>> {
    let chain_id = settings.chain.chain_id;
    let asked = match command {
        Lane::Resume { address } => {
            admin::resume_lane(pool, by, chain_id, address).await.hint("`tokenx admin lane list` shows all lanes")?;
            Some(address)
        }
        Lane::List => None,
    };
    let mut lanes = tokenx_keeper::status::lanes(pool, chain_id).await?;
    lanes.retain(|lane| asked.is_none_or(|address| lane.address == address));
    let row = |lane: &tokenx_keeper::status::Lane| {
        json!({
            "address": lane.address,
            "state": lane.state,
            "next_nonce": lane.next_nonce,
            "in_flight": lane.in_flight,
            "problem": lane.problem,
        })
    };
    Ok(lanes.iter().map(row).collect())
}

/// The password that a file has; else one made up, and that it was.
fn password(file: Option<&Path>) -> Result<(SecretString, bool)> {
    match file {
        Some(file) => Ok((read_password(file)?, false)),
        None => Ok((SecretString::from(hex::encode(rand::random::<[u8; 12]>())), true)),
    }
}

fn read_password(file: &Path) -> Result<SecretString> {
    let mut text = String::new();
    if file == Path::new("-") {
        stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(text.lines().next().unwrap_or_default().to_owned().into())
}

fn instant(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "write it as 2030-01-31T00:00:00Z".to_owned())
}
