//! What is wrong with settings that could be read: every problem at once, each with its key and what to do.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::load::carried;
use crate::secret::{is_dev_key, key_bytes};
use crate::settings::{Finality, KycProvider, Profile, Settings};

/// Chain ids of development nodes.
const DEV_CHAINS: [u64; 2] = [31_337, 1_337];
/// Most gas of one transaction (EIP-7825).
const MAX_TRANSACTION_GAS: u64 = 1 << 24;
/// Most commands of one transaction, so that one fits the gas above whatever they are.
const MAX_BATCH_ITEMS: u32 = 200;
/// Most holdings that one pass of the sweep holds in memory and asks for at one block.
const MAX_SLICE: u32 = 5_000;
/// Public pools keep 16 of one sender; those of one's own chain may keep any number.
const MAX_IN_FLIGHT: u32 = 4_096;
/// An HMAC-SHA256 key below its block's half is weaker than the hash.
const MIN_JWT_SECRET: usize = 32;
/// Random keys have more different bytes; `aaaa…` and `changeme…` do not.
const MIN_DISTINCT_BYTES: usize = 8;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted.
    pub key: &'static str,
    /// What is wrong with it and what to do.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

/// Everything that is wrong; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("settings are not valid:{}", .0.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
pub struct Invalid(pub Vec<Problem>);

/// Collects problems.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn unless(&mut self, fine: bool, key: &'static str, problem: impl Into<String>) {
        if !fine {
            self.0.push(Problem { key, problem: problem.into() });
        }
    }
}

impl Settings {
    /// Judges the settings.
    ///
    /// # Errors
    /// Every problem at once; what production alone refuses comes last.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut problems = Problems::default();
        self.check_places(&mut problems);
        self.check_ranges(&mut problems);
        self.check_keys(&mut problems);
        self.check_kyc(&mut problems);
        if self.profile == Profile::Production {
            self.check_production(&mut problems);
        }
        if problems.0.is_empty() { Ok(()) } else { Err(Invalid(problems.0)) }
    }

    fn check_places(&self, problems: &mut Problems) {
        let begins =
            |url: &SecretString, schemes: &[&str]| schemes.iter().any(|scheme| url.expose_secret().starts_with(scheme));
        let postgres = ["postgres://", "postgresql://"];
        let advice = "set it to postgres://user:password@host:port/name";
        problems.unless(begins(&self.database.url, &postgres), "database.url", advice);
        let direct = begins(self.database.direct_url(), &postgres);
        problems.unless(direct || self.database.direct_url.is_none(), "database.direct_url", advice);
        let rpc = begins(&self.chain.rpc_url, &["http://", "https://"]);
        problems.unless(rpc, "chain.rpc_url", "set it to the node's http:// or https:// address");
        let ws = self.chain.ws_url.as_ref().is_none_or(|url| begins(url, &["ws://", "wss://"]));
        problems.unless(ws, "chain.ws_url", "set it to the node's ws:// or wss:// address, or remove it");
        let public = self.server.public_url.as_deref().unwrap_or("http://");
        let public = public.starts_with("https://") || public.starts_with("http://");
        problems.unless(public, "server.public_url", "set it to the https:// address under which people reach the API");
        let endpoint = self.files.endpoint.as_deref().unwrap_or("https://");
        let endpoint = endpoint.starts_with("https://") || endpoint.starts_with("http://");
        problems.unless(endpoint, "files.endpoint", "set it to the store's https:// address, or remove it");
        let account = self.files.access_key.is_some() && self.files.secret_key.is_some();
        let advice = "a bucket needs an account: set files.access_key and files.secret_key";
        problems.unless(account || self.files.bucket.is_none(), "files.access_key", advice);
        for origin in &self.server.cors_origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let fine = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '?', ' ']));
            problems.unless(
                fine,
                "server.cors_origins",
                format!("{origin:?} is not an origin: use https://host or https://host:port"),
            );
        }
    }

    fn check_ranges(&self, problems: &mut Problems) {
        let (chain, keeper, auth, limits) = (&self.chain, &self.keeper, &self.auth, &self.limits);
        let positive = [
            (u64::from(self.database.max_connections), "database.max_connections"),
            (chain.chain_id, "chain.chain_id"),
            (chain.confirmations, "chain.confirmations"),
            (chain.poll_interval_ms, "chain.poll_interval_ms"),
            (chain.batch_blocks, "chain.batch_blocks"),
            (chain.max_response_bytes as u64, "chain.max_response_bytes"),
            (chain.request_timeout_ms, "chain.request_timeout_ms"),
            (u64::from(chain.requests_per_second.unwrap_or(1)), "chain.requests_per_second"),
            (self.monitor.poll_interval_seconds, "monitor.poll_interval_seconds"),
            (self.reconcile.interval_seconds, "reconcile.interval_seconds"),
            (keeper.lane_poll_ms, "keeper.lane_poll_ms"),
            (keeper.bump_after_blocks, "keeper.bump_after_blocks"),
            (keeper.max_fee_cap_gwei, "keeper.max_fee_cap_gwei"),
            (keeper.approve_cap_gwei, "keeper.approve_cap_gwei"),
            (self.server.header_read_timeout_ms, "server.header_read_timeout_ms"),
            (self.server.request_timeout_ms, "server.request_timeout_ms"),
            (self.server.max_body_bytes as u64, "server.max_body_bytes"),
            (self.server.max_connections as u64, "server.max_connections"),
            (self.files.max_bytes as u64, "files.max_bytes"),
            (self.files.link_seconds, "files.link_seconds"),
            (self.kyc.token_seconds, "kyc.token_seconds"),
            (self.kyc.request_timeout_ms, "kyc.request_timeout_ms"),
            (self.kyc.max_response_bytes as u64, "kyc.max_response_bytes"),
            (u64::from(self.kyc.valid_days), "kyc.valid_days"),
            (u64::from(self.subscription.ttl_seconds), "subscription.ttl_seconds"),
            (auth.access_ttl_seconds, "auth.access_ttl_seconds"),
            (auth.refresh_ttl_seconds, "auth.refresh_ttl_seconds"),
            (u64::from(limits.login_per_minute), "limits.login_per_minute"),
            (u64::from(limits.writes_per_minute), "limits.writes_per_minute"),
            (u64::from(limits.reads_per_minute), "limits.reads_per_minute"),
            (u64::from(limits.graphql_rows_per_minute), "limits.graphql_rows_per_minute"),
        ];
        for (value, key) in positive {
            problems.unless(value > 0, key, "is 0: set it to 1 or more");
        }
        if let Finality::Depth(depth) = chain.finality {
            let fine = depth >= chain.confirmations;
            problems.unless(
                fine,
                "chain.finality",
                format!("{depth} is less deep than chain.confirmations, {}: raise it", chain.confirmations),
            );
        }
        let slice = (1..=MAX_SLICE).contains(&self.reconcile.holdings_per_pass);
        problems.unless(
            slice,
            "reconcile.holdings_per_pass",
            format!("{} is out of range: use 1 to {MAX_SLICE}", self.reconcile.holdings_per_pass),
        );
        let items = (1..=MAX_BATCH_ITEMS).contains(&keeper.batch_max_items);
        problems.unless(
            items,
            "keeper.batch_max_items",
            format!("{} is out of range: use 1 to {MAX_BATCH_ITEMS}", keeper.batch_max_items),
        );
        let gas = (1..=MAX_TRANSACTION_GAS).contains(&keeper.batch_max_gas);
        problems.unless(
            gas,
            "keeper.batch_max_gas",
            format!("{} is out of range: use 1 to {MAX_TRANSACTION_GAS}", keeper.batch_max_gas),
        );
        let in_flight = (1..=MAX_IN_FLIGHT).contains(&keeper.max_in_flight);
        problems.unless(
            in_flight,
            "keeper.max_in_flight",
            format!("{} is out of range: use 1 to {MAX_IN_FLIGHT}", keeper.max_in_flight),
        );
        for (text, key) in [(&auth.issuer, "auth.issuer"), (&auth.audience, "auth.audience")] {
            problems.unless(!text.is_empty(), key, "is empty: set it to the name that access tokens carry");
        }
        for follow in &chain.follow {
            let id = &follow.instrument_id;
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let fine = (1..=32).contains(&id.len()) && id.bytes().all(allowed);
            problems.unless(
                fine,
                "chain.follow",
                format!("{id:?} is not an instrument id: use 1 to 32 of letters, digits, dot, underscore and hyphen"),
            );
        }
        self.check_market(problems);
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.telemetry.filter) {
            problems.unless(false, "telemetry.filter", format!("{:?} is not a filter: {error}", self.telemetry.filter));
        }
    }

    fn check_market(&self, problems: &mut Problems) {
        let market = &self.market;
        let days = market.gtc_days;
        problems.unless((1..=365).contains(&days), "market.gtc_days", format!("{days} is out of range: use 1 to 365"));
        let collar = market.collar_bps;
        let fine = collar <= 10_000;
        problems.unless(fine, "market.collar_bps", format!("{collar} is out of range: use 0 to 10000"));
        for rules in &market.instruments {
            let id = &rules.instrument_id;
            let hours = match (rules.opens, rules.closes) {
                (None, None) => true,
                (Some(opens), Some(closes)) => opens < closes,
                _ => false,
            };
            let advice = format!("{id:?} needs both opens and closes, the second later than the first");
            problems.unless(hours, "market.instruments", advice);
        }
    }

    fn check_keys(&self, problems: &mut Problems) {
        let signer = &self.signer;
        problems.unless(
            key_bytes(&signer.master_key).is_some(),
            "signer.master_key",
            "is not 32 bytes: make one with `openssl rand -base64 32`",
        );
        for (i, key) in signer.keys.iter().enumerate() {
            problems.unless(
                key_bytes(key).is_some(),
                "signer.keys",
                format!("number {} is not 32 bytes in hexadecimal", i + 1),
            );
        }
        if self.keeper.enabled {
            let one = signer.keys.is_empty() != signer.keystore_path.is_none();
            problems.unless(
                one,
                "signer",
                "the keeper needs keys: set either keystore_path with keystore_password, or keys",
            );
        }
        let password = signer.keystore_path.is_none() || signer.keystore_password.is_some();
        problems.unless(password, "signer.keystore_password", "is not set: the keystore needs it");
        problems.unless(
            self.auth.jwt_secret.expose_secret().len() >= MIN_JWT_SECRET,
            "auth.jwt_secret",
            "is shorter than 32 bytes: make one with `openssl rand -base64 48`",
        );
        for (i, secret) in self.auth.previous_jwt_secrets.iter().enumerate() {
            problems.unless(
                secret.expose_secret().len() >= MIN_JWT_SECRET,
                "auth.previous_jwt_secrets",
                format!("number {} is shorter than 32 bytes: it never signed a token, remove it", i + 1),
            );
        }
    }

    fn check_kyc(&self, problems: &mut Problems) {
        let kyc = &self.kyc;
        let said =
            |secret: &Option<SecretString>| secret.as_ref().is_some_and(|secret| !secret.expose_secret().is_empty());
        if kyc.provider == KycProvider::Sumsub {
            for (secret, key) in [(&kyc.app_token, "kyc.app_token"), (&kyc.secret_key, "kyc.secret_key")] {
                problems.unless(said(secret), key, "is not set: Sumsub's dashboard makes one for this platform");
            }
            let url = kyc.base_url.starts_with("https://") || kyc.base_url.starts_with("http://");
            problems.unless(url, "kyc.base_url", "set it to the provider's https:// address");
        }
        let advice = "is not set: choose one and give it to the provider, which signs its webhooks with it";
        problems.unless(said(&kyc.webhook_secret) || kyc.provider == KycProvider::None, "kyc.webhook_secret", advice);
    }

    fn check_production(&self, problems: &mut Problems) {
        let id = self.chain.chain_id;
        problems.unless(
            !DEV_CHAINS.contains(&id),
            "chain.chain_id",
            format!("{id} is a development node's: set the real chain's id"),
        );
        problems.unless(
            self.signer.keys.is_empty(),
            "signer.keys",
            "plain keys are for development: use signer.keystore_path",
        );
        let known = |key: &SecretString| key_bytes(key).is_some_and(|bytes| is_dev_key(&bytes));
        let any_known = self.signer.keys.iter().chain([&self.signer.master_key]).any(known);
        problems.unless(!any_known, "signer", "holds a private key that everybody knows: make your own");
        for (secret, key) in
            [(&self.auth.jwt_secret, "auth.jwt_secret"), (&self.signer.master_key, "signer.master_key")]
        {
            problems.unless(!is_default(secret), key, "is a development secret that everybody knows: make your own");
            problems.unless(
                is_varied(secret),
                key,
                "is too regular to be random: make it with `openssl rand -base64 48`",
            );
        }
        let known = self.auth.previous_jwt_secrets.iter().any(is_default);
        problems.unless(
            !known,
            "auth.previous_jwt_secrets",
            "holds a development secret that everybody knows: remove it",
        );
        let kyc = &self.kyc;
        let sandbox = kyc.provider == KycProvider::Sandbox;
        problems.unless(!sandbox, "kyc.provider", "the sandbox looks at nobody: use sumsub, or none");
        let known = kyc.webhook_secret.as_ref().is_some_and(is_default);
        problems.unless(!known, "kyc.webhook_secret", "is a development secret that everybody knows: make your own");
        let plain = kyc.provider == KycProvider::Sumsub && !kyc.base_url.starts_with("https://");
        problems.unless(!plain, "kyc.base_url", "papers are not looked at over plain http: use https://");
        problems.unless(!self.limits.off, "limits.off", "rate limits cannot be lifted in production: remove it");
        let test_money = self.chain.follow.iter().any(|follow| follow.instrument_id.eq_ignore_ascii_case("testusd"));
        problems.unless(!test_money, "chain.follow", "TestUSD can be minted by anybody: follow a real token");
    }
}

/// Is it one of the secrets that the development profiles carry?
fn is_default(secret: &SecretString) -> bool {
    [Profile::Dev, Profile::Test, Profile::Bench].iter().any(|profile| {
        let quoted = format!("\"{}\"", secret.expose_secret());
        !secret.expose_secret().is_empty() && carried(*profile).contains(&quoted)
    })
}

fn is_varied(secret: &SecretString) -> bool {
    let mut bytes = secret.expose_secret().as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    // Too short is another problem, already named.
    secret.expose_secret().len() < MIN_JWT_SECRET || bytes.len() >= MIN_DISTINCT_BYTES
}

#[cfg(test)]
mod tests;
