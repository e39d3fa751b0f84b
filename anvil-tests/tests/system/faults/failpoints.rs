//! Failpoints as whoever runs the program meets them.

use std::process::Output;

use tokenx_anvil_tests::process;
use tokenx_config::{Profile, Settings, failpoint};

fn output(settings: &Settings, failpoints: &str, arguments: &[&str]) -> (Output, String) {
    let output = process::command(settings, arguments).unwrap().env(failpoint::VARIABLE, failpoints).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[test]
fn what_is_no_failpoint_ends_the_program_and_names_those_that_are() {
    let mut settings = Settings::embedded(Profile::Test).unwrap();
    settings.database.url = "postgres://nobody@127.0.0.1:1/none".into();
    settings.chain.rpc_url = "http://127.0.0.1:1".into();
    settings.signer.keys = vec![tokenx_anvil_tests::KEYS[1].into()];
    let (refused, said) = output(&settings, "keeper.nowhere:kill", &["run"]);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("keeper.nowhere") && said.contains("keeper.after_prepare"), "{said}");
    assert!(said.contains("tokenx dev --list-failpoints"), "{said}");
}

#[test]
fn dev_lists_them_with_what_each_leaves_behind() {
    let listed = std::process::Command::new(tokenx::local::supervisor::program().unwrap())
        .args(["dev", "--list-failpoints"])
        .output()
        .unwrap();
    assert!(listed.status.success());
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.lines().count(), failpoint::POINTS.len());
    for (line, (name, leaves)) in listed.lines().zip(failpoint::POINTS) {
        assert!(line.starts_with(name) && line.ends_with(leaves), "{line}");
    }
}
