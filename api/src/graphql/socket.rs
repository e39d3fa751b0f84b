//! `GET /graphql` as a WebSocket: subscriptions over `graphql-transport-ws`.
//!
//! The token comes with the upgrade, or as `{"authorization": "Bearer …"}` in the first message, which is where
//! browsers can put it. The socket ends with its token.

use std::future::{pending, ready};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Executor, Request, Response as Answer};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use super::access::Access;
use super::fault::{Code, Fault};
use super::limits::MAX_BODY;
use super::meter::Meter;
use crate::app::App;
use crate::auth::{self, Viewer};
use crate::error::ApiError;
use crate::http::client::ClientAddress;

/// The protocol spoken; the older `graphql-ws` is not.
const PROTOCOL: &str = "graphql-transport-ws";
/// How long the first message may take.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// How long a message may take to be written: a peer that reads nothing is let go.
const WRITE: Duration = Duration::from_secs(10);
/// How often a silent peer is asked whether it is there, which also keeps proxies from closing.
const PING: Duration = Duration::from_secs(25);
/// How long the last message may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// Operations under way at once on one socket.
const MAX_OPERATIONS: usize = 32;

/// Why a socket is closed, by the protocol's codes.
type Closed = (u16, String);

/// Opens a socket for subscriptions; a browser that is shown something gets GraphiQL, from this host alone.
#[utoipa::path(
    get,
    path = "/graphql",
    responses(
        (status = 101, description = "A WebSocket that speaks `graphql-transport-ws`"),
        (status = 200, description = "GraphiQL, where `accept` asks for a page", body = String, content_type = "text/html"),
    ),
)]
pub(crate) async fn upgrade(
    State(app): State<App>,
    address: ClientAddress,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    if super::page::wanted(&headers) {
        return Ok(super::page::page());
    }
    let upgrade =
        upgrade.map_err(|_| ApiError::MethodNotAllowed("GET without a websocket upgrade: POST queries".into()))?;
    let viewer = auth::viewer(&app, &headers).await?;
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(MAX_BODY).max_frame_size(MAX_BODY);
    Ok(upgrade.on_upgrade(move |socket| converse(app, address, viewer, socket)))
}

async fn converse(app: App, address: ClientAddress, viewer: Option<Viewer>, socket: WebSocket) {
    let speaks = socket.protocol().is_some();
    let (mut sink, stream) = socket.split();
    let closed = if speaks {
        let session = Session {
            app: app.clone(),
            address,
            access: Arc::default(),
            slots: Arc::new(Semaphore::new(MAX_OPERATIONS)),
        };
        let input = stream.take_while(|message| ready(message.is_ok())).filter_map(|message| {
            ready(message.ok().filter(|m| matches!(m, Message::Text(_) | Message::Binary(_))).map(Message::into_data))
        });
        let (told, first) = oneshot::channel();
        let output = Protocol::new(session.clone(), input, WebSocketProtocols::GraphQLWS)
            .on_connection_init(move |payload| session.admit(viewer, payload, told));
        tokio::select! {
            closed = pump(output, &mut sink) => closed,
            closed = over(&app, first) => Some(closed),
            () = app.stop().cancelled() => Some((1001, "the service is stopping: connect again".into())),
        }
    } else {
        Some((4406, format!("speak {PROTOCOL}")))
    };
    if let Some((code, reason)) = closed {
        let frame = CloseFrame { code, reason: reason.into() };
        // Whoever does not take it any more is closed by the drop.
        let _ = tokio::time::timeout(FAREWELL, sink.send(Message::Close(Some(frame)))).await;
    }
}

/// Writes what the protocol says, until it has nothing more to say.
async fn pump(
    output: impl stream::Stream<Item = WsMessage>,
    sink: &mut (impl futures::Sink<Message> + Unpin),
) -> Option<Closed> {
    let mut output = std::pin::pin!(output);
    let mut ping = tokio::time::interval(PING);
    ping.reset();
    loop {
        let message = tokio::select! {
            said = output.next() => match said? {
                WsMessage::Text(text) => Message::Text(text.into()),
                WsMessage::Close(code, reason) => return Some((code, reason)),
            },
            _ = ping.tick() => Message::Ping(Default::default()),
        };
        if !matches!(tokio::time::timeout(WRITE, sink.send(message)).await, Ok(Ok(()))) {
            return None;
        }
    }
}

/// Waits until the socket may not go on: no first message, a token that does not hold, or one that has ended.
async fn over(app: &App, first: oneshot::Receiver<Result<Option<Viewer>, Fault>>) -> Closed {
    let viewer = match tokio::time::timeout(FIRST_MESSAGE, first).await {
        Err(_) => return (4408, "connection initialisation timeout".into()),
        Ok(Ok(Err(fault))) => return (4403, fault.message),
        Ok(Ok(Ok(Some(viewer)))) => viewer,
        // Anonymous, or the conversation is over by itself.
        Ok(Ok(Ok(None)) | Err(_)) => return pending().await,
    };
    viewer.ended(app).await;
    (4401, "the token has ended: connect again with another".into())
}

/// One socket's operations.
#[derive(Debug, Clone)]
struct Session {
    app: App,
    address: ClientAddress,
    /// Set by the first message.
    access: Arc<OnceLock<Access>>,
    slots: Arc<Semaphore>,
}

impl Session {
    /// The first message: its token, else that of the upgrade.
    async fn admit(
        self,
        viewer: Option<Viewer>,
        payload: Value,
        told: oneshot::Sender<Result<Option<Viewer>, Fault>>,
    ) -> async_graphql::Result<Data> {
        let sent = ["authorization", "Authorization"].iter().find_map(|name| payload.get(name));
        let viewer = match sent.map(|value| value.as_str().and_then(auth::bearer)) {
            None => Ok(viewer),
            Some(Some(token)) => auth::authenticate_token(&self.app, token).await.map(Some),
            Some(None) => Err(ApiError::Unauthenticated("authorization carries no bearer token")),
        };
        match viewer {
            Ok(viewer) => {
                let _ = self.access.set(Access::of(viewer.clone()));
                let _ = told.send(Ok(viewer));
                Ok(Data::default())
            }
            Err(error) => {
                let _ = told.send(Err(error.into()));
                // The socket is closed with the code that says so.
                pending().await
            }
        }
    }

    fn begin(&self, mut request: Request) -> Result<BoxStream<'static, Answer>, Fault> {
        let access =
            self.access.get().cloned().ok_or_else(|| Fault::internal("an operation before the first message"))?;
        let meter = Meter::of(&self.app, &access, self.address);
        meter.count()?;
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| {
            let message = format!("{MAX_OPERATIONS} operations are under way on this socket: complete one first");
            Fault::new(Code::TooManyRequests, message)
        })?;
        let app = self.app.clone();
        let answers = if super::admit(&mut request)? {
            super::SCHEMA.execute_stream(request.data(app).data(access).data(meter)).boxed()
        } else {
            stream::once(async move { super::answer(&app, access, meter, request).await }).boxed()
        };
        Ok(answers
            .map(move |answer| {
                // Held as long as the stream is.
                let _ = &slot;
                answer
            })
            .boxed())
    }
}

impl Executor for Session {
    async fn execute(&self, request: Request) -> Answer {
        let answer = self.execute_stream(request, None).into_future().map(|(answer, _)| answer).await;
        answer.unwrap_or_else(|| Fault::internal("an operation without an answer").response())
    }

    fn execute_stream(&self, request: Request, _: Option<Arc<Data>>) -> BoxStream<'static, Answer> {
        self.begin(request).unwrap_or_else(|fault| stream::once(ready(fault.response())).boxed())
    }
}
