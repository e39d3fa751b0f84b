//! What is due without anybody asking: the next steps of approved offerings, terms that follow records, a look at what
//! treasuries have, rent, ends of subscriptions and deals, documents and the audit log on their way to the chain, and records
//! that the registry could not take before. Rows say what is due, so it does not matter which process looks, nor how many, nor
//! how often one of them dies.

use std::time::Duration;

use crate::app::App;
use crate::audit::anchor;
use crate::error::ApiError;
use crate::kyc::consequence;
use crate::money;
use crate::offerings::listing;
use crate::otc;
use crate::rent::{period, push};
use crate::subscriptions::ends;
use crate::tokens::{anchors, terms};

/// How often it is looked for.
const TICK: Duration = Duration::from_secs(1);

/// Looks for it until the process stops.
pub(crate) async fn keep_going(app: App) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return,
            _ = tick.tick() => {}
        }
        say("approved offerings", listing::go_on(&app).await);
        say("terms of tokens", terms::go_on(&app).await);
        say("watching money", money::watch_standing(&app).await);
        say("rent periods", period::go_on(&app).await);
        say("rent payments", push::go_on(&app).await);
        say("ends of subscriptions", ends::go_on(&app).await);
        say("deals", otc::settle::go_on(&app).await);
        say("documents", anchors::go_on(&app).await);
        say("registry records", consequence::go_on(&app).await);
        say("the audit log's anchors", anchor::go_on(&app).await);
    }
}

fn say(what: &str, done: Result<(), ApiError>) {
    match done {
        Ok(()) => {}
        Err(ApiError::Internal(source)) => tracing::error!(error = %source, "{what} do not go on"),
        Err(error) => tracing::warn!(error = %error, "{what} do not go on: tried again"),
    }
}
