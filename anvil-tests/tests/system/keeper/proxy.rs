//! An RPC endpoint that misbehaves with sends and passes everything else on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// What happens to a request that sends transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sends {
    /// It is passed on.
    Pass = 0,
    /// It never arrives, and no answer ever comes.
    Hang = 1,
    /// It arrives, but its answer is lost.
    LoseReply = 2,
}

#[derive(Clone)]
struct Proxy {
    target: String,
    client: reqwest::Client,
    mode: Arc<AtomicU8>,
}

/// A running proxy; ends with the test's runtime.
pub(super) struct Endpoint {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
}

impl Endpoint {
    /// A proxy in front of this endpoint.
    pub(super) async fn start(target: String) -> Self {
        let mode = Arc::new(AtomicU8::new(0));
        let proxy = Proxy { target, client: reqwest::Client::new(), mode: mode.clone() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(pass).with_state(proxy);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, mode }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn sends(&self, mode: Sends) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

async fn pass(State(proxy): State<Proxy>, body: Bytes) -> Response {
    let is_send = body.windows(22).any(|w| w == b"eth_sendRawTransaction");
    let mode = if is_send { proxy.mode.load(Ordering::SeqCst) } else { Sends::Pass as u8 };
    if mode == Sends::Hang as u8 {
        return std::future::pending().await;
    }
    let answer = proxy.client.post(&proxy.target).header("content-type", "application/json").body(body).send().await;
    match answer {
        _ if mode == Sends::LoseReply as u8 => StatusCode::BAD_GATEWAY.into_response(),
        Ok(answer) => ([("content-type", "application/json")], answer.bytes().await.unwrap()).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
