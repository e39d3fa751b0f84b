//! The rules of the house, kept by an ordinary test. Each law reads the manifests or the sources; a list of exceptions
//! may only shrink, and says so when it could.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use sources::{Source, files, house, metadata, shipped_rust, texts, words};

/// Each room, and those it may depend on.
const ARROWS: [(&str, &[&str]); 8] = [
    ("tokenx", &["api", "keeper", "indexer", "contracts", "config", "migrations"]),
    ("tokenx-api", &["keeper", "indexer", "contracts", "config", "migrations"]),
    ("tokenx-keeper", &["indexer", "contracts", "config", "migrations"]),
    ("tokenx-indexer", &["contracts", "config", "migrations"]),
    ("tokenx-contracts", &[]),
    ("tokenx-config", &[]),
    ("tokenx-migrations", &[]),
    ("tokenx-anvil-tests", &["tokenx", "api", "keeper", "indexer", "contracts", "config", "migrations"]),
];

/// Who writes the tables that a migration creates.
const WRITERS: [(&str, &str); 36] = [
    ("0001_audit_outbox.sql", "migrations"),
    ("0002_chain.sql", "indexer"),
    ("0003_keeper.sql", "keeper"),
    ("0004_platform.sql", "api"),
    ("0005_holds.sql", "indexer"),
    ("0006_reconciliation.sql", "indexer"),
    ("0007_keeper.sql", "keeper"),
    ("0008_order.sql", "keeper"),
    ("0009_indexer.sql", "indexer"),
    ("0010_keeper.sql", "keeper"),
    ("0011_history.sql", "indexer"),
    ("0012_accounts.sql", "indexer"),
    ("0013_commands.sql", "keeper"),
    ("0014_node_contracts.sql", "indexer"),
    ("0015_payouts.sql", "indexer"),
    ("0016_tokens.sql", "api"),
    ("0017_offerings.sql", "api"),
    ("0018_graphql.sql", "indexer"),
    ("0019_audit.sql", "migrations"),
    ("0020_people.sql", "api"),
    ("0021_rules.sql", "indexer"),
    ("0022_rewrites.sql", "indexer"),
    ("0023_mandates.sql", "keeper"),
    ("0024_ats.sql", "api"),
    ("0025_payouts.sql", "api"),
    ("0026_accounts.sql", "api"),
    ("0027_roles.sql", "migrations"),
    ("0028_payments.sql", "indexer"),
    ("0029_subscriptions.sql", "api"),
    ("0030_otc.sql", "api"),
    ("0031_standing.sql", "api"),
    ("0032_approvals.sql", "keeper"),
    ("0033_fills.sql", "api"),
    ("0034_commands.sql", "keeper"),
    ("0035_slots.sql", "keeper"),
    ("0036_outbox.sql", "migrations"),
];

/// What may stand at the top. Another folder needs a reason.
const TOP: [&str; 8] = ["anvil-tests", "api", "config", "contracts", "indexer", "keeper", "migrations", "src"];

/// Generated files, the page that documents them, and what the page must name: the command that rewrites them.
const GENERATED: [(&str, &str, &str); 6] = [
    ("contracts/artifacts", "contracts/README.md", "tools/artifacts.mjs"),
    ("contracts/vectors/event_topics.json", "contracts/README.md", "tools/vectors.mjs"),
    ("api/openapi.json", "api/README.md", "openapi.json"),
    ("api/schema.graphql", "api/README.md", "schema.graphql"),
    ("api/ROLES.md", "api/README.md", "ROLES.md"),
    ("api/graphiql/graphiql.html.gz", "api/README.md", "graphiql/make.mjs"),
];

const LONGEST_FILE: usize = 600;
const LONGEST_README: usize = 100;
const SHORTEST_README: usize = 10;
/// Rooms whose page is still being written. Empty it and remove it.
const UNWRITTEN: [&str; 1] = ["keeper"];

/// Checks a list of exceptions: nothing outside it, and nothing in it that is no exception any more.
fn only(law: &str, found: &BTreeMap<String, Vec<String>>, exceptions: &[(&str, &str)]) {
    let excused: BTreeSet<&str> = exceptions.iter().map(|(path, _)| *path).collect();
    let broken: Vec<_> = found.iter().filter(|(path, _)| !excused.contains(path.as_str())).collect();
    assert!(broken.is_empty(), "{law}:\n{broken:#?}");
    let spare: Vec<_> = excused.iter().filter(|path| !found.contains_key(**path)).collect();
    assert!(spare.is_empty(), "{law}: exceptions no longer needed, remove them: {spare:?}");
}

/// The lines of shipped code that hold one of `needles`, by file.
fn lines_with(sources: &[Source], needles: &[&str]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for source in sources {
        let lines: Vec<String> = source
            .code()
            .lines()
            .filter(|line| needles.iter().any(|needle| line.contains(needle)))
            .map(|line| line.trim().to_owned())
            .collect();
        if !lines.is_empty() {
            found.insert(source.path.clone(), lines);
        }
    }
    found
}

#[test]
fn arrows_point_down() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), ARROWS.len(), "a room without its arrows: say in ARROWS what it may depend on");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, below) =
            ARROWS.iter().find(|(room, _)| *room == name).unwrap_or_else(|| panic!("no arrows for {name}"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let dependency = dependency["name"].as_str().unwrap();
            let room = match dependency.strip_prefix("tokenx-") {
                Some(room) => room,
                None if dependency == "tokenx" => "tokenx",
                None => continue,
            };
            assert!(below.contains(&room), "{name} depends on {dependency}: arrows point down only");
        }
    }
}

#[test]
fn the_rooms_below_stay_simple() {
    let banned: [(&str, &[&str]); 3] = [
        ("tokenx-contracts", &["sqlx", "tokio", "reqwest", "axum"]),
        ("tokenx-config", &["sqlx", "reqwest", "axum"]),
        ("tokenx-migrations", &["reqwest", "axum"]),
    ];
    let metadata = metadata();
    for (room, banned) in banned {
        let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == room).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let shipped = dependency["kind"].is_null();
            let name = dependency["name"].as_str().unwrap();
            assert!(!shipped || !banned.contains(&name), "{room} depends on {name}");
        }
    }
}

#[test]
fn plain_cargo_test_runs_every_room() {
    let metadata = metadata();
    let members: BTreeSet<&str> = texts(&metadata["workspace_members"]).into_iter().collect();
    let default: BTreeSet<&str> = texts(&metadata["workspace_default_members"]).into_iter().collect();
    assert_eq!(members, default);
    assert_eq!(members.len(), ARROWS.len());
}

#[test]
fn every_room_keeps_the_lints_and_the_common_package_fields() {
    for source in files(&["toml"]).iter().filter(|source| source.path.ends_with("Cargo.toml")) {
        assert!(source.text.contains("[lints]\nworkspace = true"), "{} does not inherit the lints", source.path);
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            assert!(source.text.contains(&format!("{field}.workspace = true")), "{}: {field}", source.path);
        }
    }
}

#[test]
fn the_top_holds_only_the_rooms() {
    for entry in fs::read_dir(house()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() && !name.starts_with('.') && name != "target" {
            assert!(TOP.contains(&name.as_str()), "{name}/ at the top: a new top-level folder needs a reason");
        }
    }
}

#[test]
fn a_table_has_one_writer() {
    let migrations: Vec<Source> =
        files(&["sql"]).into_iter().filter(|source| source.path.starts_with("migrations/sql/")).collect();
    let mut writer_of = BTreeMap::new();
    for migration in &migrations {
        let name = migration.path.trim_start_matches("migrations/sql/");
        let (_, room) = WRITERS
            .iter()
            .find(|(file, _)| *file == name)
            .unwrap_or_else(|| panic!("say in WRITERS who writes the tables of {name}"));
        for table in created_tables(&migration.text) {
            assert_eq!(writer_of.insert(table.to_owned(), *room), None, "{table} is created twice");
        }
    }
    assert!(writer_of.len() > 10, "few tables were found: {writer_of:?}");

    let rust = shipped_rust();
    let mut writes = 0;
    for source in &rust {
        let code = source.code();
        for table in written_tables(&code) {
            let Some(writer) = writer_of.get(table) else { continue };
            assert_eq!(source.room(), *writer, "{} writes {table}, which is {writer}'s", source.path);
            writes += 1;
        }
    }
    for migration in &migrations {
        let name = migration.path.trim_start_matches("migrations/sql/");
        let own = WRITERS.iter().find(|(file, _)| *file == name).map(|(_, room)| *room);
        for table in written_tables(&without_sql_comments(&migration.text)) {
            let writer = writer_of.get(table).copied();
            assert!(writer.is_none() || writer == own, "{} writes {table}, which is {writer:?}'s", migration.path);
        }
    }
    assert!(writes > 10, "few writes were found ({writes}): the law would hold of nothing");
}

fn without_sql_comments(sql: &str) -> String {
    sql.lines().map(|line| line.find("--").map_or(line, |start| &line[..start])).collect::<Vec<_>>().join("\n")
}

fn created_tables(sql: &str) -> Vec<&str> {
    // Words are compared with their case: statements are upper case here, prose is not.
    let sql = words(sql);
    let named = |place: usize| match sql.get(place..)? {
        ["IF", "NOT", "EXISTS", table, ..] | [table, ..] => Some(*table),
        [] => None,
    };
    let mut tables = Vec::new();
    for (place, pair) in sql.windows(2).enumerate() {
        let partition = sql.get(place + 3..place + 5) == Some(&["PARTITION", "OF"][..]);
        if pair == ["CREATE", "TABLE"] && !partition {
            tables.extend(named(place + 2));
        }
    }
    tables
}

/// The names after `INSERT INTO`, `UPDATE`, `DELETE FROM`, `MERGE INTO`, `COPY` and `TRUNCATE`.
fn written_tables(text: &str) -> Vec<&str> {
    let words = words(text);
    let mut tables = Vec::new();
    for place in 0..words.len() {
        let rest = match &words[place..] {
            ["INSERT" | "MERGE", "INTO", rest @ ..]
            | ["DELETE", "FROM", rest @ ..]
            | ["TRUNCATE", "TABLE", rest @ ..] => rest,
            ["UPDATE" | "COPY" | "TRUNCATE", rest @ ..] => rest,
            _ => continue,
        };
        match rest {
            ["ONLY", table, ..] | [table, ..] => tables.push(*table),
            [] => {}
        }
    }
    tables
}

#[test]
fn only_indexer_and_keeper_hold_a_provider() {
    let provider = ["alloy::providers", "alloy::transports", "alloy::rpc::client", "ProviderBuilder", "RpcClient"];
    let others: Vec<Source> =
        shipped_rust().into_iter().filter(|source| !["indexer", "keeper"].contains(&source.room())).collect();
    only("only indexer and keeper hold a provider", &lines_with(&others, &provider), &[]);
}

#[test]
fn only_the_keeper_holds_a_signer() {
    let signer = ["alloy::signers", "PrivateKeySigner", "LocalSigner", "SigningKey"];
    let others: Vec<Source> = shipped_rust().into_iter().filter(|source| source.room() != "keeper").collect();
    let exceptions = [("src/local/suite.rs", "the cold key that deploys the suite on a private, local chain")];
    only("only the keeper holds a signer", &lines_with(&others, &signer), &exceptions);
}

#[test]
fn no_float_is_near_money() {
    let money = ["Amount", "U256", "Uint256", "Decimal", "amount", "balance", "supply", "price"];
    let mut found = BTreeMap::new();
    for source in shipped_rust() {
        let code = source.code();
        let has_money = money.iter().any(|word| code.contains(word));
        let has_float = |line: &&str| words(line).iter().any(|word| ["f64", "f32"].contains(word));
        let floats: Vec<String> = code.lines().filter(has_float).map(|line| line.trim().to_owned()).collect();
        if has_money && !floats.is_empty() {
            found.insert(source.path.clone(), floats);
        }
    }
    let exceptions = [
        ("api/src/token_app/status.rs", "durations in seconds, beside supply figures"),
        ("indexer/src/read/status.rs", "durations in seconds, beside supply figures"),
        ("keeper/src/store/slots.rs", "a pause in seconds, as make_interval takes it"),
    ];
    only("no f64 in a file that has amounts", &found, &exceptions);
}

#[test]
fn sql_is_written_down_and_never_put_together() {
    let built = ["AssertSqlSafe", "Box::leak", ".leak()"];
    only("SQL is literals with binds", &lines_with(&shipped_rust(), &built), &[]);
}

#[test]
fn nothing_panics_outside_tests_and_start_up() {
    let panics = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!(", ".unwrap_err()"];
    let exceptions = [("config/src/metrics.rs", "names of metrics are literals: a wrong one is found at start-up")];
    only("errors are values", &lines_with(&shipped_rust(), &panics), &exceptions);
}

#[test]
fn a_shape_of_the_document_has_a_name_of_its_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in shipped_rust() {
        let code = source.code();
        for described in
            code.split("#[derive(").skip(1).filter(|rest| rest.split(')').next().unwrap().contains("ToSchema"))
        {
            let head = described.split('{').next().unwrap();
            let named =
                ["schema(as = ", "struct ", "enum "].into_iter().find_map(|word| head.split(word).nth(1)).unwrap();
            let name = named.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
            places.entry(name).or_default().push(source.path.clone());
        }
    }
    assert!(places.len() > 50, "few shapes were found: {places:?}");
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "the document would show one of them for all: {places:#?}");
}

#[test]
fn retries_are_one_file() {
    let metadata = metadata();
    let users: Vec<&str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["dependencies"].as_array().unwrap().iter().any(|d| d["name"] == "backoff"))
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    assert_eq!(users, ["tokenx-config"], "deny.toml promises that a swap of backoff is one file");
    let found = lines_with(&shipped_rust(), &["backoff::"]);
    assert_eq!(found.into_keys().collect::<Vec<_>>(), ["config/src/retry.rs"]);
}

#[test]
fn a_failpoint_is_hit_in_one_place_and_listed() {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for source in shipped_rust() {
        for named in source.code().split("failpoint::hit(\"").skip(1) {
            let name = named.split('"').next().unwrap().to_owned();
            *places.entry(name).or_default() += 1;
        }
    }
    let listed: BTreeMap<String, usize> =
        tokenx_config::failpoint::POINTS.iter().map(|(name, _)| ((*name).to_owned(), 1)).collect();
    assert_eq!(listed.len(), tokenx_config::failpoint::POINTS.len(), "a name is listed twice");
    assert_eq!(places, listed);
}

#[test]
fn files_stay_short() {
    let long: BTreeMap<String, Vec<String>> = files(&["rs", "sol", "sql", "mjs", "js", "ts", "sh"])
        .into_iter()
        .filter(|source| source.text.lines().count() > LONGEST_FILE)
        .map(|source| (source.path, vec![format!("{} lines", source.text.lines().count())]))
        .collect();
    only("one idea a file", &long, &[]);
}

#[test]
fn every_room_opens_with_its_readme() {
    for room in TOP.iter().filter(|room| **room != "src") {
        if UNWRITTEN.contains(room) {
            continue;
        }
        let readme = fs::read_to_string(house().join(room).join("README.md")).unwrap();
        let lines = readme.lines().count();
        assert!((SHORTEST_README..=LONGEST_README).contains(&lines), "{room}/README.md has {lines} lines: one screen");
        let lib = fs::read_to_string(house().join(room).join("src/lib.rs")).unwrap();
        let opening = "#![doc = include_str!(\"../README.md\")]";
        assert!(lib.starts_with(opening), "{room}/src/lib.rs does not open with {opening}");
    }
}

#[test]
fn generated_files_say_how_they_are_made() {
    for (generated, page, command) in GENERATED {
        if !house().join(generated).exists() {
            continue;
        }
        let page_text = fs::read_to_string(house().join(page)).unwrap();
        assert!(page_text.contains(command), "{page} does not say how {generated} is rewritten ({command})");
    }
}

#[test]
fn every_exception_from_the_lints_has_a_reason() {
    for source in files(&["rs"]) {
        for (n, _) in source.text.match_indices("allow(") {
            let attribute = source.text[..n].rsplit('\n').next().unwrap_or_default();
            if !attribute.trim_start().starts_with("#[") && !attribute.trim_start().starts_with("#![") {
                continue;
            }
            let rest: String = source.text[n..].chars().take_while(|c| *c != ']').collect();
            assert!(rest.contains("reason = "), "{}: {attribute}{rest}] gives no reason", source.path);
        }
    }
}
