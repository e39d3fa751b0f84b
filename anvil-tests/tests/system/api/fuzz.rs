//! Schemathesis over the platform's routes: it makes requests from the OpenAPI document, sound ones and broken ones,
//! and looks at what comes back. `.ci/long fuzz` installs it and runs it in full.

use std::process::Output;

use tokenx_anvil_tests::{campaign, skipped};
use tokio::process::Command;

use super::*;

/// What is looked at: nothing breaks, and every answer is one that the document knows.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// Requests in all, in full.
const CASES: u64 = 20_000;

async fn run(kit: &Kit, token: &str, routes: &str, examples: usize) -> Option<Output> {
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new("schemathesis")
        .current_dir(folder.path())
        .args(["run", &format!("{}/openapi.json", kit.url), "--include-path-regex", routes])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--continue-on-failure"])
        .args(["--max-examples", &examples.to_string(), "--seed", "1", "--no-shrink", "--suppress-health-check", "all"])
        .args(["--warnings", "off", "--request-timeout", "30"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .output()
        .await;
    ran.ok()
}

/// How many requests a run made, by its own account.
fn made(text: &str) -> u64 {
    let line = text.lines().find(|line| line.contains("generated")).unwrap_or_else(|| panic!("no summary: {text}"));
    let digits: String =
        line.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    digits.replace(',', "").parse().unwrap_or_else(|_| panic!("no count: {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_the_answer_is_one_that_the_document_knows() {
    let kit = Kit::whole().await;
    // One that no logout ends, and that may do all but an investor's own acts; and an investor.
    let (_, operator) = kit.service_token(Role::SuperAdmin, None, &Scope::ALL).await;
    let issuer = kit.token(Role::Issuer).unwrap().to_owned();
    let investor = kit.token(Role::Investor).unwrap().to_owned();
    let examples = campaign::times(3, 400);
    let mut cases = 0;
    for (token, routes) in [
        (&operator, "^/(auth|admin|compliance|offerings|tokenization|transfer-agent|webhooks)(/|$)"),
        (&issuer, "^/offerings(/|$)"),
        (&investor, "^/(ats|investor|investors|offerings|otc|tokenization)(/|$)"),
    ] {
        let Some(output) = run(&kit, token, routes, examples).await else {
            assert!(!campaign::is_long(), "schemathesis is not on the PATH: run .ci/long fuzz");
            skipped("schemathesis is not on the PATH: no requests were made from the document");
            break;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        cases += made(&text);
    }
    campaign::say(&format!("requests made from the document: {cases}"));
    assert!(!campaign::is_long() || cases >= CASES, "only {cases}");
    kit.end().await;
}
