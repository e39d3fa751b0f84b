//! What every handler can reach.

use std::sync::Arc;

use sqlx::PgPool;
use time::Duration;
use tokenx_config::Settings;
use tokenx_keeper::Commands;
use tokio_util::sync::CancellationToken;

use crate::ats::book::Books;
use crate::ats::market::Markets;
use crate::auth::access::AccessKeys;
use crate::auth::password::Passwords;
use crate::auth::revocation::{self, Revocations};
use crate::auth::service::ServiceTokens;
use crate::auth::session;
use crate::auth::wallet::Nonces;
use crate::events::Feed;
use crate::files::link::Links;
use crate::files::store::FileStore;
use crate::graphql::Live;
use crate::http::limits::Limits;
use crate::http::metrics;
use crate::http::remembered;
use crate::kyc::Kyc;
use crate::service::ServeError;
use crate::token_app::register::Register;
use crate::token_app::status::LatestReadings;
use crate::tokens::show::{self, Details};
use crate::wallets::challenge;

/// How often idle rate-limit keys and expired tokens are forgotten.
const HOUSEKEEPING: std::time::Duration = std::time::Duration::from_secs(60);

/// The api's shared state; a handle, cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<Settings>,
    pool: PgPool,
    commands: Commands,
    access_keys: AccessKeys,
    passwords: Passwords,
    revocations: Revocations,
    service_tokens: ServiceTokens,
    limits: Limits,
    books: Books,
    markets: Markets,
    live: Live,
    events: Feed,
    files: FileStore,
    links: Links,
    register: Register,
    token_details: Details,
    readings: LatestReadings,
    nonces: Nonces,
    kyc: Option<Kyc>,
    stop: CancellationToken,
}

impl App {
    /// From the settings, an open, migrated database and the keeper's door. `stop` ends long answers (sockets) with
    /// the process.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn new(
        settings: Arc<Settings>,
        pool: PgPool,
        commands: Commands,
        stop: CancellationToken,
    ) -> Result<App, ServeError> {
        metrics::init();
        Ok(App(Arc::new(Inner {
            access_keys: AccessKeys::new(&settings.auth),
            passwords: Passwords::new(&settings.auth).map_err(ServeError::Argon2)?,
            revocations: Revocations::default(),
            service_tokens: ServiceTokens::default(),
            limits: Limits::new(&settings.limits),
            books: Books::default(),
            markets: Markets::default(),
            live: Live::default(),
            events: Feed::default(),
            files: FileStore::open(&settings.files)?,
            nonces: Nonces::new(&settings.auth.jwt_secret)?,
            links: Links::new(&settings.auth.jwt_secret, settings.files.link_seconds)?,
            register: Register::default(),
            readings: LatestReadings::default(),
            token_details: show::details(pool.clone(), settings.chain.chain_id),
            kyc: Kyc::of(&settings.kyc).map_err(ServeError::Kyc)?,
            settings,
            pool,
            commands,
            stop,
        })))
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The database.
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// The keeper's door.
    pub fn commands(&self) -> &Commands {
        &self.0.commands
    }

    /// Cancelled when the process stops.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The chain that the platform's tables and the Token App speak of.
    pub fn chain_id(&self) -> u64 {
        self.0.settings.chain.chain_id
    }

    pub(crate) fn access_keys(&self) -> &AccessKeys {
        &self.0.access_keys
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub(crate) fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }

    pub(crate) fn service_tokens(&self) -> &ServiceTokens {
        &self.0.service_tokens
    }

    /// The books that are in memory here.
    pub(crate) fn books(&self) -> &Books {
        &self.0.books
    }

    /// The markets that were read last.
    pub(crate) fn markets(&self) -> &Markets {
        &self.0.markets
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(crate) fn events(&self) -> &Feed {
        &self.0.events
    }

    pub(crate) fn files(&self) -> &FileStore {
        &self.0.files
    }

    pub(crate) fn links(&self) -> &Links {
        &self.0.links
    }

    pub(crate) fn register(&self) -> &Register {
        &self.0.register
    }

    pub(crate) fn token_details(&self) -> &Details {
        &self.0.token_details
    }

    pub(crate) fn readings(&self) -> &LatestReadings {
        &self.0.readings
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    /// The KYC provider; `None` where there is none.
    pub(crate) fn kyc(&self) -> Option<&Kyc> {
        self.0.kyc.as_ref()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn refresh_ttl(&self) -> Duration {
        Duration::seconds(self.0.settings.auth.refresh_ttl_seconds.try_into().unwrap_or(i64::MAX))
    }

    /// Keeps the revocation list fresh and forgets what is over, until told to stop.
    pub async fn keep_house(self) {
        let mut revocations = tokio::time::interval(revocation::POLL);
        revocations.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut forget = tokio::time::interval(HOUSEKEEPING);
        loop {
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                _ = revocations.tick() => {
                    if let Err(error) = self.0.revocations.refresh(&self.0.pool).await {
                        tracing::warn!(error = %error, "revocations could not be read: each request asks the database");
                    }
                }
                _ = forget.tick() => {
                    self.0.limits.forget_idle();
                    if let Err(error) = session::forget_expired(&self.0.pool).await {
                        tracing::warn!(error = %error, "expired tokens could not be removed");
                    }
                    if let Err(error) = remembered::forget_old(&self.0.pool).await {
                        tracing::warn!(error = %error, "old answers could not be removed");
                    }
                    if let Err(error) = challenge::forget_expired(&self.0.pool).await {
                        tracing::warn!(error = %error, "expired challenges could not be removed");
                    }
                }
            }
        }
    }
}
