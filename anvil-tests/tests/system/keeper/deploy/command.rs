//! `tokenx deploy`.

use std::path::Path;
use std::process::Command;

use alloy::primitives::Address;
use anyhow::Result;
use serde_json::json;
use tokenx::local::supervisor::program;
use tokenx_anvil_tests::{KEYS, World};
use tokenx_keeper::deploy::{Governance, Plan};

use super::{address, governance, has_code, sent};

/// `tokenx deploy` on this world with the cold key in the environment: its code, what it printed, what it complained of.
fn tokenx(world: &World, folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let keeper = address(KEYS[8]).to_string();
    let output = Command::new(program().unwrap())
        .args(["deploy", "--config", "no-such-folder", "--rpc-url", &world.chain.url(), "--keeper", &keeper])
        .args(arguments)
        .current_dir(folder)
        .env("TOKENX_DEPLOY_KEY", KEYS[9])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_plans_without_doing_does_once_and_writes_the_addresses() -> Result<()> {
    let world = World::start().await?;
    let folder = tempfile::tempdir()?;
    let run = |arguments: &[&str]| tokenx(&world, folder.path(), arguments);
    let node =
        ["--chain-id", "31337", "--node", "one", "--issuer", "one-issuer", "--treasury", &address(KEYS[8]).to_string()];

    let (code, planned, _) = run(&[&node[..], &["--plan"]].concat());
    assert_eq!((code, planned.matches("to do").count(), planned.contains("there")), (Some(0), 14, false), "{planned}");
    assert_eq!(sent(&world).await?, json!("0x0"));
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);

    let (code, first, complaint) = run(&node);
    assert_eq!(code, Some(0), "{complaint}");
    let read = || std::fs::read_to_string(folder.path().join("tokenx-31337.json"));
    let written = read()?;
    let addresses: serde_json::Value = serde_json::from_str(&written)?;
    for key in [
        "/registry",
        "/registry_executor",
        "/factory",
        "/implementations/listing",
        "/nodes/one/executor",
        "/nodes/one/contracts/otc_desk",
    ] {
        let at: Address = serde_json::from_value(addresses.pointer(key).unwrap().clone())?;
        assert!(has_code(&world, at).await?, "{key} {at}");
    }
    assert!(addresses["start_block"].as_u64() > Some(0), "{written}");
    let factory: Address = serde_json::from_value(addresses["factory"].clone())?;
    assert!(first.contains(&format!("factory = \"{factory}\"")), "{first}");

    let before = sent(&world).await?;
    let (code, second, _) = run(&node);
    assert_eq!((code, second.matches("done now").count()), (Some(0), 0), "{second}");
    assert_eq!((sent(&world).await?, read()?), (before.clone(), written));

    let (code, _, complaint) = run(&[&node[..], &["--keeper-sets-terms"]].concat());
    assert_eq!(code, Some(1), "{complaint}");
    assert!(complaint.contains("terms set by the admin alone, not keeper and admin"), "{complaint}");
    assert_eq!(sent(&world).await?, before, "nothing is sent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_makes_no_second_suite_unasked_and_keeps_the_first_ones_file() -> Result<()> {
    let world = World::start().await?;
    let folder = tempfile::tempdir()?;
    let run = |arguments: &[&str]| tokenx(&world, folder.path(), &[&["--chain-id", "31337"][..], arguments].concat());
    let read = || std::fs::read_to_string(folder.path().join("tokenx-31337.json"));
    let (code, _, complaint) = run(&[]);
    assert_eq!(code, Some(0), "{complaint}");
    let (before, first) = (sent(&world).await?, read()?);
    let addresses: serde_json::Value = serde_json::from_str(&first)?;
    let factory = addresses["factory"].as_str().unwrap().to_lowercase();

    let (code, _, complaint) = run(&["--admin-delay", "60"]);
    assert_eq!(code, Some(1), "{complaint}");
    assert!(complaint.to_lowercase().contains(&factory) && complaint.contains("--new"), "{complaint}");
    assert_eq!((sent(&world).await?, read()?), (before, first.clone()), "nothing is sent or written");

    // The suite that is there takes a node, whatever this run would have made.
    let treasury = address(KEYS[8]).to_string();
    let node = ["--node", "one", "--issuer", "one-issuer", "--treasury", &treasury];
    let (code, _, complaint) = run(&[&["--admin-delay", "60", "--factory", &factory][..], &node[..]].concat());
    assert_eq!(code, Some(0), "{complaint}");
    let with_node = read()?;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&with_node)?["factory"], addresses["factory"]);
    assert!(with_node.contains("\"one\""), "{with_node}");

    let (code, _, complaint) = run(&["--admin-delay", "60", "--new"]);
    assert_eq!(code, Some(0), "{complaint}");
    assert!(!read()?.to_lowercase().contains(&factory), "the file tells of the second suite");
    let kept = std::fs::read_dir(folder.path())?.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    assert!(kept.into_iter().any(|text| text == with_node), "the first one's file is kept");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_needs_no_key_and_an_endpoint_may_come_from_the_environment() -> Result<()> {
    let world = World::start().await?;
    let folder = tempfile::tempdir()?;
    let admin = address(KEYS[9]);
    let run = |arguments: &[&str]| {
        Command::new(program().unwrap())
            .args(["deploy", "--config", "no-such-folder", "--admin", &admin.to_string()])
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("TOKENX_DEPLOY_KEY")
            .env("TOKENX__CHAIN__RPC_URL", world.chain.url())
            .env("TOKENX__CHAIN__CHAIN_ID", "31337")
            .output()
    };
    let planned = run(&["--plan"])?;
    let text = String::from_utf8(planned.stdout)?;
    assert_eq!(planned.status.code(), Some(0), "{}", String::from_utf8_lossy(&planned.stderr));
    let registry = Plan::of(admin, &Governance { admin_delay: 172_800, ..governance() }, "", false).suite.registry;
    assert!(text.contains(&registry.to_string()), "{text}");
    // An address alone is not enough to do anything.
    assert_eq!(run(&[])?.status.code(), Some(2));
    assert_eq!(sent(&world).await?, json!("0x0"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_keeps_the_nodes_of_earlier_runs() -> Result<()> {
    let world = World::start().await?;
    let folder = tempfile::tempdir()?;
    let treasury = address(KEYS[8]).to_string();
    for node in ["one", "two"] {
        let arguments = ["--chain-id", "31337", "--node", node, "--issuer", "issuer", "--treasury", &treasury];
        let (code, _, complaint) = tokenx(&world, folder.path(), &arguments);
        assert_eq!(code, Some(0), "{complaint}");
    }
    let (code, _, complaint) = tokenx(&world, folder.path(), &["--chain-id", "31337"]);
    assert_eq!(code, Some(0), "{complaint}");
    let written = std::fs::read_to_string(folder.path().join("tokenx-31337.json"))?;
    let addresses: serde_json::Value = serde_json::from_str(&written)?;
    for node in ["one", "two"] {
        let executor = addresses["nodes"][node]["executor"].clone();
        assert!(has_code(&world, serde_json::from_value(executor)?).await?, "{written}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_refuses_another_chain_and_a_missing_key_and_does_nothing() -> Result<()> {
    let world = World::start().await?;
    let folder = tempfile::tempdir()?;
    let (code, _, complaint) = tokenx(&world, folder.path(), &["--chain-id", "1"]);
    assert_eq!(code, Some(78), "{complaint}");
    assert!(complaint.contains("31337") && complaint.contains("not of chain 1"), "{complaint}");
    let (code, _, complaint) = tokenx(&world, folder.path(), &["--chain-id", "31337", "--keystore", "none.json"]);
    assert_eq!(code, Some(1), "{complaint}");
    assert!(complaint.contains("TOKENX_DEPLOY_PASSWORD"), "{complaint}");
    assert_eq!(sent(&world).await?, json!("0x0"));
    Ok(())
}
