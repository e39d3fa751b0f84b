//! What a list reads of a large table.

use alloy::primitives::{B256, U256, keccak256};
use tokenx_indexer::read::pages::{Choice, EventFilter, EventKind, Window, event_page};

use super::*;

const ROWS: i64 = 60_000;
const CHAIN: u64 = 31_337;

/// The 20 bytes that the rows of the test make of a number.
fn wallet(n: u32) -> Address {
    let mut bytes = [0; 20];
    bytes[16..].copy_from_slice(&n.to_be_bytes());
    Address::from(bytes)
}

#[tokio::test]
async fn events_of_a_wallet_or_a_transaction_are_found_without_a_scan() {
    let database = TestDatabase::create().await.unwrap();
    let pool = database.pool().await.unwrap();
    let token = Address::repeat_byte(0x70);
    sqlx::query(
        "INSERT INTO instruments (chain_id, token, instrument_id, name, symbol, decimals, created_block, created_log, created_time)
         VALUES ($1, $2, 'rCC', 'n', 's', 18, 1, 0, 1)",
    )
    .bind(CHAIN.cast_signed())
    .bind(token.as_slice())
    .execute(&pool)
    .await
    .unwrap();
    // Ten transactions of one wallet each, and a wallet that is in every tenth row.
    macro_rules! fill {
        ($table:literal, $wallets:literal, $values:literal) => {
            concat!(
                "INSERT INTO ", $table, " (chain_id, block_number, log_index, block_time, tx_hash, token, amount, ", $wallets, ")
                 SELECT $1, n / 40, n % 40, n, sha256(int8send(n)), $2, n, ", $values, "
                   FROM (SELECT n, decode(lpad(to_hex(CASE WHEN n % 10 = 0 THEN 1 ELSE 2 + n / 10 END), 40, '0'), 'hex') AS w,
                                   decode(repeat('ee', 20), 'hex') AS other
                           FROM generate_series(0, $3 - 1) n) rows"
            )
        };
    }
    for (table, fill) in [
        ("transfers", fill!("transfers", "from_wallet, to_wallet, forced", "w, other, false")),
        ("mints", fill!("mints", "wallet", "w")),
        ("burns", fill!("burns", "wallet, forced", "w, false")),
    ] {
        let filled = sqlx::query(fill).bind(CHAIN.cast_signed()).bind(token.as_slice()).bind(ROWS).execute(&pool).await;
        assert_eq!(filled.unwrap().rows_affected(), ROWS.unsigned_abs(), "{table}");
    }
    for analyze in ["ANALYZE transfers", "ANALYZE mints", "ANALYZE burns", "ANALYZE instruments"] {
        sqlx::query(analyze).execute(&pool).await.unwrap();
    }

    let tx = B256::from(
        <[u8; 32]>::try_from(<sha2::Sha256 as sha2::Digest>::digest(777i64.to_be_bytes()).as_slice()).unwrap(),
    );
    let of = |any: Address| Choice::of(vec![any]);
    let filter = EventFilter { chain_id: CHAIN, ..Default::default() };
    let asked = [
        ("a rare wallet", EventFilter { wallets: of(wallet(99)), ..filter.clone() }, 9),
        ("a busy wallet", EventFilter { wallets: of(wallet(1)), ..filter.clone() }, 51),
        ("a wallet that is not there", EventFilter { wallets: of(wallet(u32::MAX)), ..filter.clone() }, 0),
        ("a party's wallets", EventFilter { owned: Some(vec![wallet(99), wallet(100)]), ..filter.clone() }, 18),
        ("a transaction", EventFilter { txs: Some(vec![tx]), ..filter.clone() }, 1),
        ("a transaction that is not there", EventFilter { txs: Some(vec![keccak256("no")]), ..filter.clone() }, 0),
        (
            "amounts of a transaction",
            EventFilter {
                txs: Some(vec![tx]),
                amount: tokenx_indexer::read::pages::Range { least: Some(U256::from(1)), most: None },
                ..filter.clone()
            },
            1,
        ),
        ("the newest", filter.clone(), 51),
    ];
    let window = Window { above: None, below: None, descending: true, limit: 51 };
    for (kind, table) in [(EventKind::Transfer, "transfers"), (EventKind::Mint, "mints"), (EventKind::Burn, "burns")] {
        for (what, filter, expected) in &asked {
            // As requests do, in a transaction of its own, which counts what it reads.
            let mut conn = tokenx_migrations::begin(&pool).await.unwrap();
            sqlx::query("SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *conn).await.unwrap();
            let rows = event_page(&mut *conn, kind, filter, &window).await.unwrap();
            assert_eq!(rows.len(), *expected, "{table}: {what}");
            let read: i64 = sqlx::query_scalar(
                "SELECT (seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables WHERE relname = $1",
            )
            .bind(table)
            .fetch_one(&mut *conn)
            .await
            .unwrap();
            assert!(read < 2_000, "{table}: {what} read {read} of {ROWS} rows");
        }
    }
    pool.close().await;
}
