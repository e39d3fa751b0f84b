//! Tables that are a pure function of the logs, and the statements by which one is derived again and compared.

/// A table that logs alone determine. Made by [`derived_table!`](crate::derived_table), so that all its SQL is text of
/// this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Columns of its key after `chain_id`, in the order in which rows are compared: `"token, wallet"`.
    pub key: &'static str,
    #[doc(hidden)]
    pub create: &'static str,
    #[doc(hidden)]
    pub live: &'static str,
    #[doc(hidden)]
    pub rebuilt: &'static str,
    #[doc(hidden)]
    pub remove: &'static str,
    #[doc(hidden)]
    pub insert: &'static str,
}

/// A [`Table`] by its name, the columns of its key after `chain_id`, and the key as bytes that sort as the columns do:
///
/// ```
/// let table = tokenx_indexer::derived_table!("holdings", "token, wallet", "token || wallet");
/// assert_eq!(table.name, "holdings");
/// ```
///
/// The table has a `chain_id`, is written without naming its schema, and its key holds no NULL and no negative number.
#[macro_export]
macro_rules! derived_table {
    ($name:literal, $key:literal, $bytes:literal) => {
        $crate::Table {
            name: $name,
            key: $key,
            create: concat!("CREATE UNLOGGED TABLE reindex.", $name, " (LIKE public.", $name, " INCLUDING ALL)"),
            live: concat!(
                "SELECT ",
                $bytes,
                ", row_to_json(t)::text FROM public.",
                $name,
                " t WHERE chain_id = $1 ORDER BY ",
                $key
            ),
            rebuilt: concat!(
                "SELECT ",
                $bytes,
                ", row_to_json(t)::text FROM reindex.",
                $name,
                " t WHERE chain_id = $1 ORDER BY ",
                $key
            ),
            remove: concat!(
                "DELETE FROM public.",
                $name,
                " WHERE chain_id = $1 AND (",
                $key,
                ") IN (SELECT ",
                $key,
                " FROM (SELECT * FROM public.",
                $name,
                " WHERE chain_id = $1 EXCEPT SELECT * FROM reindex.",
                $name,
                ") gone)"
            ),
            insert: concat!(
                "INSERT INTO public.",
                $name,
                " SELECT * FROM reindex.",
                $name,
                " EXCEPT SELECT * FROM public.",
                $name,
                " WHERE chain_id = $1"
            ),
        }
    };
    // Event tables: one row per log.
    ($name:literal) => {
        $crate::derived_table!($name, "block_number, log_index", "int8send(block_number) || int4send(log_index)")
    };
}

/// Headers come with blocks, not with logs: only the rows that a rebuild's own batches store, never compared.
pub(super) const BLOCKS: Table = derived_table!("blocks", "number", "int8send(number)");

/// The chain's own tables. `logs` is among them for what decoding adds to a log; the log itself is what all begins with.
pub(super) const OWN: &[Table] = &[
    derived_table!("logs"),
    derived_table!("watched", "address", "address::bytea"),
    derived_table!("instruments", "token", "token::bytea"),
    derived_table!("token_changes"),
    derived_table!("investor_changes"),
    derived_table!("investor_wallets", "wallet", "wallet::bytea"),
    derived_table!("transfers"),
    derived_table!("mints"),
    derived_table!("burns"),
    derived_table!("freezes"),
    derived_table!(
        "holding_changes",
        "token, wallet, block_number, log_index",
        "token || wallet || int8send(block_number) || int4send(log_index)"
    ),
    derived_table!(
        "supply_changes",
        "token, block_number, log_index",
        "token || int8send(block_number) || int4send(log_index)"
    ),
    derived_table!("holdings", "token, wallet", "token || wallet"),
    derived_table!("hold_changes"),
    derived_table!("holds", "token, wallet, hold_id", "token || wallet || int8send(hold_id)"),
    derived_table!("recoveries"),
    derived_table!("document_changes"),
    derived_table!("documents", "token, name", "token || name"),
    derived_table!("listing_terms"),
    derived_table!("listing_statuses"),
    derived_table!("fee_reservations"),
    derived_table!("purchases"),
    derived_table!("fee_terms"),
    derived_table!("fee_allocations"),
    derived_table!("fee_pots"),
    derived_table!(
        "fee_credits",
        "block_number, log_index, wallet",
        "int8send(block_number) || int4send(log_index) || wallet"
    ),
    derived_table!("market_terms"),
    derived_table!("trades"),
    derived_table!("otc_terms"),
    derived_table!("deals"),
    derived_table!("cancellations"),
    derived_table!("order_cutoffs"),
    derived_table!("intents"),
    derived_table!("treasuries"),
    derived_table!("fund_changes"),
    derived_table!("redemption_terms"),
    derived_table!("redemption_requests"),
    derived_table!("redemption_ends"),
    derived_table!(
        "redemption_credits",
        "block_number, log_index, wallet",
        "int8send(block_number) || int4send(log_index) || wallet"
    ),
    derived_table!("rent_terms"),
    derived_table!("rent_distributors"),
    derived_table!("rent_minimums"),
    derived_table!("rent_periods"),
    derived_table!("rent_payments"),
    derived_table!("rent_moves"),
    derived_table!("retirements"),
];
