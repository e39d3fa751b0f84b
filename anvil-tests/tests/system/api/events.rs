//! `GET /events`: the outbox over HTTP, told once and in order however often the connection breaks.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::Response;
use tokenx_anvil_tests::Cutter;
use tokenx_migrations::outbox::{self, Event as Appended};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::*;

/// A client of its own making: reads events line by line and remembers where it was.
struct Listener {
    url: String,
    token: String,
    query: &'static str,
    /// The last id that was sent, with an event or without.
    last: Option<String>,
    response: Option<Response>,
    rest: Vec<u8>,
    connections: u32,
}

/// An event as it came.
#[derive(Clone, Debug)]
struct Heard {
    id: String,
    kind: String,
    data: Value,
}

impl Listener {
    fn new(kit: &Kit, role: Role, query: &'static str) -> Listener {
        Listener::at(&kit.url, kit.token(role).unwrap(), query)
    }

    fn at(url: &str, token: &str, query: &'static str) -> Listener {
        let (url, token) = (url.trim_end_matches('/').to_owned(), token.to_owned());
        Listener { url, token, query, last: None, response: None, rest: Vec::new(), connections: 0 }
    }

    /// From this event on; `0:0`: from the first.
    fn after(mut self, id: &str) -> Listener {
        self.last = Some(id.to_owned());
        self
    }

    async fn ask(&self) -> reqwest::Result<Response> {
        // A new client, for a new connection.
        let mut request = reqwest::Client::new().get(format!("{}/events{}", self.url, self.query));
        if let Some(last) = &self.last {
            request = request.header("last-event-id", last);
        }
        request.bearer_auth(&self.token).send().await
    }

    async fn connect(&mut self) {
        let response = eventually("the stream opens", || async { self.ask().await.ok() }).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert!(response.headers().get("content-encoding").is_none());
        self.connections += 1;
        self.rest.clear();
        self.response = Some(response);
    }

    /// The next event; connects again as often as it must.
    async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.piece() {
                return heard;
            }
            self.read().await;
        }
    }

    /// Reads on; `false` where the stream has ended.
    async fn read(&mut self) -> bool {
        if self.response.is_none() {
            self.connect().await;
        }
        match self.response.as_mut().unwrap().chunk().await {
            Ok(Some(bytes)) => self.rest.extend(bytes),
            Ok(None) | Err(_) => self.response = None,
        }
        self.response.is_some()
    }

    /// An event of what was read, if one is whole. What broke off is no event.
    fn piece(&mut self) -> Option<Heard> {
        loop {
            let end = self.rest.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let block = String::from_utf8(block).unwrap();
            let field =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
            self.last = field("id").or(self.last.take());
            if let (Some(kind), Some(data)) = (field("event"), field("data")) {
                return Some(Heard { id: field("id").unwrap(), kind, data: serde_json::from_str(&data).unwrap() });
            }
        }
    }

    /// Events up to one of this subject.
    async fn until(&mut self, subject: &str) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.next().await);
            if heard.last().unwrap().data["subject"] == subject {
                return heard;
            }
        }
    }
}

/// Appends events as rooms do, each in a transaction of its own.
async fn append(pool: &PgPool, subject: &str, kind: &str, payload: Value) {
    let mut conn = pool.acquire().await.unwrap();
    let event = Appended { kind: kind.into(), subject: subject.into(), payload, effect_key: None };
    outbox::append(&mut conn, event).await.unwrap();
}

/// The table's own words, in order.
async fn table(pool: &PgPool) -> Vec<(String, String, Value)> {
    sqlx::query_as(
        "SELECT xid::text || ':' || seq, kind, jsonb_build_object('subject', subject, 'data', payload)
           FROM outbox
          ORDER BY outbox.xid, seq",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_again_after_each_cut_hears_the_outbox_in_order_once_and_whole() {
    let kit = Kit::bare().await;
    let way = Cutter::before(&kit.url).await.unwrap();
    let pool = kit.pool.clone();
    // Writers whose transactions overlap: what commits late is told late, and never skipped.
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for n in 0..400 {
                    let mut tx = tokenx_migrations::begin(&pool).await.unwrap();
                    let event = |part: &str| Appended {
                        kind: "mint".into(),
                        subject: format!("instrument:W{writer}"),
                        payload: json!({ "n": n, "part": part, "fill": "x".repeat(n % 97) }),
                        effect_key: None,
                    };
                    outbox::append(&mut tx, event("first")).await.unwrap();
                    tokio::task::yield_now().await;
                    outbox::append(&mut tx, event("second")).await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    let done = tokio::spawn(async move {
        for writer in writers {
            writer.await.unwrap();
        }
        append(&pool, "instrument:end", "mint", json!({})).await;
    });
    let super_admin = kit.token(Role::SuperAdmin).unwrap();
    let listen = async |from: Option<&str>, seed: u32| {
        let mut listener = Listener::at(&way.url(), super_admin, "");
        listener.last = from.map(str::to_owned);
        let mut heard: Vec<Heard> = Vec::new();
        let mut bytes = seed;
        loop {
            heard.push(listener.next().await);
            if heard.last().unwrap().data["subject"] == "instrument:end" {
                return (heard, listener.connections);
            }
            if heard.len().is_multiple_of(40) {
                // Somewhere in the middle of an event, mostly.
                bytes = bytes.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                way.cut_after(bytes % 9_000);
            }
        }
    };
    let ((first, cuts), (second, _)) = tokio::join!(listen(Some("0:0"), 1), listen(Some("0:0"), 2));
    done.await.unwrap();
    let rows = table(&kit.pool).await;
    assert!(rows.len() > 3_200 && cuts > 10, "{} rows, {cuts} connections", rows.len());
    for heard in [first, second] {
        let told: Vec<_> = heard
            .into_iter()
            .map(|one| (one.id, one.kind, json!({ "subject": one.data["subject"], "data": one.data["data"] })))
            .collect();
        assert_eq!(told.len(), rows.len());
        assert!(told == rows, "what was told is not what is kept");
    }
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorg_takes_back_is_told_to_who_was_told_of_it() {
    let kit = Kit::whole().await;
    let mut listener = Listener::new(&kit, Role::Investor, "?types=mint&instrument=rCC").after("0:0");
    assert_eq!(kit.mint("told", ALICE, "7").await.status, 200);
    kit.holding("1007.0").await;
    let minted = loop {
        let heard = listener.next().await;
        assert_eq!(heard.kind, "mint");
        if heard.data["data"]["amount"] == "7000000000000000000" {
            break heard;
        }
    };
    let chain = &kit._world.as_ref().unwrap().chain;
    chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let head = chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let block = minted.data["data"]["block_number"].as_u64().unwrap();
    chain.rpc("anvil_reorg", json!([head - block + 1, []])).await.unwrap();
    chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    let removed = listener.next().await;
    assert_eq!((removed.kind.as_str(), &removed.data["data"]), ("mint.removed", &minted.data["data"]));
    let again = listener.next().await;
    assert_eq!(
        (again.kind.as_str(), &again.data["data"]["command_key"]),
        ("mint", &minted.data["data"]["command_key"])
    );
    assert_ne!(again.data["data"]["block_hash"], minted.data["data"]["block_hash"]);
    kit.end().await;
}

#[tokio::test]
async fn each_is_told_what_rest_would_show_it() {
    let ground = tokens::Ground::bare().await;
    let kit = &ground.kit;
    let token = ground.add(&ground.sample()).await;
    let record = format!("token:{}", token["id"].as_str().unwrap());
    let of = |scope: &str, instrument: &str| json!({ "scope": scope, "command_id": "c", "instrument_id": instrument });
    append(&kit.pool, "offering:1", "offering.add", json!({ "token_id": token["id"] })).await;
    append(&kit.pool, "command:1", "command.accepted", of("system", "TKN")).await;
    append(&kit.pool, "command:2", "command.accepted", of("ops", "TKN")).await;
    append(&kit.pool, "command:3", "command.accepted", of("system", "other")).await;
    append(&kit.pool, "instrument:other", "mint", json!({ "chain_id": kit.settings.chain.chain_id })).await;
    append(&kit.pool, "instrument:elsewhere", "mint", json!({ "chain_id": 1 })).await;
    append(&kit.pool, "instrument:end", "burn", json!({})).await;
    let (_, tool) = kit.service_token(Role::TransferAgent, None, &[Scope::DataRead]).await;
    let stranger = ground.stranger().await;
    let person = |role| kit.token(role).unwrap();
    let chain = ["instrument:other", "instrument:end"];
    for (who, token, expected) in [
        ("the issuer", person(Role::Issuer), &[record.as_str(), "offering:1", "command:1"][..]),
        ("another issuer", &stranger, &[]),
        ("an investor", person(Role::Investor), &[]),
        ("a compliance officer", person(Role::ComplianceOfficer), &[&record, "offering:1"]),
        (
            "a transfer agent",
            person(Role::TransferAgent),
            &[&record, "offering:1", "command:1", "command:2", "command:3"],
        ),
        ("its tool", &tool, &[&record, "offering:1", "command:1", "command:2", "command:3"]),
    ] {
        let heard = Listener::at(&kit.url, token, "").after("0:0").until("instrument:end").await;
        let subjects: Vec<&str> = heard.iter().map(|heard| heard.data["subject"].as_str().unwrap()).collect();
        assert_eq!(subjects, [expected, &chain].concat(), "{who}");
    }
    let all = Listener::new(kit, Role::SuperAdmin, "").after("0:0").until("instrument:end").await;
    let subjects: HashSet<&str> = all.iter().map(|heard| heard.data["subject"].as_str().unwrap()).collect();
    assert!(subjects.iter().any(|subject| subject.starts_with("user:")) && !subjects.contains("instrument:elsewhere"));
    // An instrument names its record and its commands as well as what the chain says of it.
    append(&kit.pool, "command:4", "command.final", of("system", "TKN")).await;
    let mut own = Listener::new(kit, Role::Issuer, "?instrument=TKN").after("0:0");
    let heard = own.until("command:4").await;
    assert_eq!(
        heard.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>(),
        ["token.add", "offering.add", "command.accepted", "command.final"]
    );
    ground.kit.end().await;
}

#[tokio::test]
async fn what_cannot_be_told_without_a_gap_is_refused() {
    let kit = Kit::bare().await;
    let ask = async |id: &str, token: Option<&str>| {
        let mut request = kit.client.get(format!("{}/events", kit.url)).header("last-event-id", id);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        read(request).await
    };
    let viewer = kit.token(Role::Investor);
    for bad in ["", "x", "1", "1:2:3", "-1:0", "999999999999999999999:1"] {
        let answer = ask(bad, viewer).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["errors"][0]["field"]),
            (400, &json!("last-event-id")),
            "{bad}"
        );
    }
    // Events are kept for ever by now: a row that is gone is one that somebody removed.
    append(&kit.pool, "instrument:a", "mint", json!({})).await;
    append(&kit.pool, "instrument:b", "mint", json!({})).await;
    let (gone, _, _) = table(&kit.pool).await.iter().rev().nth(1).unwrap().clone();
    sqlx::query("DELETE FROM outbox WHERE subject = 'instrument:a'").execute(&kit.pool).await.unwrap();
    let answer = ask(&gone, viewer).await;
    assert_eq!(answer.status, 410);
    assert!(answer.json()["detail"].as_str().unwrap().contains("without last-event-id"), "{}", answer.text);
    let anonymous = ask("0:0", None).await;
    assert_eq!((anonymous.status.as_u16(), anonymous.header("www-authenticate")), (401, Some("Bearer")));
    for (query, field) in [("types=Mint", "types"), ("instrument=a%20b", "instrument")] {
        let answer = kit.get(&format!("/events?{query}"), viewer).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["field"]), (400, &json!(field)));
    }
    kit.end().await;
}

#[tokio::test]
async fn a_stream_outlives_the_deadline_of_answers_and_ends_with_its_token() {
    let kit = Kit::bare_with(|settings| settings.server.request_timeout_ms = 500).await;
    let session = kit.log_in("super_admin@example.org").await;
    let token = session["access_token"].as_str().unwrap();
    let mut listener = Listener::at(&kit.url, token, "");
    assert!(listener.read().await);
    let opened = std::time::Instant::now();
    while opened.elapsed() < Duration::from_secs(1) {
        append(&kit.pool, "instrument:a", "mint", json!({})).await;
        // What was told while it opened may come first.
        while listener.next().await.kind != "mint" {}
        assert_eq!(listener.connections, 1);
    }
    assert_eq!(kit.post("/auth/logout", Some(token), &json!({})).await.status, 204);
    let ended = std::time::Instant::now();
    while listener.read().await {}
    assert!(ended.elapsed() < Duration::from_secs(2), "{:?}", ended.elapsed());
    assert_eq!(listener.ask().await.unwrap().status(), 401);
    kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_let_go_and_who_comes_again_misses_nothing() {
    let kit = Kit::bare().await;
    let fill = "x".repeat(20_000);
    let address = kit.url.trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stuck = socket.connect(address).await.unwrap();
    let token = kit.token(Role::Investor).unwrap();
    let head =
        format!("GET /events HTTP/1.1\r\nhost: x\r\nlast-event-id: 0:0\r\nauthorization: Bearer {token}\r\n\r\n");
    stuck.write_all(head.as_bytes()).await.unwrap();
    for n in 0..2_000 {
        append(&kit.pool, &format!("instrument:{n}"), "mint", json!({ "fill": fill })).await;
    }
    append(&kit.pool, "instrument:end", "mint", json!({})).await;
    // Meanwhile another one is served as ever.
    let heard = Listener::new(&kit, Role::Investor, "").after("0:0").until("instrument:end").await;
    assert_eq!(heard.len(), 2_001);
    eventually("the connection of who takes nothing is closed", || {
        let there = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let local = format!(":{:04X}", stuck.local_addr().unwrap().port());
        // Its other end, which this very process holds, too: gone, or being taken down.
        let closed = !there.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(2).is_some_and(|remote| remote.ends_with(&local)) && fields.get(3) == Some(&"01")
        });
        async move { closed.then_some(()) }
    })
    .await;
    let (mut taken, mut buffer) = (0, vec![0; 65_536]);
    while let Ok(count @ 1..) = stuck.read(&mut buffer).await {
        taken += count;
    }
    assert!(taken < 2_000 * fill.len(), "all of it was waiting in buffers");
    kit.end().await;
}
