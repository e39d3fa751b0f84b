//! How long the API takes to refuse a query that asks for too much, from the request to its answer over HTTP.
//!
//! `cargo bench -p tokenx-anvil-tests --bench refusals -- [times each]`; default 2,000.

#![allow(clippy::print_stdout, reason = "a benchmark's result")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokenx_anvil_tests::TestDatabase;
use tokenx_config::{Profile, Settings};
use tokenx_keeper::{Commands, Doors};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The slowest one in a hundred may take so long.
const MOST: Duration = Duration::from_millis(5);

/// Queries that must be refused, and the code that says so.
fn abuses() -> Vec<(&'static str, String, &'static str)> {
    let nested = |open: &str, times: usize| format!("{}x{}", open.repeat(times), "}".repeat(times));
    let aliases: String = (0..400).map(|n| format!("a{n}: burns {{ totalCount }} ")).collect();
    let bomb: String = (0..60)
        .map(|n| format!("fragment F{n} on Query {{ ...F{} ...F{} }} ", n + 1, n + 1))
        .chain(["fragment F60 on Query { __typename } { ...F0 }".to_owned()])
        .collect();
    let circle: String = (0..200)
        .map(|n| format!("fragment F{n} on Query {{ ...F{} }} ", (n + 1) % 200))
        .chain(["{ ...F0 }".to_owned()])
        .collect();
    let wide: String = (0..30).map(|n| format!("a{n}: tokens(first: 500) {{ nodes {{ id }} }} ")).collect();
    vec![
        ("13 levels", nested("{ a ", 13), "QUERY_TOO_LARGE"),
        ("2,000 levels", nested("{ a ", 2_000), "QUERY_TOO_LARGE"),
        ("400 aliases", format!("{{ {aliases} }}"), "QUERY_TOO_LARGE"),
        ("a fragment bomb of 2^60 fields", bomb, "QUERY_TOO_LARGE"),
        ("200 fragments in a circle", circle, "GRAPHQL_VALIDATION_FAILED"),
        ("15,000 rows by aliases", format!("{{ {wide} }}"), "QUERY_TOO_COMPLEX"),
        (
            "10,000 rows by nesting",
            "{ tokens(first: 100) { nodes { holdings(first: 100) { nodes { balance } } } } }".to_owned(),
            "QUERY_TOO_COMPLEX",
        ),
        (
            "introspection of introspection",
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".to_owned(),
            "QUERY_TOO_LARGE",
        ),
        ("more than 8 kB", format!("{{ __typename }} # {}", "x".repeat(8_192)), "QUERY_TOO_LARGE"),
    ]
}

#[tokio::main]
async fn main() -> Result<()> {
    let times = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(2_000);
    let database = TestDatabase::create().await?;
    let mut settings = Settings::embedded(Profile::Test)?;
    settings.database.url = database.url().into();
    settings.limits.off = true;
    let pool = database.pool().await?;
    let commands = Commands::new(pool.clone(), Doors::of(&settings.chain));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/graphql", listener.local_addr()?);
    let stop = CancellationToken::new();
    let context = tokenx_api::ApiContext { settings: Arc::new(settings), pool: pool.clone(), commands };
    let serving = tokio::spawn(tokenx_api::serve(context, listener, stop.clone()));

    let client = reqwest::Client::new();
    println!("| refused, {times} times each | p50 ms | p99 ms | most ms |");
    println!("|---|---|---|---|");
    let mut slowest = Duration::ZERO;
    for (name, query, code) in abuses() {
        let body = json!({ "query": query }).to_string();
        let mut took = Vec::with_capacity(times);
        for n in 0..times + 20 {
            let request = client.post(&url).header("content-type", "application/json").body(body.clone());
            let started = Instant::now();
            let answer = request.send().await?.bytes().await?;
            // The first few open the connection and warm the caches.
            if n >= 20 {
                took.push(started.elapsed());
            }
            let answer: Value = serde_json::from_slice(&answer)?;
            ensure!(answer["errors"][0]["extensions"]["code"] == code, "{name}: {answer}");
        }
        took.sort_unstable();
        let at = |part: usize| took[(took.len() - 1) * part / 100];
        slowest = slowest.max(at(99));
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        println!("| {name} | {:.2} | {:.2} | {:.2} |", ms(at(50)), ms(at(99)), ms(at(100)));
    }
    println!("slowest p99 {:.2} ms, to reach {} ms", slowest.as_secs_f64() * 1_000.0, MOST.as_millis());

    stop.cancel();
    serving.await??;
    pool.close().await;
    Ok(())
}
