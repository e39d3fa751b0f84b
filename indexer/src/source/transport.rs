//! alloy's transport seam over HTTP, with a cap on what an endpoint may make us hold: its answers are input from
//! outside.

use std::task::{Context, Poll};
use std::time::Duration;

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::http::reqwest::{self, Client, Url, redirect::Policy};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use tower::Service;

/// What an error over the cap says; the classifier knows it.
pub(super) const TOO_BIG: &str = "answer is larger than chain.max_response_bytes";

/// JSON-RPC over HTTP with a time-out and a cap on the body.
#[derive(Clone, Debug)]
pub struct CappedHttp {
    client: Client,
    url: Url,
    cap: usize,
}

impl CappedHttp {
    /// `cap` is the largest body that is read. Ranges aim well below it, so only a sudden burst of logs meets it, and
    /// fewer blocks are asked for; one block alone must fit.
    ///
    /// # Errors
    /// Where the TLS set-up is unusable.
    pub fn new(url: Url, timeout: Duration, cap: usize) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, url, cap })
    }

    async fn exchange(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let mut response = self
            .client
            .post(self.url)
            .headers(request.headers())
            .json(&request)
            .send()
            .await
            // An endpoint's URL often carries its key: no error may show it.
            .map_err(|error| TransportErrorKind::custom(error.without_url()))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| TransportErrorKind::custom(error.without_url()))?
        {
            if body.len() + chunk.len() > self.cap {
                return Err(TransportErrorKind::custom_str(TOO_BIG));
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice(&body) {
            Ok(packet) => Ok(packet),
            Err(_) if !status.is_success() => {
                let text = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
                Err(TransportErrorKind::http_error(status.as_u16(), text))
            }
            Err(error) => {
                let text = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
                Err(TransportError::deser_err(error, text))
            }
        }
    }
}

impl Service<RequestPacket> for CappedHttp {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().exchange(request))
    }
}
