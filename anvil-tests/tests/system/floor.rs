//! The floor under every room: migrations, audit log, outbox and exact numbers, on a real Postgres.

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool, query, query_scalar};
use time::OffsetDateTime;
use tokenx_anvil_tests::{TestDatabase, eventually};
use tokenx_migrations::audit::{self, Entry, Filter};
use tokenx_migrations::copy::Rows;
use tokenx_migrations::outbox::{self, Event};
use tokenx_migrations::{
    Addr, DatabaseError, Delta, Position, Session, Uint256, Word, begin, check, migrate, retryable,
};

/// The database goes when it is dropped: hold it as long as the pool.
async fn database() -> (TestDatabase, PgPool) {
    let database = TestDatabase::create().await.unwrap();
    let pool = database.pool().await.unwrap();
    (database, pool)
}

fn event(subject: &str) -> Event {
    Event { kind: "test".into(), subject: subject.into(), payload: json!({ "of": subject }), effect_key: None }
}

async fn subjects(pool: &PgPool, position: Position) -> Vec<String> {
    outbox::read_after(pool, position, 100).await.unwrap().into_iter().map(|kept| kept.subject).collect()
}

/// The next `count` subjects, once they can be read: a transaction of any other test on the server holds them back.
async fn next(pool: &PgPool, position: Position, count: usize) -> Vec<String> {
    eventually("events can be read", || async {
        let found = subjects(pool, position).await;
        (found.len() >= count).then_some(found)
    })
    .await
}

async fn log(conn: &mut PgConnection, subject: &str) {
    let entry = Entry { actor: "system", action: "test.write", subject, request_id: Some("r-1"), detail: json!({}) };
    audit::append(conn, entry).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_this_binarys_is_refused() {
    let (_database, pool) = database().await;
    check(&pool).await.unwrap();
    migrate(&pool).await.unwrap();

    query("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").execute(&pool).await.unwrap();
    assert!(matches!(check(&pool).await, Err(DatabaseError::Changed { version: 1 })));
    assert!(matches!(migrate(&pool).await, Err(DatabaseError::Changed { version: 1 })));

    query("DELETE FROM _sqlx_migrations WHERE version = 1").execute(&pool).await.unwrap();
    assert!(matches!(check(&pool).await, Err(DatabaseError::Behind { first: 1, count: 1 })));

    query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 2").execute(&pool).await.unwrap();
    assert!(matches!(check(&pool).await, Err(DatabaseError::Ahead { version: 9999 })));

    query("DROP TABLE _sqlx_migrations").execute(&pool).await.unwrap();
    assert!(matches!(check(&pool).await, Err(DatabaseError::Behind { first: 1, .. })));
}

#[tokio::test]
async fn an_outbox_from_another_servers_time_is_refused() {
    let (_database, pool) = database().await;
    query("INSERT INTO outbox (xid, kind, subject, payload) VALUES ('9000000000000000000', 'test', 's', '{}')")
        .execute(&pool)
        .await
        .unwrap();
    assert!(matches!(check(&pool).await, Err(DatabaseError::Restored { .. })));
}

#[tokio::test]
async fn the_audit_log_only_grows() {
    let (_database, pool) = database().await;
    let mut transaction = begin(&pool).await.unwrap();
    log(&mut transaction, "wallet:1").await;
    log(&mut transaction, "wallet:2").await;
    transaction.commit().await.unwrap();

    for statement in ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log WHERE false", "TRUNCATE audit_log"] {
        let error = query(statement).execute(&pool).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
    let page = audit::page(&pool, &Filter::default(), 10).await.unwrap();
    let kept: Vec<&str> = page.iter().map(|kept| kept.subject.as_str()).collect();
    assert_eq!(kept, ["wallet:2", "wallet:1"]);
    let before = Filter { before: Some(page[0].position), ..Filter::default() };
    assert_eq!(audit::page(&pool, &before, 10).await.unwrap()[0].subject, "wallet:1");
    assert_eq!(page[0].request_id.as_deref(), Some("r-1"));
}

#[tokio::test]
async fn what_is_rolled_back_leaves_no_trace() {
    let (_database, pool) = database().await;
    let mut transaction = begin(&pool).await.unwrap();
    log(&mut transaction, "wallet:1").await;
    outbox::append(&mut transaction, event("s")).await.unwrap();
    transaction.rollback().await.unwrap();
    assert!(audit::page(&pool, &Filter::default(), 10).await.unwrap().is_empty());
    assert!(subjects(&pool, Position::START).await.is_empty());
}

#[tokio::test]
async fn a_reader_waits_for_a_slow_writer_and_skips_nothing() {
    let (_database, pool) = database().await;
    // The quick writer has the older transaction, the slow one the older number: neither order alone is safe.
    let mut quick = begin(&pool).await.unwrap();
    let _: String = query_scalar("SELECT pg_current_xact_id()::text").fetch_one(&mut *quick).await.unwrap();
    let mut slow = begin(&pool).await.unwrap();
    outbox::append(&mut slow, event("slow")).await.unwrap();
    outbox::append(&mut quick, event("quick")).await.unwrap();
    quick.commit().await.unwrap();

    let first = outbox::read_after(&pool, Position::START, 100).await.unwrap();
    let position = first.last().map_or(Position::START, |kept| kept.position);
    let mut third = begin(&pool).await.unwrap();
    outbox::append(&mut third, event("third")).await.unwrap();
    third.commit().await.unwrap();
    assert!(!subjects(&pool, position).await.contains(&"third".to_owned()), "read past a running transaction");

    slow.commit().await.unwrap();
    let mut all: Vec<String> = first.into_iter().map(|kept| kept.subject).collect();
    all.extend(next(&pool, position, 3 - all.len()).await);
    assert_eq!(all, ["quick", "slow", "third"]);
    let last = outbox::read_after(&pool, position, 9).await.unwrap().pop().unwrap();
    assert_eq!(outbox::head(&pool).await.unwrap(), last.position);
}

#[tokio::test]
async fn many_writers_and_one_reader_lose_and_double_nothing() {
    const WRITERS: usize = 8;
    const EVENTS: usize = 25;
    let (_database, pool) = database().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for n in 0..EVENTS {
                    let mut transaction = begin(&pool).await.unwrap();
                    outbox::append(&mut transaction, event(&format!("{writer}:{n}"))).await.unwrap();
                    // Let the others overtake.
                    tokio::task::yield_now().await;
                    transaction.commit().await.unwrap();
                }
            })
        })
        .collect();
    let mut position = Position::START;
    let mut seen = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while seen.len() < WRITERS * EVENTS {
        assert!(tokio::time::Instant::now() < deadline, "{} of {} events arrived", seen.len(), WRITERS * EVENTS);
        for kept in outbox::read_after(&pool, position, 7).await.unwrap() {
            assert!(kept.position > position);
            position = kept.position;
            seen.push(kept.subject);
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(subjects(&pool, position).await.is_empty());
    for writer in 0..WRITERS {
        let of_writer: Vec<&String> = seen.iter().filter(|s| s.starts_with(&format!("{writer}:"))).collect();
        let wanted: Vec<String> = (0..EVENTS).map(|n| format!("{writer}:{n}")).collect();
        assert_eq!(of_writer, wanted.iter().collect::<Vec<_>>(), "one writer's events in its order");
    }
}

#[tokio::test]
async fn an_effect_happens_once_however_often_it_is_derived() {
    let (_database, pool) = database().await;
    let effect = Event { effect_key: Some("mint:0xabc:7".into()), ..event("s") };
    let mut conn = pool.acquire().await.unwrap();
    for _ in 0..3 {
        outbox::append_all(&mut conn, &[effect.clone(), event("other"), effect.clone()]).await.unwrap();
    }
    let kept = next(&pool, Position::START, 4).await;
    assert_eq!(kept.iter().filter(|subject| *subject == "s").count(), 1);
    assert_eq!(kept.iter().filter(|subject| *subject == "other").count(), 3);
}

#[tokio::test]
async fn a_consumer_goes_on_where_it_was() {
    let (_database, pool) = database().await;
    assert_eq!(outbox::register(&pool, "tail", 16).await.unwrap(), Position::START);
    let mut conn = pool.acquire().await.unwrap();
    outbox::append_all(&mut conn, &[event("1"), event("2"), event("3")]).await.unwrap();
    let depth = |consumers: Vec<outbox::Consumer>| consumers[0].queue_depth;
    assert_eq!(depth(outbox::consumers(&pool).await.unwrap()), 3);

    next(&pool, Position::START, 3).await;
    let read = outbox::read_after(&pool, Position::START, 2).await.unwrap();
    outbox::advance(&pool, "tail", read[1].position, 1).await.unwrap();
    outbox::advance(&pool, "tail", read[0].position, 0).await.unwrap();
    assert_eq!(outbox::register(&pool, "tail", 32).await.unwrap(), read[1].position);
    let consumers = outbox::consumers(&pool).await.unwrap();
    assert_eq!((consumers[0].queue_maxsize, consumers[0].dropped_batches_total), (32, 1));
    assert_eq!(depth(consumers), 1);
}

#[tokio::test]
async fn numbers_and_bytes_survive_binds_and_copy_exactly() {
    let (_database, pool) = database().await;
    let mut conn = pool.acquire().await.unwrap();
    query(
        "CREATE TABLE kept (n bigint, amount uint256, delta int257, who address, word word, at timestamptz,
                            flag boolean, small smallint, medium integer, note text, doc jsonb)",
    )
    .execute(&mut *conn)
    .await
    .unwrap();

    let ten = U256::from(10);
    let values: Vec<U256> = (0..78)
        .map(|tens| ten.pow(U256::from(tens)))
        .chain([U256::ZERO, U256::from(9_999), U256::from(10_001), U256::MAX - U256::ONE, U256::MAX])
        .collect();
    let (who, word) = (Address::repeat_byte(0xab), B256::repeat_byte(0xcd));
    let at = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_000).unwrap();
    // Few enough to be inserted, and enough for COPY.
    for times in [1, 40] {
        query("TRUNCATE kept").execute(&mut *conn).await.unwrap();
        let mut rows = Rows::new(11);
        for (n, value) in (0i64..).zip(&values).cycle().take(values.len() * times) {
            rows.row().bigint(n).uint256(*value).int257(Delta::minus(*value)).address(who).word(word).timestamptz(at);
            rows.boolean(true).smallint(-2).integer(-3).or_null((n == 1).then_some("é"), Rows::text).jsonb(&json!([n]));
        }
        let wanted = rows.len();
        let written = rows.send(&mut conn, "kept").await.unwrap();
        assert_eq!(written, wanted);

        for (n, value) in (0i64..).zip(&values) {
            type Row = (Uint256, Delta, Addr, Word, OffsetDateTime, bool, i16, i32, Option<String>, Value, String);
            let row: Row = sqlx::query_as(
                "SELECT amount, delta, who, word, at, flag, small, medium, note, doc, amount::text
                   FROM kept
                  WHERE n = $1 AND amount = $2 AND delta = $3 AND who = $4 AND word = $5",
            )
            .bind(n)
            .bind(Uint256(*value))
            .bind(Delta::minus(*value))
            .bind(Addr(who))
            .bind(Word(word))
            .fetch_one(&mut *conn)
            .await
            .unwrap();
            let note = (n == 1).then(|| "é".to_owned());
            let written =
                (Uint256(*value), Delta::minus(*value), Addr(who), Word(word), at, true, -2, -3, note, json!([n]));
            assert_eq!((row.0, row.1, row.2, row.3, row.4, row.5, row.6, row.7, row.8, row.9), written);
            assert_eq!(row.10, value.to_string());
        }
        let all: Vec<Uint256> = values.iter().copied().map(Uint256).collect();
        let found: i64 =
            query_scalar("SELECT count(*) FROM kept WHERE amount = ANY($1)").bind(&all).fetch_one(&pool).await.unwrap();
        assert_eq!(found, i64::try_from(values.len() * times).unwrap());
    }
    // The text protocol, too.
    let max: Uint256 = sqlx::raw_sql("SELECT max(amount) FROM kept")
        .fetch_one(&pool)
        .await
        .map(|row| sqlx::Row::get(&row, 0))
        .unwrap();
    assert_eq!(max, Uint256(U256::MAX));
}

#[tokio::test]
async fn the_domains_refuse_what_no_chain_has() {
    let (_database, pool) = database().await;
    for value in [
        "'NaN'::uint256",
        "'-1'::uint256",
        "(2::numeric ^ 256)::uint256",
        "(-(2::numeric ^ 256))::int257",
        "'\\x00'::address",
        "'\\x00'::word",
    ] {
        let statement: &'static str = Box::leak(format!("SELECT {value}").into_boxed_str());
        assert!(sqlx::raw_sql(statement).execute(&pool).await.is_err(), "{value}");
    }
    let null: Option<Uint256> = query_scalar("SELECT NULL::uint256").fetch_one(&pool).await.unwrap();
    assert_eq!(null, None);
}

#[tokio::test]
async fn a_deadlock_is_worth_another_try_and_a_constraint_is_not() {
    let (_database, pool) = database().await;
    query("CREATE TABLE accounts (id int PRIMARY KEY, n int)").execute(&pool).await.unwrap();
    query("INSERT INTO accounts VALUES (1, 0), (2, 0)").execute(&pool).await.unwrap();
    let doubled = query("INSERT INTO accounts VALUES (1, 0)").execute(&pool).await.unwrap_err();
    assert!(!retryable(&doubled));

    let (mut one, mut other) = (begin(&pool).await.unwrap(), begin(&pool).await.unwrap());
    query("UPDATE accounts SET n = 1 WHERE id = 1").execute(&mut *one).await.unwrap();
    query("UPDATE accounts SET n = 1 WHERE id = 2").execute(&mut *other).await.unwrap();
    let (first, second) = tokio::join!(query("UPDATE accounts SET n = 2 WHERE id = 2").execute(&mut *one), async {
        let second = query("UPDATE accounts SET n = 2 WHERE id = 1").execute(&mut *other).await;
        drop(other);
        second
    },);
    let errors: Vec<sqlx::Error> = [first.err(), second.err()].into_iter().flatten().collect();
    assert!(!errors.is_empty() && errors.iter().all(retryable), "{errors:?}");
}

#[tokio::test]
async fn who_comes_after_a_copy_that_was_dropped_midway_finds_a_sound_connection() {
    let (_database, pool) = database().await;
    query("CREATE TABLE kept (n bigint, amount uint256)").execute(&pool).await.unwrap();
    // One connection, so that whoever comes next gets that of the one before.
    let pool = pool.options().clone().max_connections(1).connect_lazy_with((*pool.connect_options()).clone());
    for round in 0..60u64 {
        let of_writer = pool.clone();
        let writer = tokio::spawn(async move {
            let mut session = Session::acquire(&of_writer).await.unwrap();
            let mut tx = session.begin().await.unwrap();
            for n in 0..3 {
                let mut rows = Rows::new(2);
                for _ in 0..5_000 {
                    rows.row().bigint(n).uint256(U256::MAX);
                }
                rows.send(&mut tx, "kept (n, amount)").await.unwrap();
            }
            tx.commit().await.unwrap();
            session.give_back();
        });
        tokio::time::sleep(Duration::from_micros(round * 1_613 % 9_700)).await;
        writer.abort();
        let ended = writer.await;
        assert!(ended.as_ref().is_ok() || ended.is_err_and(|error| error.is_cancelled()));

        let found: i64 = query_scalar("SELECT $1::bigint").bind(round.cast_signed()).fetch_one(&pool).await.unwrap();
        assert_eq!(found, round.cast_signed(), "an answer to its own question");
        let mut tx = begin(&pool).await.unwrap();
        let rows: i64 = query_scalar("SELECT count(*) % 15000 FROM kept").fetch_one(&mut *tx).await.unwrap();
        assert_eq!(rows, 0, "all or nothing");
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn who_comes_after_a_begin_that_was_dropped_midway_finds_no_open_transaction() {
    let (_database, pool) = database().await;
    query("CREATE TABLE kept (n bigint)").execute(&pool).await.unwrap();
    // One connection, so that whoever comes next gets that of the one before.
    let pool = pool.options().clone().max_connections(1).connect_lazy_with((*pool.connect_options()).clone());
    let mut dropped = 0;
    for round in 0..300 {
        tokio::select! {
            biased;
            begun = begin(&pool) => drop(begun.unwrap()),
            () = turns(round) => dropped += 1,
        }
        query("INSERT INTO kept VALUES (1)").execute(&pool).await.unwrap();
    }
    assert!(dropped > 0, "no begin was dropped midway");
    pool.close().await;
    let pool = pool.options().clone().connect_lazy_with((*pool.connect_options()).clone());
    let kept: i64 = query_scalar("SELECT count(*) FROM kept").fetch_one(&pool).await.unwrap();
    assert_eq!(kept, 300, "what was written outside any transaction stays");
}

/// Lets everybody else have so many turns.
async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
