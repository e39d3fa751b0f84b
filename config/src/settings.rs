//! The settings tree. Its `Default` is the first layer; `config/default.toml` documents every key with that value,
//! and a test holds the two together.

mod kyc;
mod market;
mod subscription;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use kyc::{Kyc, KycProvider};
pub use market::{DayTime, Market, MarketRules};
pub use subscription::Subscription;

use crate::secret::{redact, redact_all, redact_some};

/// Everything that can be set. Read it with [`Settings::load`]; printing or serializing it never shows a secret.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What kind of place this process runs in.
    pub profile: Profile,
    /// The database.
    pub database: Database,
    /// The chain that is followed and written to.
    pub chain: Chain,
    /// The loop that refreshes the `/status` snapshot.
    pub monitor: Monitor,
    /// The sweep that compares the tables with the chain.
    pub reconcile: Reconcile,
    /// Sending commands to the chain.
    pub keeper: Keeper,
    /// The audit log's seals.
    pub audit: Audit,
    /// Keys.
    pub signer: Signer,
    /// The HTTP server.
    pub server: Server,
    /// Uploaded images and documents.
    pub files: Files,
    /// Accounts and access tokens.
    pub auth: Auth,
    /// Who looks at applicants' papers.
    pub kyc: Kyc,
    /// What investors ask to buy.
    pub subscription: Subscription,
    /// Trading between investors.
    pub market: Market,
    /// Rate limits.
    pub limits: Limits,
    /// Logs.
    pub telemetry: Telemetry,
}

/// What kind of place a process runs in; also the name of the file that is layered over the defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A developer's machine: known keys, no rate limits, one confirmation.
    Dev,
    /// Automated tests.
    Test,
    /// The real thing: refuses everything that is only good elsewhere.
    #[default]
    Production,
    /// Benchmarks: production's shape without rate limits.
    Bench,
}

impl Profile {
    /// Its name, as in `config/{name}.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Production => "production",
            Self::Bench => "bench",
        }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Dev, Self::Test, Self::Production, Self::Bench]
            .into_iter()
            .find(|profile| profile.as_str() == name)
            .ok_or_else(|| format!("{name:?} is not a profile: use dev, test, production or bench"))
    }
}

/// The database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://user:password@host:port/name`. May go through a transaction-mode pooler.
    #[serde(serialize_with = "redact")]
    pub url: SecretString,
    /// Straight to the server, for locks, LISTEN and migrations; `url` where absent.
    #[serde(serialize_with = "redact_some")]
    pub direct_url: Option<SecretString>,
    /// Most connections of this process's pool.
    pub max_connections: u32,
}

impl Database {
    /// The address for session locks, LISTEN and migrations.
    #[must_use]
    pub fn direct_url(&self) -> &SecretString {
        self.direct_url.as_ref().unwrap_or(&self.url)
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: SecretString::default(), direct_url: None, max_connections: 16 }
    }
}

/// The chain that is followed and written to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chain {
    /// JSON-RPC over HTTP. A secret, since providers put keys into it.
    #[serde(serialize_with = "redact")]
    pub rpc_url: SecretString,
    /// JSON-RPC over WebSocket, for hints of new heads; polling alone where absent.
    #[serde(serialize_with = "redact_some")]
    pub ws_url: Option<SecretString>,
    /// What the endpoint must say its chain is.
    pub chain_id: u64,
    /// A block counts once it is this many blocks deep, its own included.
    pub confirmations: u64,
    /// When a block can no longer be replaced.
    pub finality: Finality,
    /// Pause between polls for a new head, in milliseconds.
    pub poll_interval_ms: u64,
    /// First block that is followed.
    pub start_block: u64,
    /// The `NodeFactory` whose tokens and executors are believed.
    pub factory: Option<Address>,
    /// The `InvestorRegistry`.
    pub registry: Option<Address>,
    /// Executors besides those that the factory deployed. The first is the registry's: whitelisting goes through it.
    pub executors: Vec<Address>,
    /// Tokens that somebody else deployed.
    pub follow: Vec<Follow>,
    /// Most blocks asked for at once in a backfill.
    pub batch_blocks: u64,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Longest wait for an answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// Most requests a second to the endpoint; no limit where absent.
    pub requests_per_second: Option<u32>,
}

impl Chain {
    /// [`Chain::poll_interval_ms`] as a duration.
    #[must_use]
    pub const fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }

    /// [`Chain::request_timeout_ms`] as a duration.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            rpc_url: SecretString::default(),
            ws_url: None,
            chain_id: 0,
            confirmations: 12,
            finality: Finality::Finalized,
            poll_interval_ms: 1_000,
            start_block: 0,
            factory: None,
            registry: None,
            executors: Vec::new(),
            follow: Vec::new(),
            batch_blocks: 100_000,
            max_response_bytes: 64 << 20,
            request_timeout_ms: 10_000,
            requests_per_second: None,
        }
    }
}

/// When a block can no longer be replaced: `"finalized"`, or a number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// What the endpoint calls `finalized`.
    Finalized,
    /// Once it is this many blocks deep, its own included.
    Depth(u64),
}

impl<'de> Deserialize<'de> for Finality {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The environment brings numbers as text.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Depth(u64),
            Text(String),
        }
        let refusal = |text| {
            serde::de::Error::custom(format!("{text:?} is not a finality: use \"finalized\" or a number of blocks"))
        };
        match Written::deserialize(deserializer)? {
            Written::Depth(depth) => Ok(Self::Depth(depth)),
            Written::Text(text) if text == "finalized" => Ok(Self::Finalized),
            Written::Text(text) => text.parse().map(Self::Depth).map_err(|_| refusal(text)),
        }
    }
}

impl Serialize for Finality {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Finalized => serializer.serialize_str("finalized"),
            Self::Depth(depth) => serializer.serialize_u64(*depth),
        }
    }
}

/// A token that somebody else deployed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Follow {
    /// Its address.
    pub token: Address,
    /// What it is called here; its own `symbol()` is never believed.
    pub instrument_id: String,
    /// First block to read; found from its code where absent.
    #[serde(default)]
    pub start_block: Option<u64>,
}

/// The loop that refreshes the `/status` snapshot.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Monitor {
    /// Off: `/status` shows no tokens; the data endpoints still work.
    pub enabled: bool,
    /// Pause between passes, in seconds.
    pub poll_interval_seconds: u64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self { enabled: true, poll_interval_seconds: 5 }
    }
}

/// The sweep that compares the tables with the chain.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reconcile {
    /// Off: nobody notices a row that was changed by hand.
    pub enabled: bool,
    /// Pause between passes, in seconds.
    pub interval_seconds: u64,
    /// Tokens and wallets that one pass compares, up to 5,000. A wallet costs up to four views of its token.
    pub holdings_per_pass: u32,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self { enabled: true, interval_seconds: 60, holdings_per_pass: 500 }
    }
}

/// Sending commands to the chain.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keeper {
    /// Off: commands are accepted and wait.
    pub enabled: bool,
    /// Pause between looks for work, in milliseconds; wake-ups usually come sooner.
    pub lane_poll_ms: u64,
    /// Most commands in one transaction, up to 200.
    pub batch_max_items: u32,
    /// Most gas of one transaction, below the protocol's 2^24.
    pub batch_max_gas: u64,
    /// Most unconfirmed transactions of one key, up to 4,096; public pools keep 16 of one sender.
    pub max_in_flight: u32,
    /// Blocks that a transaction may wait before its fee is raised.
    pub bump_after_blocks: u64,
    /// No transaction ever offers more than this per gas, in gwei.
    pub max_fee_cap_gwei: u64,
    /// A hosted wallet whose payment token knows no permit approves by itself: each approve is given no more than this, and
    /// spends no more, in gwei. What it costs is up to 100,000 gas; where that is above, it waits.
    pub approve_cap_gwei: u64,
    /// Ask the chain before spending a nonce.
    pub simulate: bool,
    /// Addresses kept ready for new hosted wallets.
    pub hosted_pool: u32,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            enabled: true,
            lane_poll_ms: 50,
            batch_max_items: 200,
            // 90 % of 2^24, the most that one transaction may use (EIP-7825).
            batch_max_gas: 15_099_494,
            max_in_flight: 16,
            bump_after_blocks: 3,
            max_fee_cap_gwei: 500,
            approve_cap_gwei: 20_000_000,
            simulate: true,
            hosted_pool: 16,
        }
    }
}

/// The audit log's seals.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Pause between two hashes of the log on chain, in seconds; 0 = none is put there.
    pub anchor_seconds: u64,
    /// The instrument whose contract takes them; where absent, the first one that is operated here.
    pub anchor_instrument: Option<String>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { anchor_seconds: 3_600, anchor_instrument: None }
    }
}

/// Keys.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signer {
    /// 32 bytes in hexadecimal or base64 under which hosted wallets' keys are encrypted.
    #[serde(serialize_with = "redact")]
    pub master_key: SecretString,
    /// The keeper's keys in hexadecimal, one lane each. Not in production.
    #[serde(serialize_with = "redact_all")]
    pub keys: Vec<SecretString>,
    /// A keystore file (Web3 Secret Storage), or a folder of them, one lane each.
    pub keystore_path: Option<PathBuf>,
    /// The keystore's password.
    #[serde(serialize_with = "redact_some")]
    pub keystore_password: Option<SecretString>,
}

/// The HTTP server.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Where the API listens.
    pub bind: SocketAddr,
    /// Where health and metrics listen, if elsewhere.
    pub ops_bind: Option<SocketAddr>,
    /// Where people reach the API, as `https://api.example.com`; `http://` and [`Server::bind`] where absent.
    pub public_url: Option<String>,
    /// How long a client may take to send its headers, in milliseconds.
    pub header_read_timeout_ms: u64,
    /// How long a request may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long open requests may take to finish once the process is asked to stop, in milliseconds.
    pub shutdown_grace_ms: u64,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Most connections at once.
    pub max_connections: usize,
    /// Networks of the proxies before the API, whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins (`https://app.example.com`) that may call the API from a browser.
    pub cors_origins: Vec<String>,
}

impl Server {
    /// Where people reach the API; no slash at its end.
    #[must_use]
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.bind),
        }
    }

    /// [`Server::header_read_timeout_ms`] as a duration.
    #[must_use]
    pub const fn header_read_timeout(&self) -> Duration {
        Duration::from_millis(self.header_read_timeout_ms)
    }

    /// [`Server::request_timeout_ms`] as a duration.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// [`Server::shutdown_grace_ms`] as a duration.
    #[must_use]
    pub const fn shutdown_grace(&self) -> Duration {
        Duration::from_millis(self.shutdown_grace_ms)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            ops_bind: None,
            public_url: None,
            header_read_timeout_ms: 5_000,
            request_timeout_ms: 30_000,
            shutdown_grace_ms: 10_000,
            max_body_bytes: 1 << 20,
            max_connections: 10_000,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
        }
    }
}

/// Uploaded images and documents: a folder, or a bucket of an S3-compatible store.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// The folder, where no bucket is named. Made when the first file comes.
    pub path: PathBuf,
    /// The bucket.
    pub bucket: Option<String>,
    /// The store's address; Amazon's own where absent.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: String,
    /// The store's account.
    pub access_key: Option<String>,
    /// The account's secret.
    #[serde(serialize_with = "redact_some")]
    pub secret_key: Option<SecretString>,
    /// Largest file, in bytes.
    pub max_bytes: usize,
    /// Life of a link to a file that is not public, in seconds.
    pub link_seconds: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            path: "files".into(),
            bucket: None,
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: None,
            secret_key: None,
            max_bytes: 25 << 20,
            link_seconds: 600,
        }
    }
}

/// Accounts and access tokens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Key of the access tokens' HMAC, 32 bytes or more.
    #[serde(serialize_with = "redact")]
    pub jwt_secret: SecretString,
    /// Keys that it had before: they sign nothing more, and what they signed holds until it expires.
    #[serde(serialize_with = "redact_all")]
    pub previous_jwt_secrets: Vec<SecretString>,
    /// `iss` of the access tokens.
    pub issuer: String,
    /// `aud` of the access tokens.
    pub audience: String,
    /// Life of an access token, in seconds.
    pub access_ttl_seconds: u64,
    /// Life of a refresh token, in seconds.
    pub refresh_ttl_seconds: u64,
    /// Cost of a password check.
    pub argon2: Argon2,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            jwt_secret: SecretString::default(),
            previous_jwt_secrets: Vec::new(),
            issuer: "tokenx".to_owned(),
            audience: "tokenx".to_owned(),
            access_ttl_seconds: 86_400,
            refresh_ttl_seconds: 30 * 86_400,
            argon2: Argon2::default(),
        }
    }
}

/// Cost of a password check (argon2id). The defaults are OWASP's first choice.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Argon2 {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Argon2 {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

/// Rate limits, per account or address.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Logins a minute.
    pub login_per_minute: u32,
    /// Writes a minute.
    pub writes_per_minute: u32,
    /// Reads a minute.
    pub reads_per_minute: u32,
    /// Rows that GraphQL queries may answer, a minute.
    pub graphql_rows_per_minute: u32,
    /// Lifts them all. Not in production.
    pub off: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_per_minute: 5,
            writes_per_minute: 120,
            reads_per_minute: 1_200,
            graphql_rows_per_minute: 60_000,
            off: false,
        }
    }
}

/// Logs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines appear, as `tracing` filters are written: `info,tokenx_keeper=debug`.
    pub filter: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { format: LogFormat::Json, filter: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line, for collectors.
    Json,
}
