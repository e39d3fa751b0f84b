//! A subscriber that believes what it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokenx_anvil_tests::eventually;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::Whole;

const NEWS: &str = "subscription { newMint { kind mint { id blockNumber amountRaw } } }";

/// Mints by their ids: block and amount.
type Mints = BTreeMap<String, (u64, String)>;

/// What the subscriber holds for true.
#[derive(Debug, Default)]
struct Believed {
    mints: Mints,
    added: usize,
    removed: usize,
    /// Something that cannot be: a mint told twice, or one taken back that was never told.
    nonsense: Option<String>,
}

impl Believed {
    fn hear(&mut self, news: &Value) {
        let mint = &news["mint"];
        let id = mint["id"].as_str().unwrap_or_default().to_owned();
        let told = (mint["blockNumber"].as_u64().unwrap_or_default(), mint["amountRaw"].to_string());
        let fits = match news["kind"].as_str() {
            Some("ADDED") => {
                self.added += 1;
                self.mints.insert(id, told).is_none()
            }
            Some("REMOVED") => {
                self.removed += 1;
                self.mints.remove(&id) == Some(told)
            }
            _ => false,
        };
        if !fits {
            self.nonsense.get_or_insert_with(|| news.to_string());
        }
    }
}

/// Listens to new mints over the API's socket.
pub(super) struct Subscriber {
    believed: Arc<Mutex<Believed>>,
    task: JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscriber {
    /// Subscribes, and returns once everything from now on is told.
    pub(super) async fn start(whole: &Whole) -> Self {
        let mut request = format!("{}/graphql", whole.url().replace("http", "ws")).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let query = |id: &str, query: &str| json!({ "id": id, "type": "subscribe", "payload": { "query": query } });
        // Answered once the subscription before it has begun.
        for message in
            [json!({ "type": "connection_init" }), query("news", NEWS), query("begun", "{ _meta { chainId } }")]
        {
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
        let believed = Arc::new(Mutex::new(Believed::default()));
        let heard = Arc::clone(&believed);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut begun = Some(begun);
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                let payload = &message["payload"];
                let mut believed = heard.lock().unwrap();
                match message["id"].as_str() {
                    Some("begun") => drop(begun.take().map(|begun| begun.send(()))),
                    Some("news") if payload["data"].is_object() => believed.hear(&payload["data"]["newMint"]),
                    Some("news") => believed.nonsense = Some(message.to_string()),
                    _ => {}
                }
            }
            heard.lock().unwrap().nonsense.get_or_insert_with(|| "the socket was closed".to_owned());
        });
        has_begun.await.unwrap();
        Self { believed, task }
    }

    /// Waits until the subscriber believes just what the tables hold, without ever having been told nonsense; how often
    /// it was told of a mint, and of one taken back.
    pub(super) async fn agrees(&self, pool: &PgPool) -> (usize, usize) {
        eventually("the subscriber knows each mint", || async {
            let stored = stored(pool).await;
            let believed = self.believed.lock().unwrap();
            assert_eq!(believed.nonsense, None);
            (believed.mints == stored).then_some((believed.added, believed.removed))
        })
        .await
    }
}

async fn stored(pool: &PgPool) -> Mints {
    let rows: Vec<(Vec<u8>, i32, i64, String)> = sqlx::query_as(
        "SELECT m.tx_hash::bytea, m.log_index, m.block_number, m.amount::text
           FROM mints m
           JOIN chain_cursors c ON c.chain_id = m.chain_id AND m.block_number > c.live_from",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(hash, index, block, amount)| {
            let id = format!("{:#x}:{index}", alloy::primitives::B256::from_slice(&hash));
            (id, (block.cast_unsigned(), format!("{amount:?}")))
        })
        .collect()
}
