//! Laws of the layers.

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::settings::Finality;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn load(files: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::layered(Some(folder(files).path()), Profile::Production, environment(env))
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let files = [
        ("default.toml", "[limits]\nlogin_per_minute = 1\nwrites_per_minute = 1\nreads_per_minute = 1"),
        ("production.toml", "[limits]\nwrites_per_minute = 2\nreads_per_minute = 2"),
    ];
    let limits = load(&files, &[("TOKENX__LIMITS__READS_PER_MINUTE", "3")]).unwrap().limits;
    assert_eq!((limits.login_per_minute, limits.writes_per_minute, limits.reads_per_minute), (1, 2, 3));
    assert!(!limits.off);
}

#[test]
fn the_documented_defaults_are_those_of_the_code() {
    let dir = folder(&[("default.toml", include_str!("../../default.toml"))]);
    let read = Settings::layered(Some(dir.path()), Profile::Production, []).unwrap();
    let code = Settings { profile: Profile::Production, ..Settings::default() };
    assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&code).unwrap());
}

#[test]
fn every_key_is_documented() {
    fn keys(value: &serde_json::Value, found: &mut Vec<String>) {
        for (key, inner) in value.as_object().into_iter().flatten() {
            if inner.is_object() {
                keys(inner, found);
            } else {
                found.push(key.clone());
            };
        }
    }
    let mut found = Vec::new();
    keys(&serde_json::to_value(Settings::default()).unwrap(), &mut found);
    assert!(found.len() > 40, "{found:?}");
    let documented = include_str!("../../default.toml");
    for key in found.iter().filter(|key| *key != "profile") {
        let described = documented.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{key} = "))
        });
        assert!(described, "{key} is missing from default.toml");
    }
}

#[test]
fn the_binary_carries_every_profile() {
    for profile in [Profile::Dev, Profile::Test, Profile::Production, Profile::Bench] {
        let settings = Settings::embedded(profile).unwrap();
        assert_eq!(settings.profile, profile);
    }
    assert_eq!(Settings::embedded(Profile::Dev).unwrap().chain.finality, Finality::Depth(64));
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    for (files, env) in [
        (vec![("production.toml", "[chain]\nconfirmation = 3")], vec![]),
        (vec![], vec![("TOKENX__CHAIN__CONFIRMATION", "3")]),
    ] {
        let error = load(&files, &env).unwrap_err().to_string();
        assert!(error.contains("confirmation"), "{error}");
        assert!(error.contains("chain"), "{error}");
    }
    let error = load(&[("production.toml", "[chian]\nchain_id = 3")], &[]).unwrap_err().to_string();
    assert!(error.contains("chian"), "{error}");
}

#[test]
fn a_value_of_the_wrong_kind_is_an_error_that_names_its_key() {
    let error = load(&[], &[("TOKENX__CHAIN__CHAIN_ID", "mainnet")]).unwrap_err().to_string();
    assert!(error.contains("chain.chain_id"), "{error}");
}

#[test]
fn a_secret_file_lies_over_everything_and_loses_its_line_break() {
    let dir = folder(&[("secret", "from the file\n")]);
    let path = dir.path().join("secret");
    let env = [
        ("TOKENX__AUTH__JWT_SECRET", "from the environment"),
        ("TOKENX__AUTH__JWT_SECRET_FILE", path.to_str().unwrap()),
    ];
    let settings = load(&[], &env).unwrap();
    assert_eq!(settings.auth.jwt_secret.expose_secret(), "from the file");
}

#[test]
fn a_missing_secret_file_is_named_with_its_key() {
    let error =
        load(&[("production.toml", "[auth]\njwt_secret_file = 'nowhere/secret'")], &[]).unwrap_err().to_string();
    assert!(error.contains("auth.jwt_secret_file") && error.contains("nowhere/secret"), "{error}");
}

#[test]
fn digits_in_the_environment_stay_text_where_text_belongs() {
    let settings = load(&[], &[("TOKENX__SIGNER__KEYSTORE_PASSWORD", "0012")]).unwrap();
    assert_eq!(settings.signer.keystore_password.unwrap().expose_secret(), "0012");
}

#[test]
fn the_environment_can_hold_lists_and_a_depth() {
    let token = "0x52908400098527886E0F7030069857D2E4169EE7";
    let follow = format!("[{{ token = '{token}', instrument_id = 'usdx' }}]");
    let settings = load(
        &[],
        &[
            ("TOKENX__CHAIN__FOLLOW", &follow),
            ("TOKENX__CHAIN__FINALITY", "64"),
            ("TOKENX__SIGNER__KEYS", "['01', '02']"),
            ("TOKENX_PG_BIN", "npm"),
        ],
    )
    .unwrap();
    assert_eq!(settings.chain.follow[0].token.to_string(), token);
    assert_eq!(settings.chain.finality, Finality::Depth(64));
    assert_eq!(settings.signer.keys.len(), 2);
}

#[test]
fn a_file_cannot_contradict_the_profile_that_was_asked_for() {
    let error = load(&[("default.toml", "profile = 'dev'")], &[]).unwrap_err().to_string();
    assert!(error.contains("dev") && error.contains("production"), "{error}");
}

#[test]
fn secrets_never_print() {
    let secret = "hunter2-hunter2";
    let env: Vec<(String, String)> = SECRETS
        .iter()
        .map(|(section, key)| format!("TOKENX__{section}__{key}").to_ascii_uppercase())
        .map(|name| (name, secret.to_owned()))
        .chain([("TOKENX__SIGNER__KEYS".to_owned(), format!("['{secret}']"))])
        .collect();
    let settings = Settings::layered(None, Profile::Production, env).unwrap();
    assert_eq!(settings.auth.jwt_secret.expose_secret(), secret);
    let debug = format!("{settings:?} {settings:#?}");
    let printed = toml::to_string(&settings).unwrap();
    let judged = settings.validate().unwrap_err();
    for text in [debug, printed, format!("{judged} {judged:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
