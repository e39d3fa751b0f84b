//! Subscriptions over `graphql-transport-ws`.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(45);

/// Blocks between what came before a reorg and what it takes back.
const APART: u64 = 30;
const PROTOCOL: &str = "graphql-transport-ws";

/// A client of the protocol.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn open(kit: &Kit, protocol: Option<&str>) -> Client {
        let mut request = format!("{}/graphql", kit.url.replace("http", "ws")).into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        Client(tokio_tungstenite::connect_async(request).await.unwrap().0)
    }

    /// Opened and greeted, as somebody or as nobody.
    async fn greeted(kit: &Kit, token: Option<&str>) -> Client {
        let mut client = Client::open(kit, Some(PROTOCOL)).await;
        let payload = token.map_or(json!({}), |token| json!({ "authorization": format!("Bearer {token}") }));
        client.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(client.hear().await, Ok(json!({ "type": "connection_ack" })));
        client
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    /// The next message, or the code that the socket was closed with.
    async fn hear(&mut self) -> Result<Value, u16> {
        // Pings are not news: the limit goes on.
        let heard = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(1006),
                }
            }
        };
        tokio::time::timeout(LIMIT, heard).await.expect("something is heard")
    }

    /// Hears news, by the id of its subscription, until it is that.
    async fn hears(&mut self, what: &str, mut is: impl FnMut(&str, &Value) -> bool) {
        // A limit of the whole: some news comes again and again.
        let heard = async {
            loop {
                let heard = self.hear().await.unwrap_or_else(|code| panic!("{what}: the socket was closed: {code}"));
                if heard["type"] == "complete" {
                    continue;
                }
                assert_eq!((&heard["type"], heard["payload"].get("errors")), (&json!("next"), None), "{what}: {heard}");
                if is(heard["id"].as_str().unwrap(), &heard["payload"]["data"]) {
                    return;
                }
            }
        };
        tokio::time::timeout(LIMIT, heard).await.unwrap_or_else(|_| panic!("not heard: {what}"));
    }

    /// The next piece of news of a command: what happened to its mint, and the party.
    async fn news(&mut self, command_id: &str) -> (String, Value) {
        loop {
            let heard = self.hear().await.expect("the socket is open");
            let news = &heard["payload"]["data"]["newMint"];
            let kind = news["kind"].as_str().unwrap_or_else(|| panic!("no news: {heard}")).to_owned();
            // What came just before the subscription may be told, too.
            if news["mint"]["commandId"] == command_id {
                return (kind, news["mint"]["party"].clone());
            }
        }
    }
}

const NEWS: &str = "subscription { newMint(filter: { instrumentId: \"rCC\" }) {
    kind mint { id amount commandId wallet party { partyId } token { symbol } } } }";

/// Turns the chain below its newest mint, and above what came before.
async fn take_back_the_newest_mint(kit: &Kit) {
    let newest = kit.data(None, "{ mints(first: 1) { nodes { blockNumber } } }").await;
    let minted = newest["mints"]["nodes"][0]["blockNumber"].as_u64().unwrap();
    // Between two blocks: anvil loses one that it is making.
    kit.chain().rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let head = kit.chain().rpc("eth_blockNumber", json!([])).await.unwrap();
    let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    kit.chain().rpc("anvil_reorg", json!([head - minted + APART / 2, []])).await.unwrap();
    kit.chain().rpc("evm_setIntervalMining", json!([1])).await.unwrap();
}

#[tokio::test]
async fn a_mint_is_told_as_it_is_indexed_and_told_again_when_a_reorg_takes_it_back() {
    let kit = Kit::whole().await;
    kit.chain().mine(APART).await.unwrap();
    let mut staff = Client::greeted(&kit, kit.token(Role::ComplianceOfficer)).await;
    let mut other = Client::greeted(&kit, Some(&kit.other_issuer().await)).await;
    for client in [&mut staff, &mut other] {
        client.subscribe("1", NEWS).await;
        // Answered once the subscription before it has begun.
        client.subscribe("2", "{ _meta { chainId } }").await;
        assert_eq!(client.hear().await.unwrap()["payload"]["data"]["_meta"]["chainId"], 31_337);
        assert_eq!(client.hear().await.unwrap()["type"], "complete");
    }
    assert_eq!(kit.mint("news-1", ALICE, "5").await.status, 200);
    let told = |kind: &str, party: Value| (kind.to_owned(), party);
    let alice = json!({ "partyId": ALICE });
    assert_eq!(staff.news("news-1").await, told("ADDED", alice.clone()));
    assert_eq!(other.news("news-1").await, told("ADDED", Value::Null), "another tenant learns the address and no more");

    take_back_the_newest_mint(&kit).await;
    assert_eq!(staff.news("news-1").await, told("REMOVED", alice.clone()));
    // The keeper sends the same bytes again.
    assert_eq!(staff.news("news-1").await, told("ADDED", alice));
    kit.holding("1005.0").await;

    staff.say(json!({ "id": "1", "type": "complete" })).await;
    assert_eq!(staff.hear().await, Ok(json!({ "type": "complete", "id": "1" })));
    kit.end().await;
}

#[tokio::test]
async fn transfers_holdings_commands_and_status_are_told_and_corrected_after_a_reorg() {
    let kit = Kit::whole().await;
    kit.chain().mine(APART).await.unwrap();
    let mut staff = Client::greeted(&kit, kit.token(Role::TransferAgent)).await;
    for (id, query) in [
        (
            "transfers",
            "subscription Named { newTransfer(filter: { instrumentId: \"rCC\", party: \"alice::122...\" }) {
                         kind transfer { amount toParty { partyId } commandId } } }",
        ),
        ("holdings", "subscription { newHolding(filter: { instrumentId: \"rCC\" }) { balance party { partyId } } }"),
        (
            "commands",
            "subscription { newCommandState(filter: { commandId: \"turned\" }) { state command { amount } } }",
        ),
        ("status", "subscription { newStatus { blockNumber tokens { instrumentId } } }"),
        ("begun", "{ _meta { chainId } }"),
    ] {
        staff.subscribe(id, query).await;
    }
    staff.hears("what was asked after the subscriptions", |id, _| id == "begun").await;
    assert_eq!(kit.mint("turned", ALICE, "5").await.status, 200);
    let turned = |id: &str, news: &Value, kind: &str| {
        let transfer = &news["newTransfer"]["transfer"];
        let ours = id == "transfers" && transfer["commandId"] == "turned" && news["newTransfer"]["kind"] == kind;
        assert!(!ours || transfer["toParty"]["partyId"] == ALICE, "{news}");
        ours
    };
    let held = |id: &str, news: &Value| id == "holdings" && news["newHolding"]["balance"] == "1005.0";
    let confirmed = |id: &str, news: &Value| id == "commands" && news["newCommandState"]["state"] == "confirmed";
    let (mut added, mut holds, mut runs, mut passes) = (false, false, false, false);
    staff
        .hears("all four of the mint", |id, news| {
            added |= turned(id, news, "ADDED");
            holds |= held(id, news);
            runs |= confirmed(id, news);
            passes |= id == "status" && news["newStatus"]["tokens"][0]["instrumentId"].is_string();
            added && holds && runs && passes
        })
        .await;

    take_back_the_newest_mint(&kit).await;
    // The keeper sends the same bytes again. Transfers and commands are told by different tails, one ahead of the other.
    let (mut gone, mut added, mut holds, mut reopened, mut runs) = (false, false, false, false, false);
    staff
        .hears("that it is gone, and back", |id, news| {
            gone |= turned(id, news, "REMOVED");
            added |= gone && turned(id, news, "ADDED");
            holds |= held(id, news);
            reopened |= id == "commands" && news["newCommandState"]["state"] == "prepared";
            runs |= reopened && confirmed(id, news);
            added && holds && runs
        })
        .await;

    let mut nobody = Client::greeted(&kit, None).await;
    let mut investor = Client::greeted(&kit, kit.token(Role::Investor)).await;
    for (query, code) in [
        ("subscription { newCommandState { state } }", "FORBIDDEN"),
        ("subscription { newHolding(filter: { party: \"carol\" }) { balance } }", "FORBIDDEN"),
    ] {
        investor.subscribe(query, query).await;
        let refused = investor.hear().await.unwrap().to_string();
        assert!(refused.contains(code), "{refused}");
        while investor.hear().await.unwrap()["type"] != "complete" {}
        nobody.subscribe(query, query).await;
        let refused = nobody.hear().await.unwrap().to_string();
        assert!(refused.contains(if query.contains("newCommand") { "UNAUTHENTICATED" } else { code }), "{refused}");
        while nobody.hear().await.unwrap()["type"] != "complete" {}
    }
    kit.end().await;
}

#[tokio::test]
async fn a_socket_is_closed_soon_after_its_token_is() {
    let kit = Kit::bare().await;
    let session = kit.log_in("compliance_officer@example.org").await;
    let token = session["access_token"].as_str().unwrap();
    let mut client = Client::greeted(&kit, Some(token)).await;
    client.subscribe("1", NEWS).await;
    assert_eq!(kit.post("/auth/logout", Some(token), &json!({})).await.status, 204);
    let ended = Instant::now();
    assert_eq!(client.hear().await, Err(4401));
    assert!(ended.elapsed() < Duration::from_secs(2), "{:?}", ended.elapsed());

    let brief = Kit::bare_with(|settings| settings.auth.access_ttl_seconds = 2).await;
    let session = brief.log_in("investor@example.org").await;
    let mut client = Client::greeted(&brief, session["access_token"].as_str()).await;
    assert_eq!(client.hear().await, Err(4401), "also where it ends by itself");
    brief.end().await;
    kit.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_socket_is_said_by_its_code() {
    let kit = Kit::bare().await;
    let mut silent = Client::open(&kit, None).await;
    assert_eq!(silent.hear().await, Err(4406), "no protocol");
    let mut forged = Client::open(&kit, Some(PROTOCOL)).await;
    forged.say(json!({ "type": "connection_init", "payload": { "authorization": "Bearer forged" } })).await;
    assert_eq!(forged.hear().await, Err(4403));

    let mut client = Client::greeted(&kit, None).await;
    client.subscribe("1", "subscription { newMint(filter: { party: \"carol\" }) { kind } }").await;
    let refused = client.hear().await.unwrap();
    assert!(refused.to_string().contains("FORBIDDEN"), "{refused}");
    for id in 10..60 {
        client.subscribe(&id.to_string(), "subscription { newMint { kind } }").await;
    }
    let full = loop {
        let heard = client.hear().await.unwrap();
        if heard.to_string().contains("TOO_MANY_REQUESTS") {
            break heard;
        }
    };
    assert_eq!(full["payload"]["errors"].as_array().or(full["payload"].as_array()).map(Vec::len), Some(1), "{full}");

    let mut stopped = Client::greeted(&kit, None).await;
    kit.stop.cancel();
    assert_eq!(stopped.hear().await, Err(1001));
    kit.end().await;
}
