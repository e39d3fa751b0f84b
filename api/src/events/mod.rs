//! `GET /events`: the outbox as server-sent events, from where the client left off.
//!
//! A client that keeps up is served by the process's one reader of the outbox; one that does not reads the table for
//! itself, at its own pace: nothing waits for it in memory, and nothing is left out. One that takes no byte any more is
//! let go by the connection's own deadline ([`crate::http::serve`]).

mod audience;
mod feed;

use std::collections::HashSet;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use tokenx_contracts::ids::InstrumentId;
use tokenx_migrations::{Position, outbox};

pub(crate) use self::feed::Feed;
use self::feed::{Reader, Told};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::query::Query;

/// Where the client was, as it sends it again by itself.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a client waits before it connects again.
const RETRY: &str = "retry: 1000\n";
/// How long the stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Types and instruments that one client may name.
const MAX_NAMES: usize = 100;

/// What happened, as it happens. Each event is its place in the outbox (`id`), its type (`event`) and, as JSON (`data`),
/// `at`, `type`, `subject` and `data`. What a reorg takes back comes again as the same type with `.removed`.
#[utoipa::path(
    get,
    path = "/events",
    params(
        ("last-event-id" = Option<String>, Header, description = "Goes on after this event; `0:0`: from the oldest one kept. Without: from now on", pattern = "^[0-9]+:[0-9]+$"),
        ("types" = Option<String>, Query, description = "Only these types, with commas between; `mint` is `mint.removed`, too, and `command` all of `command.…`"),
        ("instrument" = Option<String>, Query, description = "Only what is about these instruments, with commas between"),
    ),
    responses((status = 200, description = "Events until the token ends", body = String, content_type = "text/event-stream"))
)]
pub(crate) async fn events(
    State(app): State<App>,
    viewer: Viewer,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&mut query);
    query.finish()?;
    let position = begin(&app, &headers).await?;
    let reader = app.events().read_from(&app, position).await?;
    let session = Session { reader, viewer: viewer.clone(), wanted };
    let hello = Bytes::from(format!("{RETRY}{}", mark(position)));
    let over = {
        let (app, viewer) = (app.clone(), viewer);
        async move {
            tokio::select! {
                () = viewer.ended(&app) => {}
                () = app.stop().cancelled() => {}
            }
        }
    };
    let news = stream::unfold(session, async |mut session| Some((session.next().await?, session)));
    let body =
        stream::once(async { hello }).chain(news).take_until(Box::pin(over)).map(Ok::<_, std::convert::Infallible>);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // A proxy that collects answers before it passes them on would keep the news.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Where the client goes on from.
async fn begin(app: &App, headers: &HeaderMap) -> Result<Position, ApiError> {
    let mut sent = headers.get_all(LAST_EVENT_ID).iter();
    let Some(id) = sent.next() else { return Ok(outbox::head(app.pool()).await?) };
    let position = id.to_str().ok().and_then(|id| id.parse::<Position>().ok()).filter(|_| sent.next().is_none());
    let Some(position) = position else {
        let message = "send one id as it came with an event, or 0:0 for all that is kept";
        return Err(ApiError::Rejected(vec![FieldError::query("last-event-id", "value_error", message)]));
    };
    if outbox::keeps(app.pool(), position).await? {
        return Ok(position);
    }
    Err(ApiError::Gone(format!(
        "event {position} is not kept any more, or never was: read the present state anew, then connect without last-event-id"
    )))
}

/// An event without data: it moves the client's place on, and no listener hears it.
fn mark(position: Position) -> String {
    format!(":\nid: {position}\n\n")
}

/// One client.
struct Session {
    reader: Reader,
    viewer: Viewer,
    wanted: Wanted,
}

impl Session {
    /// The next thing to write; `None` where nothing more can be read: the client comes again.
    async fn next(&mut self) -> Option<Bytes> {
        let silent = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(silent);
        loop {
            let events = tokio::select! {
                read = self.reader.next() => match read {
                    Ok(events) => events,
                    Err(error) => {
                        tracing::warn!(error = %error, "the outbox could not be read: a stream of events ends");
                        return None;
                    }
                },
                () = &mut silent => return Some(mark(self.reader.position()).into()),
            };
            let text: String = events
                .iter()
                .filter(|told| told.audience.has(&self.viewer) && self.wanted.has(told))
                .map(|told| told.text.as_str())
                .collect();
            if !text.is_empty() {
                return Some(text.into());
            }
        }
    }
}

/// What a client asked to be told; empty: all.
struct Wanted {
    kinds: Vec<String>,
    instruments: HashSet<String>,
}

impl Wanted {
    fn read(query: &mut Query) -> Wanted {
        let kind = |name: &str| {
            let fits = (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
            fits.then(|| name.to_owned()).ok_or_else(|| format!("{name:?} is no type of event"))
        };
        let instrument = |name: &str| {
            name.parse::<InstrumentId>().map(|id| id.as_str().to_owned()).map_err(|error| error.to_string())
        };
        let kinds = query.text("types", |text| names(text, kind)).unwrap_or_default();
        let instruments = query.text("instrument", |text| names(text, instrument)).unwrap_or_default();
        Wanted { kinds, instruments: instruments.into_iter().collect() }
    }

    /// A type is meant with all that follows it after a dot: whoever is told of mints is told which are none.
    fn has(&self, told: &Told) -> bool {
        let named = |kind: &String| {
            told.kind.strip_prefix(kind.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let about = |id: &String| self.instruments.contains(id);
        (self.kinds.is_empty() || self.kinds.iter().any(named))
            && (self.instruments.is_empty() || told.instrument_id.as_ref().is_some_and(about))
    }
}

fn names(text: &str, parse: impl Fn(&str) -> Result<String, String>) -> Result<Vec<String>, String> {
    let names = text.split(',').map(parse).collect::<Result<Vec<String>, String>>()?;
    if names.len() > MAX_NAMES {
        return Err(format!("{} names are more than {MAX_NAMES}", names.len()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::audience::Audience;
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, ApiError> {
        let mut query = Query::parse(query);
        let wanted = Wanted::read(&mut query);
        query.finish().map(|()| wanted)
    }

    fn told(kind: &str, instrument_id: Option<&str>) -> Told {
        Told {
            position: Position::START,
            kind: kind.to_owned(),
            instrument_id: instrument_id.map(str::to_owned),
            audience: Audience::Anyone,
            text: String::new(),
        }
    }

    #[test]
    fn who_asks_for_a_type_is_told_what_is_taken_back_of_it() {
        let mints = wanted("types=mint,command").unwrap();
        for kind in ["mint", "mint.removed", "command.accepted"] {
            assert!(mints.has(&told(kind, None)), "{kind}");
        }
        for kind in ["minted", "burn", "burn.removed", "min", "reorg"] {
            assert!(!mints.has(&told(kind, None)), "{kind}");
        }
    }

    #[test]
    fn a_filter_by_instrument_leaves_out_what_is_about_none() {
        let own = wanted("instrument=rCC,rDD").unwrap();
        assert!(own.has(&told("mint", Some("rDD"))));
        assert!(!own.has(&told("mint", Some("rEE"))) && !own.has(&told("reorg", None)));
        assert!(wanted("").unwrap().has(&told("reorg", None)));
    }

    #[test]
    fn a_filter_that_could_never_match_is_refused() {
        for bad in ["types=", "types=mint,,burn", "types=Mint", "instrument=", "instrument=a%20b", "types=a&types=b"] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
        let many = vec!["mint"; MAX_NAMES + 1].join(",");
        assert!(wanted(&format!("types={many}")).is_err());
    }
}
