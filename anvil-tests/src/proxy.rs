//! A JSON-RPC endpoint that misbehaves as told, and passes everything else on to a real node.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::Cutter;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its request never arrives, and no answer ever comes.
    Hang,
    /// Its request never arrives; the gateway answers with this status.
    Status(u16),
    /// Its request arrives this much later.
    Delay(Duration),
    /// Its request arrives and is answered, well or badly; the connection breaks before the answer comes back.
    LoseReply,
    /// As before, for this call of a batch alone: the gateway says instead that the node took too long.
    LoseAnswer,
}

/// A running proxy in front of one node; ends with its owner.
///
/// A rule is about one method. Its chance is drawn once for a request that has the method, alone or in a JSON-RPC
/// batch, and strikes all of it; with `LoseAnswer` it is drawn for each call and strikes that one.
///
/// ```text
/// let proxy = FaultProxy::start(&world.chain.url(), campaign::seed("losses")).await?;
/// proxy.rule("eth_sendRawTransaction", Fault::LoseReply, 0.3);
/// settings.chain.rpc_url = proxy.url().into();
/// settings.chain.ws_url = Some(proxy.ws_url().into());
/// proxy.socket().cut();                              // the WebSocket ends
/// proxy.heal();                                      // from here on it passes everything
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    socket: Cutter,
    wire: Arc<Wire>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Wire {
    target: String,
    client: reqwest::Client,
    chance: Mutex<Chance>,
}

#[derive(Debug)]
struct Chance {
    rules: Vec<Rule>,
    random: StdRng,
    struck: u64,
}

#[derive(Debug)]
struct Rule {
    method: String,
    fault: Fault,
    probability: f64,
}

impl FaultProxy {
    /// A proxy without rules in front of the node at this HTTP URL, whose WebSocket is on the same port.
    pub async fn start(target: &str, seed: u64) -> Result<Self> {
        let chance = Chance { rules: Vec::new(), random: StdRng::seed_from_u64(seed), struck: 0 };
        let wire =
            Arc::new(Wire { target: target.to_owned(), client: reqwest::Client::new(), chance: Mutex::new(chance) });
        let socket = Cutter::before(&target.replacen("http", "ws", 1)).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new().fallback(pass).with_state(wire.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, socket, wire, _serving: AbortOnDropHandle::new(serving) })
    }

    /// The HTTP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The WebSocket endpoint: passed through, until it is cut.
    pub fn ws_url(&self) -> String {
        self.socket.url()
    }

    /// What the WebSocket goes through.
    pub fn socket(&self) -> &Cutter {
        &self.socket
    }

    /// From here on, calls of `method` meet `fault` with this probability, if no rule before it strikes.
    pub fn rule(&self, method: &str, fault: Fault, probability: f64) {
        self.wire.chance().rules.push(Rule { method: method.to_owned(), fault, probability });
    }

    /// Forgets all rules.
    pub fn heal(&self) {
        self.wire.chance().rules.clear();
    }

    /// Faults so far.
    pub fn struck(&self) -> u64 {
        self.wire.chance().struck
    }
}

impl Wire {
    fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Strikes {
    whole: Option<Fault>,
    /// Which of its calls lose their answers.
    lost: Vec<bool>,
}

impl Chance {
    fn draw(&mut self, methods: &[&str]) -> Strikes {
        let Self { rules, random, struck } = self;
        let mut strikes = Strikes { whole: None, lost: vec![false; methods.len()] };
        for rule in rules {
            if rule.fault == Fault::LoseAnswer {
                for (lost, method) in strikes.lost.iter_mut().zip(methods) {
                    *lost |= *method == rule.method && random.random_bool(rule.probability);
                }
            } else if strikes.whole.is_none() && methods.contains(&rule.method.as_str()) {
                strikes.whole = random.random_bool(rule.probability).then_some(rule.fault);
            }
        }
        let lost = strikes.lost.iter().filter(|lost| **lost).count() as u64;
        *struck += if strikes.whole.is_some() { 1 } else { lost };
        strikes
    }
}

/// The methods of a request: one, or a batch's.
fn methods(request: &Value) -> Vec<&str> {
    let calls = request.as_array().map_or(std::slice::from_ref(request), Vec::as_slice);
    calls.iter().map(|call| call["method"].as_str().unwrap_or_default()).collect()
}

async fn pass(State(wire): State<Arc<Wire>>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Strikes { whole, lost } = wire.chance().draw(&methods(&request));
    match whole {
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Status(status)) => {
            return StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY).into_response();
        }
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::LoseReply | Fault::LoseAnswer) | None => {}
    }
    let sent = wire.client.post(&wire.target).header(header::CONTENT_TYPE, "application/json").body(body).send().await;
    let answer = match sent {
        Ok(answer) => answer.bytes().await,
        Err(error) => Err(error),
    };
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    if whole == Some(Fault::LoseReply) {
        let broken: Result<Bytes, _> = Err(std::io::Error::other("lost"));
        return Body::from_stream(stream::iter([broken])).into_response();
    }
    let answer = if lost.contains(&true) { without(&request, &lost, &answer) } else { answer };
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

/// The answer with the lost ones replaced by what a gateway says of them.
fn without(request: &Value, lost: &[bool], answer: &[u8]) -> Bytes {
    let mut answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let calls = request.as_array().map_or(std::slice::from_ref(request), Vec::as_slice);
    let lost: Vec<&Value> = calls.iter().zip(lost).filter(|(_, lost)| **lost).map(|(call, _)| &call["id"]).collect();
    let answers = match &mut answer {
        Value::Array(answers) => answers.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for one in answers.iter_mut().filter(|one| lost.contains(&&one["id"])) {
        let error = json!({ "code": -32000, "message": "request timed out" });
        *one = json!({ "jsonrpc": "2.0", "id": one["id"], "error": error });
    }
    answer.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that answers every call with its method, and a proxy in front of it.
    async fn proxied() -> FaultProxy {
        async fn node(body: Bytes) -> Response {
            let request: Value = serde_json::from_slice(&body).unwrap();
            let answer = |call: &Value| json!({ "jsonrpc": "2.0", "id": call["id"], "result": call["method"] });
            let answers = match &request {
                Value::Array(calls) => calls.iter().map(answer).collect(),
                one => answer(one),
            };
            answers.to_string().into_response()
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(node)).await.unwrap() });
        FaultProxy::start(&url, 7).await.unwrap()
    }

    fn call(id: u64, method: &str) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [] })
    }

    async fn post(proxy: &FaultProxy, request: &Value) -> Result<Value, reqwest::Error> {
        let client = reqwest::Client::new();
        client.post(proxy.url()).json(request).send().await?.error_for_status()?.json().await
    }

    #[tokio::test]
    async fn a_rule_strikes_its_method_and_no_other() {
        let proxy = proxied().await;
        proxy.rule("send", Fault::Status(503), 1.0);
        assert!(post(&proxy, &call(1, "send")).await.unwrap_err().status().is_some_and(|status| status == 503));
        assert_eq!(post(&proxy, &call(2, "read")).await.unwrap()["result"], "read");
        proxy.heal();
        assert_eq!(post(&proxy, &call(3, "send")).await.unwrap()["result"], "send");
        assert_eq!(proxy.struck(), 1);
    }

    #[tokio::test]
    async fn a_lost_reply_is_a_broken_connection() {
        let proxy = proxied().await;
        proxy.rule("send", Fault::LoseReply, 1.0);
        let error = post(&proxy, &json!([call(1, "read"), call(2, "send")])).await.unwrap_err();
        assert!(!error.is_status(), "{error:?}");
    }

    #[tokio::test]
    async fn a_lost_answer_is_one_of_its_batch() {
        let proxy = proxied().await;
        proxy.rule("send", Fault::LoseAnswer, 1.0);
        let answers = post(&proxy, &json!([call(1, "read"), call(2, "send")])).await.unwrap();
        assert_eq!((&answers[0]["result"], answers[1].get("result")), (&json!("read"), None));
        assert_eq!(answers[1]["error"]["message"], "request timed out");
    }

    #[test]
    fn a_seed_makes_the_same_draws() {
        let drawn = |seed| {
            let rules = vec![Rule { method: "send".to_owned(), fault: Fault::LoseAnswer, probability: 0.3 }];
            let mut chance = Chance { rules, random: StdRng::seed_from_u64(seed), struck: 0 };
            chance.draw(&["send"; 1000])
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        let struck = drawn(3).lost.iter().filter(|lost| **lost).count();
        assert!((250..350).contains(&struck), "{struck}");
    }
}
