//! Two tables side by side, in the order of their keys: one row of each in memory.

use std::collections::BTreeMap;
use std::fmt;

use futures::TryStreamExt;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use super::Table;
use crate::read::int;

/// A row that is not what the logs say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which table.
    pub table: &'static str,
    /// The row's key after `chain_id`: `token 0x… wallet 0x…`.
    pub key: String,
    /// The fields that differ, as the table has them; `None` where it lacks the row.
    pub stored: Option<String>,
    /// The same fields, as the logs have them; `None` where no log made such a row.
    pub derived: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, key, stored, derived } = self;
        match (stored, derived) {
            (Some(stored), Some(derived)) => write!(f, "{table} {key}: has {stored}; from its logs {derived}"),
            (Some(stored), None) => write!(f, "{table} {key}: no log made this row: {stored}"),
            (None, Some(derived)) => write!(f, "{table} {key}: missing; from its logs {derived}"),
            (None, None) => write!(f, "{table} {key}"),
        }
    }
}

/// Compares the rows of `table` that `live` sees with those that were derived again, and hands each difference to
/// `found`. Gives how many rows were looked at.
pub(super) async fn compare(
    table: &Table,
    chain_id: u64,
    live: &mut PgConnection,
    rebuilt: &mut PgConnection,
    mut found: impl FnMut(Difference),
) -> Result<u64, sqlx::Error> {
    type Row = (Vec<u8>, String);
    let mut live = sqlx::query_as::<_, Row>(table.live).bind(int(chain_id)).fetch(live);
    let mut rebuilt = sqlx::query_as::<_, Row>(table.rebuilt).bind(int(chain_id)).fetch(rebuilt);
    let (mut stored, mut derived) = (live.try_next().await?, rebuilt.try_next().await?);
    let mut rows = 0;
    loop {
        let (ours, theirs) = match (&stored, &derived) {
            (None, None) => return Ok(rows),
            (Some(ours), Some(theirs)) if ours.0 == theirs.0 => (Some(&ours.1), Some(&theirs.1)),
            (Some(ours), Some(theirs)) if ours.0 > theirs.0 => (None, Some(&theirs.1)),
            (None, Some(theirs)) => (None, Some(&theirs.1)),
            (Some(ours), _) => (Some(&ours.1), None),
        };
        rows += 1;
        if ours != theirs {
            found(difference(table, ours, theirs));
        }
        let (left, right) = (ours.is_some(), theirs.is_some());
        if left {
            stored = live.try_next().await?;
        }
        if right {
            derived = rebuilt.try_next().await?;
        }
    }
}

/// Which fields differ. Both are what `row_to_json` made.
fn difference(table: &Table, stored: Option<&String>, derived: Option<&String>) -> Difference {
    let (ours, theirs) = (stored.map(|row| fields(row)), derived.map(|row| fields(row)));
    let keys: Vec<&str> = table.key.split(", ").collect();
    let either = ours.as_ref().or(theirs.as_ref());
    let key = keys.iter().filter_map(|key| Some(format!("{key} {}", either?.get(*key)?))).collect::<Vec<_>>().join(" ");
    let differing = |row: &BTreeMap<String, String>, other: Option<&BTreeMap<String, String>>| {
        row.iter()
            .filter(|(name, value)| {
                *name != "chain_id"
                    && !keys.contains(&name.as_str())
                    && other.is_none_or(|other| other.get(*name) != Some(*value))
            })
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    Difference {
        table: table.name,
        key,
        stored: ours.as_ref().map(|row| differing(row, theirs.as_ref())),
        derived: theirs.as_ref().map(|row| differing(row, ours.as_ref())),
    }
}

/// A row's fields as text that loses nothing: numbers as they were written, bytes as `0x…`.
fn fields(row: &str) -> BTreeMap<String, String> {
    let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(row).unwrap_or_default();
    raw.into_iter()
        .map(|(name, value)| {
            let text = value.get().replace(r#""\\x"#, "0x");
            let text = if text.starts_with("0x") { text.trim_end_matches('"').to_owned() } else { text };
            (name, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = crate::derived_table!("holdings", "token, wallet", "token || wallet");

    fn row(balance: &str, frozen: &str) -> String {
        format!(
            r#"{{"chain_id":1,"token":"\\x70","wallet":"\\xa1","balance":{balance},"frozen":{frozen},"address_frozen":false}}"#
        )
    }

    #[test]
    fn a_difference_names_the_key_and_only_the_fields_that_differ_digit_for_digit() {
        let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let found = difference(&TABLE, Some(&row(most, "1")), Some(&row("5", "1")));
        assert_eq!(
            found.to_string(),
            format!("holdings token 0x70 wallet 0xa1: has balance {most}; from its logs balance 5")
        );
    }

    #[test]
    fn a_row_on_one_side_only_is_told_in_whole() {
        let found = difference(&TABLE, None, Some(&row("5", "1")));
        assert_eq!(
            found.to_string(),
            "holdings token 0x70 wallet 0xa1: missing; from its logs address_frozen false, balance 5, frozen 1"
        );
        let found = difference(&TABLE, Some(&row("5", "1")), None);
        assert!(found.to_string().contains("no log made this row: address_frozen false"), "{found}");
    }
}
