//! Laws of validation: a good tree passes, and each single mistake is named by its key.

use super::*;
use crate::settings::{Follow, Kyc, Settings};

fn good() -> Settings {
    let mut settings = Settings::embedded(Profile::Production).unwrap();
    settings.database.url = "postgres://tokenx:secret@db/tokenx".into();
    settings.chain.rpc_url = "https://node.example.com".into();
    settings.chain.chain_id = 1;
    settings.signer.master_key = "8f3b1c7a2d9e4f60517283940a1b2c3d4e5f60718293a4b5c6d7e8f901234567".into();
    settings.signer.keystore_path = Some("keys/keeper".into());
    settings.signer.keystore_password = Some("correct horse".into());
    settings.auth.jwt_secret = "pE7q2Lw9Zx4Vt8Ns1Rb6Yc3Kd5Mf0HgJ".into();
    settings
}

fn sumsub() -> Kyc {
    Kyc {
        provider: KycProvider::Sumsub,
        app_token: Some("sbx:token".into()),
        secret_key: Some("secret".into()),
        webhook_secret: Some("another secret".into()),
        ..Kyc::default()
    }
}

/// The keys of the problems after one change.
fn problems(change: impl FnOnce(&mut Settings)) -> Vec<&'static str> {
    let mut settings = good();
    change(&mut settings);
    settings
        .validate()
        .err()
        .map(|Invalid(problems)| problems.iter().map(|problem| problem.key).collect())
        .unwrap_or_default()
}

#[test]
fn a_good_tree_is_accepted() {
    assert_eq!(good().validate(), Ok(()));
    assert_eq!(Settings { kyc: sumsub(), ..good() }.validate(), Ok(()));
}

#[test]
fn each_mistake_is_named_by_its_key() {
    type Change = fn(&mut Settings);
    let cases: [(&str, Change); 24] = [
        ("database.url", |s| s.database.url = "mysql://db".into()),
        ("database.direct_url", |s| s.database.direct_url = Some("db".into())),
        ("database.max_connections", |s| s.database.max_connections = 0),
        ("chain.rpc_url", |s| s.chain.rpc_url = "node:8545".into()),
        ("chain.ws_url", |s| s.chain.ws_url = Some("https://node".into())),
        ("chain.chain_id", |s| s.chain.chain_id = 0),
        ("chain.confirmations", |s| s.chain.confirmations = 0),
        ("chain.finality", |s| s.chain.finality = Finality::Depth(11)),
        ("chain.follow", |s| {
            s.chain.follow = vec![Follow { token: [1; 20].into(), instrument_id: "a b".into(), start_block: None }];
        }),
        ("reconcile.holdings_per_pass", |s| s.reconcile.holdings_per_pass = 5_001),
        ("keeper.batch_max_items", |s| s.keeper.batch_max_items = 201),
        ("keeper.batch_max_gas", |s| s.keeper.batch_max_gas = (1 << 24) + 1),
        ("keeper.max_in_flight", |s| s.keeper.max_in_flight = 4_097),
        ("signer", |s| s.signer.keystore_path = None),
        ("signer.keystore_password", |s| s.signer.keystore_password = None),
        ("signer.master_key", |s| s.signer.master_key = "short".into()),
        ("auth.jwt_secret", |s| s.auth.jwt_secret = "0123456789".into()),
        ("kyc.webhook_secret", |s| s.kyc = Kyc { webhook_secret: None, ..sumsub() }),
        ("kyc.app_token", |s| s.kyc = Kyc { app_token: None, ..sumsub() }),
        ("kyc.secret_key", |s| s.kyc = Kyc { secret_key: Some("".into()), ..sumsub() }),
        ("kyc.valid_days", |s| s.kyc.valid_days = 0),
        ("limits.login_per_minute", |s| s.limits.login_per_minute = 0),
        ("server.cors_origins", |s| s.server.cors_origins = vec!["*".into()]),
        ("telemetry.filter", |s| s.telemetry.filter = "tokenx=loudly".into()),
    ];
    for (key, change) in cases {
        assert_eq!(problems(change), [key], "{key}");
    }
}

#[test]
fn production_refuses_what_is_only_good_elsewhere() {
    let dev = Settings::embedded(Profile::Dev).unwrap();
    assert_eq!(problems(|s| s.chain.chain_id = 31_337), ["chain.chain_id"]);
    assert_eq!(problems(|s| s.auth.jwt_secret = dev.auth.jwt_secret.clone()), ["auth.jwt_secret"]);
    assert_eq!(problems(|s| s.signer.master_key = dev.signer.master_key.clone()), ["signer.master_key"]);
    assert_eq!(problems(|s| s.auth.jwt_secret = "a".repeat(64).into()), ["auth.jwt_secret"]);
    assert_eq!(problems(|s| s.limits.off = true), ["limits.off"]);
    let sandbox = ["kyc.provider", "kyc.webhook_secret"];
    assert_eq!(problems(|s| s.kyc = dev.kyc.clone()), sandbox);
    assert_eq!(problems(|s| s.kyc = Kyc { base_url: "http://kyc".into(), ..sumsub() }), ["kyc.base_url"]);
    assert_eq!(
        problems(|s| s.chain.follow =
            vec![Follow { token: [1; 20].into(), instrument_id: "TestUSD".into(), start_block: None }]),
        ["chain.follow"]
    );
    let anvils_first = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let keys = problems(|s| {
        s.signer.keystore_path = None;
        s.signer.keys = vec![anvils_first.into()];
    });
    assert_eq!(keys, ["signer.keys", "signer"]);
}

#[test]
fn other_profiles_may_use_it() {
    for profile in [Profile::Dev, Profile::Test, Profile::Bench] {
        let mut settings = Settings::embedded(profile).unwrap();
        settings.database.url = good().database.url;
        settings.chain.rpc_url = "http://127.0.0.1:8545".into();
        settings.signer.keys = vec!["ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".into()];
        assert_eq!(settings.validate(), Ok(()), "{profile}");
    }
}

#[test]
fn every_problem_is_named_at_once() {
    let Invalid(problems) = Settings::default().validate().unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key).collect();
    for key in ["database.url", "chain.rpc_url", "chain.chain_id", "signer.master_key", "signer", "auth.jwt_secret"] {
        assert!(keys.contains(&key), "{key} not in {keys:?}");
    }
}
