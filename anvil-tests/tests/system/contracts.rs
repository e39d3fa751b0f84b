//! The Solidity half: its own tests, and that the committed artifacts are what its sources build.

use tokenx::local::{Task, tools};
use tokenx_anvil_tests::skipped;

#[tokio::test]
async fn the_contracts_pass_their_own_checks() {
    let Some(node) = tools::in_path("node") else {
        return skipped("Node.js is not in PATH: install it (Debian: apt-get install nodejs npm) to run forge's tests");
    };
    let folder = tools::contracts(&|line| println!("{line}")).await.unwrap();
    let output = Task::new(node).arg(folder.join("tools/check.mjs")).directory(&folder).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "node contracts/tools/check.mjs failed");
}
