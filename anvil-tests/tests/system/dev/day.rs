//! The walkthrough, run by a shell as it stands on its page.

use std::process::Command;
use std::time::Duration;

use tokenx_anvil_tests::skipped;

use super::Dev;

/// A step of it that waits for what does not come is stopped, and said.
const LIMIT: Duration = Duration::from_secs(240);

#[tokio::test]
async fn the_walkthrough_runs_as_it_stands_and_the_chain_agrees_after_each_step() {
    for (tool, package) in [("curl", "curl"), ("jq", "jq"), ("timeout", "coreutils")] {
        if tokenx::local::tools::in_path(tool).is_none() {
            return skipped(&format!(
                "{tool} is not in PATH: install it (Debian: apt-get install {package}) to run the walkthrough"
            ));
        }
    }
    let page = tokenx::local::checkout().unwrap().join("src/dev/DAY.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script = blocks.collect::<String>().replace("source .tokenx/dev.env", ". \"$0\"");
    let mut dev = Dev::start(&[]);
    dev.ready().await;
    let output = Command::new("timeout")
        .args([&LIMIT.as_secs().to_string(), "sh", "-euc", &script])
        .arg(dev.folder.path().join("dev.env"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // Each `books` ends when API and chain say the same; these are the page's figures.
    let books: Vec<&str> = said.lines().filter(|line| line.contains(" HRB, ")).collect();
    let told: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" HRB, ")).collect();
    assert_eq!(books, told, "{said}");
}
