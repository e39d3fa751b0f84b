//! The audit log's seals, on a real Postgres: what they name, that nothing slips past them, and what they find.

use std::collections::HashSet;
use std::time::Instant;

use alloy::primitives::{B256, keccak256};
use serde_json::json;
use sqlx::{PgConnection, PgPool, query, query_scalar};
use tokenx_anvil_tests::{TestDatabase, eventually, process::Process};
use tokenx_config::{Profile, Settings};
use tokenx_migrations::audit::{self, Entry};
use tokenx_migrations::seal::{self, Anchor, Kind, Seal, Verification};
use tokenx_migrations::{Position, Word, begin, begin_snapshot};

/// A log of so many entries, two of each transaction, all sealed; in seals of `each` transactions.
struct Log {
    _database: TestDatabase,
    pool: PgPool,
}

impl Log {
    async fn of(transactions: usize, each: usize) -> Log {
        let database = TestDatabase::create().await.unwrap();
        let pool = database.pool().await.unwrap();
        let log = Log { _database: database, pool };
        for number in 0..transactions {
            let mut tx = begin(&log.pool).await.unwrap();
            append(&mut tx, &format!("wallet:{number}")).await;
            append(&mut tx, &format!("party:{number}")).await;
            tx.commit().await.unwrap();
            if (number + 1) % each == 0 {
                log.seal_all().await;
            }
        }
        log
    }

    /// Seals all that is there, in one seal: once no transaction of any other test on the server holds it back.
    async fn seal_all(&self) {
        let free = "SELECT max(xid) < pg_snapshot_xmin(pg_current_snapshot()) FROM audit_log";
        eventually("nothing holds entries back", || async {
            let free: bool = query_scalar(free).fetch_one(&self.pool).await.unwrap();
            free.then_some(())
        })
        .await;
        seal_once(&self.pool).await;
        assert_eq!(seal::unsealed_since(&self.pool).await.unwrap(), None);
    }

    async fn verify(&self, anchors: &[Anchor]) -> Verification {
        let mut tx = begin_snapshot(&self.pool).await.unwrap();
        seal::verify(&mut tx, anchors, None, None).await.unwrap()
    }

    /// What is found, by kind and seal.
    async fn found(&self, anchors: &[Anchor]) -> Option<(Kind, u64)> {
        self.verify(anchors).await.difference.map(|found| (found.kind, found.seal))
    }

    /// Does what the triggers refuse, as whoever owns the server can.
    async fn by_force(&self, statement: &'static str) {
        let mut tx = begin(&self.pool).await.unwrap();
        query("ALTER TABLE audit_log DISABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        query("ALTER TABLE audit_seals DISABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        let done = query(statement).execute(&mut *tx).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
        query("ALTER TABLE audit_log ENABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        query("ALTER TABLE audit_seals ENABLE TRIGGER USER").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn head(&self) -> Anchor {
        let head = seal::head(&self.pool).await.unwrap().unwrap();
        Anchor { number: head.number, hash: head.hash, place: "block 1".to_owned() }
    }

    async fn end(self) {
        self.pool.close().await;
    }
}

async fn append(conn: &mut PgConnection, subject: &str) {
    let entry =
        Entry { actor: "system", action: "test.write", subject, request_id: None, detail: json!({"b": 1, "a": 2}) };
    audit::append(conn, entry).await.unwrap();
}

async fn seal_once(pool: &PgPool) -> Option<Seal> {
    let mut tx = begin(pool).await.unwrap();
    let seal = seal::next(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    seal
}

#[tokio::test]
async fn seals_follow_each_other_and_hold() {
    let log = Log::of(6, 2).await;
    let found = log.verify(&[log.head().await]).await;
    assert_eq!((found.difference, found.seals, found.entries, found.unsealed, found.anchors), (None, 3, 12, 0, 1));
    let mut tx = begin(&log.pool).await.unwrap();
    append(&mut tx, "wallet:late").await;
    tx.commit().await.unwrap();
    assert_eq!(log.verify(&[]).await.unsealed, 1);
    log.end().await;
}

#[tokio::test]
async fn a_check_in_parts_finds_what_a_check_of_all_finds() {
    const SEALS: usize = 130;
    let log = Log::of(SEALS, 1).await;
    log.by_force("UPDATE audit_log SET actor = 'cli:else' WHERE subject = 'party:100'").await;
    let mut tx = begin_snapshot(&log.pool).await.unwrap();
    // Its time is over at once: each part is as small as can be.
    let mut part = seal::verify(&mut tx, &[], None, Some(Instant::now())).await.unwrap();
    let (mut parts, mut seals) = (1, part.seals);
    while !part.complete {
        let last = part.head.unwrap().number;
        part = seal::verify(&mut tx, &[], Some(last), Some(Instant::now())).await.unwrap();
        parts += 1;
        seals += part.seals;
    }
    let found = part.difference.map(|found| (found.kind, found.seal));
    assert_eq!((found, seals), (Some((Kind::Tampered, 101)), 100));
    assert!(parts > 1, "all was one part");
    let beyond = seal::verify(&mut tx, &[], Some(131), None).await.unwrap();
    assert_eq!(beyond.difference.map(|found| (found.kind, found.seal)), Some((Kind::Seal, 131)));
    tx.rollback().await.unwrap();
    log.end().await;
}

#[tokio::test]
async fn the_database_refuses_to_change_entries_and_seals() {
    let log = Log::of(1, 1).await;
    for statement in [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_seals SET hash = previous",
        "DELETE FROM audit_seals WHERE false",
        "TRUNCATE audit_seals",
    ] {
        let refused = query(statement).execute(&log.pool).await.unwrap_err().to_string();
        let table = if statement.contains("audit_log") { "audit_log" } else { "audit_seals" };
        assert!(refused.contains(&format!("{table} is append-only")), "{statement}: {refused}");
    }
    assert_eq!(log.found(&[]).await, None);
    log.end().await;
}

#[tokio::test]
async fn every_way_to_alter_the_log_is_found_and_named() {
    type Way = (&'static str, &'static str, Option<(Kind, u64)>);
    let ways: [Way; 11] = [
        ("an actor", "UPDATE audit_log SET actor = 'cli:else' WHERE subject = 'party:2'", Some((Kind::Tampered, 2))),
        (
            "a detail",
            "UPDATE audit_log SET detail = '{\"a\": 3, \"b\": 1}' WHERE subject = 'party:0'",
            Some((Kind::Tampered, 1)),
        ),
        (
            "a time",
            "UPDATE audit_log SET at = at + interval '1 microsecond' WHERE subject = 'wallet:5'",
            Some((Kind::Tampered, 3)),
        ),
        (
            "no request and an empty one",
            "UPDATE audit_log SET request_id = '' WHERE subject = 'wallet:5'",
            Some((Kind::Tampered, 3)),
        ),
        ("one removed", "DELETE FROM audit_log WHERE subject = 'wallet:2'", Some((Kind::Removed, 2))),
        ("the last one removed", "DELETE FROM audit_log WHERE subject = 'party:5'", Some((Kind::Removed, 3))),
        (
            "one inserted",
            "INSERT INTO audit_log (xid, actor, action, subject)
             SELECT xid, 'system', 'test.write', 'wallet:x' FROM audit_log WHERE subject = 'wallet:2'",
            Some((Kind::Inserted, 2)),
        ),
        (
            "one before all",
            "INSERT INTO audit_log (xid, actor, action, subject) VALUES ('1', 'system', 'test.write', 'wallet:x')",
            Some((Kind::Inserted, 1)),
        ),
        (
            "two reordered",
            "UPDATE audit_log a
                SET at = b.at, subject = b.subject
               FROM audit_log b
              WHERE (a.subject, b.subject) IN (('wallet:2', 'party:2'), ('party:2', 'wallet:2'))",
            Some((Kind::Reordered, 2)),
        ),
        ("one moved", "UPDATE audit_log SET xid = '2' WHERE subject = 'wallet:0'", Some((Kind::Moved, 1))),
        ("nothing", "UPDATE audit_log SET actor = actor", None),
    ];
    for (what, statement, expected) in ways {
        let log = Log::of(6, 2).await;
        assert_eq!(log.found(&[]).await, None, "{what}");
        log.by_force(statement).await;
        assert_eq!(log.found(&[]).await, expected, "{what}");
        log.end().await;
    }
}

#[tokio::test]
async fn the_first_difference_is_named_with_its_place() {
    let log = Log::of(6, 2).await;
    let place = |subject: &'static str| {
        let pool = &log.pool;
        async move {
            let (xid, seq): (String, i64) = sqlx::query_as("SELECT xid::text, seq FROM audit_log WHERE subject = $1")
                .bind(subject)
                .fetch_one(pool)
                .await
                .unwrap();
            Position { xid: xid.parse().unwrap(), seq }
        }
    };
    log.by_force("UPDATE audit_log SET actor = 'x' WHERE subject IN ('party:5', 'party:3')").await;
    let found = log.verify(&[]).await;
    assert_eq!((found.seals, found.entries), (1, 4), "what holds before it");
    let difference = found.difference.unwrap();
    assert_eq!(difference.position, Some(place("party:3").await));
    assert!(difference.to_string().starts_with(&format!("tampered at {}", place("party:3").await)), "{difference}");
    log.end().await;
}

#[tokio::test]
async fn an_altered_seal_is_found() {
    for (statement, expected) in [
        ("UPDATE audit_seals SET root = previous WHERE number = 2", (Kind::Seal, 2)),
        ("UPDATE audit_seals SET sealed_at = sealed_at + interval '1 day' WHERE number = 2", (Kind::Seal, 2)),
        ("UPDATE audit_seals SET entries = substr(entries, 33) WHERE number = 3", (Kind::Seal, 3)),
        ("DELETE FROM audit_seals WHERE number = 2", (Kind::Seal, 2)),
    ] {
        let log = Log::of(6, 2).await;
        log.by_force(statement).await;
        assert_eq!(log.found(&[]).await, Some(expected), "{statement}");
        log.end().await;
    }
}

#[tokio::test]
async fn what_was_sealed_anew_from_end_to_end_is_found_by_what_is_on_chain() {
    let log = Log::of(6, 2).await;
    let anchor = log.head().await;
    log.by_force("UPDATE audit_log SET actor = 'cli:else' WHERE subject = 'party:2'").await;
    log.by_force("DELETE FROM audit_seals").await;
    log.seal_all().await;
    assert_eq!(log.found(&[]).await, None, "a chain of its own holds");
    let number = seal::head(&log.pool).await.unwrap().unwrap().number;
    assert_eq!(number, 1, "sealed anew, in one");
    assert_eq!(log.found(std::slice::from_ref(&anchor)).await, Some((Kind::Anchor, 3)), "the chain has a third");
    let other = Anchor { number: 1, hash: keccak256("another"), ..anchor };
    assert_eq!(log.found(&[other]).await, Some((Kind::Anchor, 1)));
    log.end().await;
}

#[tokio::test]
async fn writers_that_commit_late_are_sealed_in_their_place_and_nothing_is_skipped() {
    let log = Log::of(1, 1).await;
    let mut slow = begin(&log.pool).await.unwrap();
    append(&mut slow, "slow:first").await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let pool = log.pool.clone();
            tokio::spawn(async move {
                for number in 0..25 {
                    let mut tx = begin(&pool).await.unwrap();
                    append(&mut tx, &format!("writer:{writer}:{number}")).await;
                    tokio::task::yield_now().await;
                    append(&mut tx, &format!("writer:{writer}:{number}:again")).await;
                    if number % 5 == 0 { tx.rollback().await.unwrap() } else { tx.commit().await.unwrap() }
                }
            })
        })
        .collect();
    let sealers: Vec<_> = (0..2)
        .map(|_| {
            let pool = log.pool.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    seal_once(&pool).await;
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(sealers) {
        task.await.unwrap();
    }
    let late = seal::head(&log.pool).await.unwrap().unwrap();
    append(&mut slow, "slow:last").await;
    slow.commit().await.unwrap();
    log.seal_all().await;

    let found = log.verify(&[]).await;
    assert_eq!((found.difference, found.entries, found.unsealed), (None, 2 + 2 + 8 * 20 * 2, 0));
    let slow: Vec<String> =
        query_scalar("SELECT xid::text FROM audit_log WHERE subject LIKE 'slow:%'").fetch_all(&log.pool).await.unwrap();
    assert!(slow.iter().all(|xid| xid.parse::<u64>().unwrap() > late.last.xid), "no seal went past the slow writer");
    let named: Vec<Vec<u8>> = query_scalar("SELECT entries FROM audit_seals").fetch_all(&log.pool).await.unwrap();
    let named: Vec<&[u8]> = named.iter().flat_map(|entries| entries.chunks(32)).collect();
    assert_eq!(named.iter().collect::<HashSet<_>>().len(), named.len(), "an entry was sealed twice");
    log.end().await;
}

#[tokio::test]
async fn a_sealer_killed_in_the_middle_leaves_a_chain_that_goes_on() {
    let database = TestDatabase::create().await.unwrap();
    let mut settings = Settings::embedded(Profile::Test).unwrap();
    settings.database.url = database.url().into();
    settings.chain.rpc_url = "http://127.0.0.1:1".into();
    settings.signer.keys = vec![tokenx_anvil_tests::KEYS[1].into()];
    settings.server.bind.set_port(0);
    let log = Log { pool: database.pool().await.unwrap(), _database: database };
    for kill in 1..=3 {
        let mut tx = begin(&log.pool).await.unwrap();
        append(&mut tx, &format!("wallet:{kill}")).await;
        tx.commit().await.unwrap();
        let mut api = Process::start(&settings, &["api"], "audit.before_seal:kill").unwrap();
        eventually("it is killed in the middle of a seal", || {
            let killed = api.was_killed().unwrap();
            async move { killed.then_some(()) }
        })
        .await;
    }
    let _api = Process::start(&settings, &["api"], "").unwrap();
    eventually("the next one seals what is left", || async {
        let found = log.verify(&[]).await;
        assert_eq!(found.difference, None);
        (found.entries == 3 && found.unsealed == 0).then_some(())
    })
    .await;
    drop(_api);
    log.end().await;
}

#[tokio::test]
async fn a_seals_hash_is_what_the_page_of_its_encoding_says() {
    let log = Log::of(1, 1).await;
    // Each step by SQL alone: length and text, as whoever checks us would write it.
    let entries: Vec<u8> = query_scalar(
        "SELECT string_agg(sha256('tokenx audit entry'::bytea
                                  || int8send((extract(epoch FROM at) * 1000000)::bigint)
                                  || int8send(octet_length(actor))        || convert_to(actor, 'UTF8')
                                  || int8send(octet_length(action))       || convert_to(action, 'UTF8')
                                  || int8send(octet_length(subject))      || convert_to(subject, 'UTF8')
                                  || '\\x00'::bytea
                                  || int8send(octet_length(detail::text)) || convert_to(detail::text, 'UTF8')),
                           ''::bytea ORDER BY xid, seq)
           FROM audit_log",
    )
    .fetch_one(&log.pool)
    .await
    .unwrap();
    let (kept, root, hash): (Vec<u8>, Word, Word) =
        sqlx::query_as("SELECT entries, root, hash FROM audit_seals").fetch_one(&log.pool).await.unwrap();
    assert_eq!(entries, kept);
    let expected: Word = query_scalar(
        "SELECT sha256('tokenx audit root'::bytea || string_agg(int8send(xid::text::bigint) || int8send(seq)
                       || substr((SELECT entries FROM audit_seals), (32 * place - 31)::int, 32), ''::bytea ORDER BY place))
           FROM (SELECT xid, seq, row_number() OVER (ORDER BY xid, seq) AS place FROM audit_log) placed",
    )
    .fetch_one(&log.pool)
    .await
    .unwrap();
    assert_eq!(expected, root);
    let expected: Word = query_scalar(
        "SELECT sha256('tokenx audit seal'::bytea || int8send(number) || previous || int8send(last_xid::text::bigint)
                       || int8send(last_seq) || int8send(length(entries) / 32) || entries || root
                       || int8send((extract(epoch FROM sealed_at) * 1000000)::bigint))
           FROM audit_seals",
    )
    .fetch_one(&log.pool)
    .await
    .unwrap();
    assert_eq!(expected, hash);
    assert_ne!(hash.0, B256::ZERO);
    log.end().await;
}
