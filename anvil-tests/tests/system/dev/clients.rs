//! A dapp's own libraries, off the shelf, run the documented queries.

use std::process::Command;

use serde_json::{Value, json};
use tokenx::local::{npm, tools};
use tokenx_anvil_tests::skipped;

use super::Dev;

#[tokio::test]
async fn public_client_libraries_run_the_documented_queries_and_a_subscription() {
    let folder = tokenx::local::checkout().unwrap().join("anvil-tests/clients");
    let Some(node) = tools::in_path("node") else {
        return skipped(
            "Node.js is not in PATH: install it (Debian: apt-get install nodejs npm) to run client libraries",
        );
    };
    if let Err(error) = npm::install(&folder, "client libraries", &|_| {}).await {
        return skipped(&format!("client libraries could not be installed, so none was run: {error:#}"));
    }
    let mut dev = Dev::start(&[]);
    let environment = dev.ready().await;
    let mut run = Command::new(node);
    run.arg(folder.join("documented.mjs"));
    run.env("BASE_URL", &environment["BASE_URL"]).env("TOKEN", &environment["TOKEN"]);
    let output = run.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();

    let tokens = answers["tokens"]["tokens"]["nodes"].as_array().unwrap();
    let token = tokens.iter().find(|token| token["instrumentId"] == "rCC").unwrap();
    assert_eq!(token["holders"]["nodes"][0]["party"]["partyId"], "alice::122...", "{token}");
    let past = &answers["past"]["token"];
    assert!(past["totalSupply"].is_string() && past["holdings"]["nodes"].is_array(), "{past}");
    let wallet = &answers["wallet"];
    assert!(wallet["transfers"]["totalCount"].as_u64().unwrap() > 0, "{wallet}");
    assert!(wallet["holdings"]["nodes"][0]["balance"].is_string(), "{wallet}");
    assert!(answers["commands"]["commands"]["nodes"][0]["state"].is_string(), "{answers}");
    let markets = &answers["markets"];
    assert!(markets["offerings"]["nodes"].is_array() && markets["redemptions"]["totalCount"].is_u64(), "{markets}");
    assert_eq!(answers["new-transfers"], json!({ "kind": "ADDED", "amount": "7.0" }));
    assert_eq!(answers["refused"], 400, "a query that does not fit the schema is no 200 to whoever knows better");
}

#[tokio::test]
async fn the_committed_graphiql_is_made_of_the_packages_of_its_lock_file() {
    let folder = tokenx::local::checkout().unwrap().join("api/graphiql");
    let Some(node) = tools::in_path("node") else {
        return skipped("Node.js is not in PATH: install it (Debian: apt-get install nodejs npm) to make GraphiQL");
    };
    if let Err(error) = npm::install(&folder, "what GraphiQL is made of", &|_| {}).await {
        return skipped(&format!("GraphiQL's packages could not be installed, so it was not made: {error:#}"));
    }
    let output = Command::new(node).arg(folder.join("make.mjs")).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
