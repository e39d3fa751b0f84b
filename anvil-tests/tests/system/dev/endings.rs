//! However it ends, nothing is left; and two do not run in one folder.

use std::net::TcpListener;

use super::{Dev, command, holders};

#[tokio::test]
async fn a_killed_dev_leaves_no_process_port_or_lock_and_the_next_one_starts() {
    let mut dev = Dev::start(&[]);
    dev.ready().await;
    assert!(holders(&dev.folder.path().canonicalize().unwrap()).len() > 4, "the children are not seen");
    dev.signal("KILL");
    dev.ended().await;
    // At once: it waits for the killed one's children by itself.
    let mut next = dev.again(&[]);
    next.ready().await;
    next.signal("KILL");
    next.ended().await;
    next.nothing_is_left().await;
}

#[tokio::test]
async fn a_dev_killed_while_it_starts_leaves_nothing() {
    let mut dev = Dev::start(&[]);
    tokenx_anvil_tests::eventually("a first child runs", || {
        let children = holders(&dev.folder.path().canonicalize().unwrap()).len();
        async move { (children > 1).then_some(()) }
    })
    .await;
    dev.signal("KILL");
    dev.ended().await;
    dev.nothing_is_left().await;
}

#[tokio::test]
async fn dev_ends_cleanly_when_asked() {
    for name in ["INT", "TERM"] {
        let mut dev = Dev::start(&[]);
        dev.ready().await;
        dev.signal(name);
        let status = dev.ended().await;
        assert!(status.success(), "SIG{name}: {status}\n{}", dev.said());
        // At once: a dev that was asked ends after its children.
        assert_eq!(holders(&dev.folder.path().canonicalize().unwrap()), Vec::<String>::new());
        dev.nothing_is_left().await;
        assert!(!dev.folder.path().join("dev.env").exists());
        assert!(!dev.folder.path().join("dev.pid").exists());
    }
}

#[tokio::test]
async fn a_second_dev_in_the_folder_says_so() {
    let mut dev = Dev::start(&[]);
    dev.ready().await;
    let other = tempfile::tempdir().unwrap();
    let output =
        command(other.path(), dev.api_port, dev.rpc_port).arg("--data-dir").arg(dev.folder.path()).output().unwrap();
    let said = std::fs::read_to_string(other.path().join("said")).unwrap();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains(&format!("another tokenx dev (process {}) runs in", dev.child.id())), "{said}");
    assert!(dev.child.try_wait().unwrap().is_none(), "the first one ended");
}

#[tokio::test]
async fn a_taken_port_names_its_flag() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for flag in ["--api-port", "--rpc-port"] {
        let mut dev = Dev::start(&[flag, &port.to_string()]);
        assert_eq!(dev.ended().await.code(), Some(75));
        let said = dev.said();
        assert!(said.contains(&format!("port {port}")) && said.contains(flag), "{said}");
    }
}

#[tokio::test]
async fn each_dev_starts_empty_and_keep_goes_on() {
    use serde_json::{Value, json};
    let mut dev = Dev::start(&["--keep"]);
    let first = dev.ready().await;
    let block = async |dev: &Dev, number: &str| -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": [number, false]});
        let url = format!("http://127.0.0.1:{}", dev.rpc_port);
        let answer: Value = reqwest::Client::new().post(url).json(&request).send().await.unwrap().json().await.unwrap();
        answer["result"]["hash"].clone()
    };
    let genesis = block(&dev, "0x0").await;
    dev.signal("TERM");
    assert!(dev.ended().await.success(), "{}", dev.said());

    let mut kept = dev.again(&["--keep"]);
    let second = kept.ready().await;
    assert_eq!(block(&kept, "0x0").await, genesis);
    for name in ["TOKEN_ADDRESS", "ALICE_ADDRESS", "ALICE_PASSWORD", "NODE_ID"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    kept.signal("TERM");
    kept.ended().await;

    let mut fresh = kept.again(&[]);
    let third = fresh.ready().await;
    assert_ne!(block(&fresh, "0x0").await, genesis);
    assert_ne!(third["ALICE_PASSWORD"], first["ALICE_PASSWORD"]);
}
