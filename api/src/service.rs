//! The api as a service: bind, serve, stop.

use std::io;
use std::sync::Arc;

use sqlx::PgPool;
use tokenx_config::{KycProvider, Settings};
use tokenx_keeper::Commands;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::ats::matching;
use crate::audit::sealer;
use crate::due;
use crate::files::store::StoreError;
use crate::http::serve as http;
use crate::kyc;
use crate::router::{ops_router, public_router, router};

/// What the api stands on.
#[derive(Debug, Clone)]
pub struct ApiContext {
    /// Settings, validated.
    pub settings: Arc<Settings>,
    /// An open, migrated database.
    pub pool: PgPool,
    /// The keeper's door.
    pub commands: Commands,
}

/// Why the api stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The costs of a password check are no costs that argon2 knows.
    #[error("auth.argon2: {0}: see config/default.toml for its ranges")]
    Argon2(argon2::Error),
    /// `server.ops_bind` cannot be listened on.
    #[error("server.ops_bind: {0}: choose another address or port")]
    OpsBind(io::Error),
    /// The settings name no place for files.
    #[error("{0}: see config/default.toml")]
    Files(#[from] StoreError),
    /// A key cannot be derived from that of the access tokens.
    #[error("auth.jwt_secret: {0}")]
    Links(#[from] hmac::digest::InvalidLength),
    /// The KYC provider cannot be reached as it is set.
    #[error("kyc: {0}")]
    Kyc(String),
    /// A listener failed.
    #[error("http listener: {0}")]
    Listener(#[from] io::Error),
}

/// Serves on the listener until `stop` is cancelled, then drains. With `server.ops_bind` health and metrics are
/// served there, and only there.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(context: ApiContext, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
    let ApiContext { settings, pool, commands } = context;
    let app = App::new(settings.clone(), pool, commands, stop.clone())?;
    let server = &settings.server;
    let house = tokio::spawn(app.clone().keep_house());
    let due = tokio::spawn(due::keep_going(app.clone()));
    let matching = tokio::spawn(matching::keep_going(app.clone()));
    let lookup = tokio::spawn(kyc::lookup::keep_going(app.clone()));
    let sandbox = match settings.kyc.provider {
        KycProvider::Sandbox => Some(tokio::spawn(kyc::sandbox::keep_talking(app.clone(), listener.local_addr()?))),
        KycProvider::None | KycProvider::Sumsub => None,
    };
    let sealer = tokio::spawn(sealer::keep_sealing(app.clone()));
    let served = match server.ops_bind {
        None => http::serve(router(&app), listener, server, stop).await,
        Some(address) => {
            let ops = TcpListener::bind(address).await.map_err(ServeError::OpsBind)?;
            tokio::try_join!(
                http::serve(public_router(&app), listener, server, stop.clone()),
                http::serve(ops_router(&app), ops, server, stop),
            )
            .map(drop)
        }
    };
    house.abort();
    due.abort();
    matching.abort();
    lookup.abort();
    if let Some(sandbox) = sandbox {
        sandbox.abort();
    }
    sealer.abort();
    Ok(served?)
}
