//! Against an endpoint that says whatever the test wants.

use std::sync::Mutex;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::*;

const TOKEN: Address = Address::repeat_byte(0x70);

/// Answers each JSON-RPC call by a function of method and parameters.
struct Endpoint {
    chain: Chain,
    _serving: AbortOnDropHandle<()>,
}

impl Endpoint {
    async fn that(answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:s3cret@{}/k3y", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move { serve(stream, answer.as_ref()).await });
            }
        });
        let chain = Chain {
            rpc_url: url.into(),
            chain_id: 7,
            request_timeout_ms: 500,
            max_response_bytes: 100_000,
            ..Chain::default()
        };
        Self { chain, _serving: AbortOnDropHandle::new(serving) }
    }

    fn source(&self) -> Source {
        Source::connect(&self.chain).unwrap()
    }
}

/// Speaks as much HTTP as one client that keeps its connection needs.
async fn serve(mut stream: TcpStream, answer: &(dyn Fn(&str, &Value) -> Value + Send + Sync)) {
    let mut buffer = Vec::new();
    loop {
        let (head, length) = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                let length: usize =
                    head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim().parse().unwrap();
                if buffer.len() >= end + 4 + length {
                    break (end + 4, length);
                }
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let calls: Vec<Value> = serde_json::from_slice(&buffer[head..head + length]).unwrap();
        buffer.drain(..head + length);
        let mut answers = Vec::new();
        for call in calls {
            let said = answer(call["method"].as_str().unwrap(), &call["params"]);
            if said == "silence" {
                std::future::pending::<()>().await;
            }
            let mut whole = json!({"jsonrpc": "2.0", "id": call["id"]});
            match said.get("error") {
                Some(error) => whole["error"] = error.clone(),
                None => whole["result"] = said,
            }
            answers.push(whole);
        }
        let body = Value::from(answers).to_string();
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn hash(number: u64) -> B256 {
    B256::from(alloy::primitives::U256::from(number + 1))
}

fn header(number: u64) -> Value {
    json!({"number": U64::from(number), "hash": hash(number), "parentHash": B256::ZERO, "timestamp": U64::from(number * 10)})
}

fn log(number: u64, index: u64) -> Value {
    json!({"address": TOKEN, "topics": [B256::ZERO], "data": "0x", "blockNumber": U64::from(number), "blockHash": hash(number),
           "transactionHash": B256::ZERO, "transactionIndex": "0x0", "logIndex": U64::from(index),
           "blockTimestamp": U64::from(number * 10), "removed": false})
}

fn asked_number(params: &Value) -> u64 {
    serde_json::from_value::<U64>(params[0].clone()).unwrap().to()
}

fn query() -> Vec<Query> {
    vec![Query { addresses: vec![TOKEN], topics: Vec::new() }]
}

/// An endpoint with every header, and these logs for every range.
async fn with_logs(logs: Vec<Value>) -> Endpoint {
    Endpoint::that(move |method, params| match method {
        "eth_getLogs" => Value::from(logs.clone()),
        _ => header(asked_number(params)),
    })
    .await
}

#[tokio::test]
async fn logs_come_in_the_order_of_the_chain() {
    let endpoint = with_logs(vec![log(3, 1), log(2, 0), log(3, 0)]).await;
    let (end, answer) = endpoint.source().range(1, 3, &query()).await.unwrap();
    assert_eq!(end.hash, hash(3));
    let places: Vec<_> = answer.logs.iter().map(place).collect();
    assert_eq!(places, [(2, 0), (3, 0), (3, 1)]);
    assert_eq!(answer.logs[0].timestamp, 20);
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_believed() {
    let mut stranger = log(2, 0);
    stranger["address"] = json!(Address::repeat_byte(0x66));
    let mut removed = log(2, 0);
    removed["removed"] = json!(true);
    let cases = [
        ("not asked for", vec![stranger]),
        ("removed", vec![removed]),
        ("at one place", vec![log(2, 0), log(2, 0)]),
        ("log of block 9", vec![log(9, 0)]),
    ];
    for (why, logs) in cases {
        let error = with_logs(logs).await.source().range(1, 3, &query()).await.unwrap_err();
        assert!(matches!(error, SourceError::Untrue { .. }) && error.to_string().contains(why), "{error}");
    }
    let by_topic = [Query { addresses: vec![TOKEN], topics: vec![B256::repeat_byte(1)] }];
    let error = with_logs(vec![log(2, 0)]).await.source().range(1, 3, &by_topic).await.unwrap_err();
    assert!(matches!(error, SourceError::Untrue { .. }), "a log of another topic: {error}");
}

#[tokio::test]
async fn a_log_of_another_branch_than_its_header_is_not_believed() {
    let mut other = log(3, 0);
    other["blockHash"] = json!(B256::repeat_byte(9));
    let error = with_logs(vec![other]).await.source().range(1, 3, &query()).await.unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
}

#[tokio::test]
async fn times_that_a_node_leaves_out_come_from_headers() {
    let mut bare = log(2, 0);
    bare.as_object_mut().unwrap().remove("blockTimestamp");
    let (_, answer) = with_logs(vec![bare]).await.source().range(1, 3, &query()).await.unwrap();
    assert_eq!(answer.logs[0].timestamp, 20);
}

#[tokio::test]
async fn an_answer_above_the_cap_asks_for_a_shorter_range() {
    let endpoint = with_logs((0..1_000).map(|n| log(2, n)).collect()).await;
    let error = endpoint.source().range(1, 3, &query()).await.unwrap_err();
    assert_eq!(error.class(), Class::TooBig, "{error}");
    assert!(error.class().wants_less());
}

#[tokio::test]
async fn a_node_that_is_behind_says_so_instead_of_leaving_logs_out() {
    let endpoint = Endpoint::that(|method, _| if method == "eth_getLogs" { json!([]) } else { Value::Null }).await;
    let error = endpoint.source().range(1, 3, &query()).await.unwrap_err();
    assert_eq!(error.class(), Class::Behind, "{error}");
}

#[tokio::test]
async fn silence_is_a_time_out() {
    let endpoint = Endpoint::that(|_, _| json!("silence")).await;
    let begun = Instant::now();
    let error = endpoint.source().header(1).await.unwrap_err();
    assert_eq!(error.class(), Class::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_error_in_a_batch_keeps_its_class() {
    let endpoint = Endpoint::that(|method, params| match method {
        "eth_getLogs" => json!({"error": {"code": -32005, "message": "query returned more than 10000 results"}}),
        _ => header(asked_number(params)),
    })
    .await;
    assert_eq!(endpoint.source().range(1, 3, &query()).await.unwrap_err().class(), Class::TooBig);
}

#[tokio::test]
async fn a_contract_may_fail_in_any_way_and_a_node_may_not() {
    let contract =
        |message: &'static str| Endpoint::that(move |_, _| json!({"error": {"code": -32003, "message": message}}));
    for message in ["EVM error OutOfGas", "execution reverted: header not found", "invalid opcode: INVALID"] {
        let endpoint = contract(message).await;
        // The code is one that some nodes use for size; contracts fail under any.
        let answer = endpoint.source().view(TOKEN, &[1, 2, 3, 4]).await;
        assert!(matches!(answer, Ok(None)), "{message}: {answer:?}");
    }
    let not_theirs = [
        "header not found",
        "too many requests",
        "request timed out",
        "no backend is currently healthy to serve traffic",
        "state at block #3 is pruned",
        "the moon is in the wrong house",
    ];
    for message in not_theirs {
        let endpoint = contract(message).await;
        assert!(endpoint.source().view(TOKEN, &[]).await.is_err(), "{message}");
        let views = endpoint.source().views(B256::ZERO, &[(TOKEN, Vec::new())]).await;
        assert!(views.is_err(), "{message}: a slice with it is put off: {views:?}");
    }
}

#[tokio::test]
async fn no_error_shows_the_endpoints_url() {
    let mut chain = Endpoint::that(|_, _| Value::Null).await.chain;
    // The endpoint is gone with its handle; and a URL that is none.
    let gone = Source::connect(&chain).unwrap().header(1).await.unwrap_err();
    chain.rpc_url = "s3cret k3y".to_owned().into();
    let bad = Source::connect(&chain).unwrap_err();
    for error in [gone, bad] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("s3cret") && !text.contains("k3y"), "{text}");
    }
}

#[tokio::test]
async fn another_chain_is_refused_by_name() {
    let endpoint = Endpoint::that(|_, _| json!("0x1")).await;
    let error = endpoint.source().identify(7).await.unwrap_err();
    assert!(matches!(error, SourceError::WrongChain { expected: 7, found: 1 }), "{error}");
}

#[tokio::test]
async fn counts_and_logs_at_the_head_are_asked_by_hash() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let endpoint = Endpoint::that({
        let asked = asked.clone();
        move |method, params| {
            asked.lock().unwrap().push((method.to_owned(), params.clone()));
            if method == "eth_getLogs" { Value::from(vec![log(4, 0)]) } else { json!("0x2a") }
        }
    })
    .await;
    let block = BlockRef { number: 4, hash: hash(4), parent_hash: B256::ZERO, timestamp: 40 };
    let (answer, nonces) = endpoint.source().at_hashes(&[block], &query(), &[TOKEN]).await.unwrap();
    assert_eq!((answer.logs.len(), nonces), (1, vec![(TOKEN, 42)]));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked[0].1[0]["blockHash"], json!(hash(4)));
    assert_eq!(asked[1].1[1]["blockHash"], json!(hash(4)));
}

#[tokio::test]
async fn blocks_whose_logs_fit_one_by_one_are_read_however_large_they_are_together() {
    let endpoint = Endpoint::that(|_, params| {
        let number = (1..=8).find(|number| params[0]["blockHash"] == json!(hash(*number))).unwrap();
        let mut burst = log(number, 0);
        burst["data"] = json!(format!("0x{}", "00".repeat(20_000)));
        Value::from(vec![burst])
    })
    .await;
    let block = |number| BlockRef { number, hash: hash(number), parent_hash: B256::ZERO, timestamp: number };
    let blocks: Vec<BlockRef> = (1..=8).map(block).collect();
    let (answer, _) = endpoint.source().at_hashes(&blocks, &query(), &[]).await.unwrap();
    let places: Vec<_> = answer.logs.iter().map(place).collect();
    assert_eq!(places, (1..=8).map(|number| (number, 0)).collect::<Vec<_>>());
}
