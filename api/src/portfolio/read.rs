//! What a portfolio is made of, read in one snapshot: a few statements, however many positions there are.

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokenx_indexer::read::Position;
use tokenx_migrations::{Addr, Uint256, Word};

use super::cost::{Event, Movement, Payment};

/// What a wallet has of an instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The contract.
    pub token: Address,
    /// The wallet.
    pub wallet: Address,
    /// What the chain says of it.
    pub position: Position,
}

/// An instrument that one of the wallets has, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Its contract.
    pub token: Address,
    /// Its id.
    pub instrument_id: String,
    /// Its contract's name.
    pub name: String,
    /// Its contract's symbol.
    pub symbol: String,
    /// Its contract's decimals.
    pub decimals: u8,
    /// Its record; `None` where nobody here has said anything of it.
    pub token_id: Option<String>,
}

fn wallets_of(wallets: &[Address]) -> Vec<Addr> {
    wallets.iter().copied().map(Addr).collect()
}

/// What these wallets have, nothing included.
///
/// # Errors
/// The database's.
pub async fn holdings(
    conn: &mut PgConnection,
    chain_id: u64,
    wallets: &[Address],
) -> Result<Vec<Holding>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT h.token, h.wallet, h.balance, h.frozen, h.address_frozen,
                (SELECT coalesce(sum(k.amount), 0)
                   FROM unexpired_holds k
                  WHERE k.chain_id = h.chain_id AND k.token = h.token AND k.wallet = h.wallet) AS held
           FROM holdings h
          WHERE h.chain_id = $1 AND h.wallet = ANY ($2::bytea[])
          ORDER BY h.token, h.wallet",
    )
    .bind(chain_id.cast_signed())
    .bind(wallets_of(wallets))
    .fetch_all(conn)
    .await?;
    let units = |row: &PgRow, column| Ok::<_, sqlx::Error>(row.try_get::<Uint256, _>(column)?.0);
    rows.iter()
        .map(|row| {
            Ok(Holding {
                token: row.try_get::<Addr, _>("token")?.0,
                wallet: row.try_get::<Addr, _>("wallet")?.0,
                position: Position {
                    balance: units(row, "balance")?,
                    frozen: units(row, "frozen")?,
                    held: units(row, "held")?,
                    address_frozen: row.try_get("address_frozen")?,
                },
            })
        })
        .collect()
}

/// These instruments, by id. One whose logs do not add up is left out: what is known of it is not enough to count with.
///
/// # Errors
/// The database's.
pub async fn instruments(
    conn: &mut PgConnection,
    chain_id: u64,
    tokens: &[Address],
) -> Result<Vec<Instrument>, sqlx::Error> {
    let rows: Vec<(Addr, String, String, String, i16, Option<String>)> = sqlx::query_as(
        "SELECT i.token, i.instrument_id, i.name, i.symbol, i.decimals, t.token_id
           FROM instruments i
           LEFT JOIN token_records t ON t.chain_id = i.chain_id AND t.instrument_id = i.instrument_id
                                    AND t.executor = i.executor
          WHERE i.chain_id = $1 AND i.token = ANY ($2::bytea[]) AND i.inexact_block IS NULL
          ORDER BY i.instrument_id, i.token",
    )
    .bind(chain_id.cast_signed())
    .bind(wallets_of(tokens))
    .fetch_all(conn)
    .await?;
    let instrument = |(token, instrument_id, name, symbol, decimals, token_id): (Addr, _, _, _, i16, _)| Instrument {
        token: token.0,
        instrument_id,
        name,
        symbol,
        // The column's CHECK keeps it within a byte.
        decimals: u8::try_from(decimals).unwrap_or(u8::MAX),
        token_id,
    };
    Ok(rows.into_iter().map(instrument).collect())
}

/// What happened to units of these wallets and what was paid for them, in the chain's order. The payer of a trade's fee is
/// the side that came second.
///
/// # Errors
/// The database's.
pub async fn events(conn: &mut PgConnection, chain_id: u64, wallets: &[Address]) -> Result<Vec<Event>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT e.tx_hash, e.token, e.giver, e.taker, e.amount, e.payment_token, e.paid, e.got
           FROM (SELECT block_number, log_index, tx_hash, token, from_wallet AS giver, to_wallet AS taker,
                        amount::numeric AS amount, NULL::bytea AS payment_token, NULL::numeric AS paid, NULL::numeric AS got
                   FROM transfers
                  WHERE chain_id = $1 AND ARRAY[from_wallet::bytea, to_wallet::bytea] && $2::bytea[]
                  UNION ALL
                 SELECT block_number, log_index, tx_hash, token, $3::bytea, buyer, quantity::numeric, payment_token,
                        cost::numeric, 0
                   FROM purchases
                  WHERE chain_id = $1 AND buyer = ANY ($2::bytea[])
                  UNION ALL
                 SELECT block_number, log_index, tx_hash, token, seller, buyer, quantity::numeric, payment_token,
                        CASE WHEN buy_rests THEN cost::numeric ELSE cost::numeric + fee END,
                        CASE WHEN buy_rests THEN cost::numeric - fee ELSE cost::numeric END
                   FROM trades
                  WHERE chain_id = $1 AND (seller = ANY ($2::bytea[]) OR buyer = ANY ($2::bytea[]))
                  UNION ALL
                 SELECT block_number, log_index, tx_hash, token, seller, buyer, quantity::numeric, payment_token,
                        payment::numeric, payment::numeric - fee
                   FROM deals
                  WHERE chain_id = $1 AND (seller = ANY ($2::bytea[]) OR buyer = ANY ($2::bytea[]))
                  UNION ALL
                 SELECT q.block_number, q.log_index, q.tx_hash, q.token, q.wallet, $3::bytea, q.quantity::numeric,
                        q.payment_token, 0, q.payout::numeric
                   FROM redemption_ends q
                   JOIN redemption_requests r ON r.chain_id = q.chain_id AND r.wallet = q.wallet AND r.token = q.token
                                             AND r.request_id = q.request_id AND r.contract = q.contract
                  WHERE q.chain_id = $1 AND q.approved AND r.wallet = ANY ($2::bytea[])) e
          ORDER BY e.block_number, e.log_index",
    )
    .bind(chain_id.cast_signed())
    .bind(wallets_of(wallets))
    .bind(Addr(Address::ZERO))
    .fetch_all(conn)
    .await?;
    rows.iter().map(event).collect()
}

fn event(row: &PgRow) -> Result<Event, sqlx::Error> {
    let wallet = |column| {
        let wallet = row.try_get::<Addr, _>(column)?.0;
        Ok::<_, sqlx::Error>((!wallet.is_zero()).then_some(wallet))
    };
    let payment = |payment_token: Addr| {
        Ok::<_, sqlx::Error>(Payment {
            payment_token: payment_token.0,
            paid: row.try_get::<Uint256, _>("paid")?.0,
            got: row.try_get::<Uint256, _>("got")?.0,
        })
    };
    Ok(Event {
        tx: row.try_get::<Word, _>("tx_hash")?.0,
        movement: Movement {
            token: row.try_get::<Addr, _>("token")?.0,
            from: wallet("giver")?,
            to: wallet("taker")?,
            amount: row.try_get::<Uint256, _>("amount")?.0,
        },
        payment: row.try_get::<Option<Addr>, _>("payment_token")?.map(payment).transpose()?,
    })
}

/// What rent these wallets were paid, by token and payment token.
///
/// # Errors
/// The database's.
pub async fn rent(
    conn: &mut PgConnection,
    chain_id: u64,
    wallets: &[Address],
) -> Result<Vec<(Address, Address, U256)>, sqlx::Error> {
    let rows: Vec<(Addr, Addr, Uint256)> = sqlx::query_as(
        "SELECT token, payment_token, sum(amount::numeric)
           FROM rent_payments
          WHERE chain_id = $1 AND wallet = ANY ($2::bytea[]) AND payment_token IS NOT NULL
          GROUP BY token, payment_token",
    )
    .bind(chain_id.cast_signed())
    .bind(wallets_of(wallets))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(token, payment_token, units)| (token.0, payment_token.0, units.0)).collect())
}
