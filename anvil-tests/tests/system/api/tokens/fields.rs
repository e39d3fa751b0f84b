//! The field tables of the token-details text, walked over what is answered.

use super::*;

/// A type of the tables.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    String,
    Integer,
    Number,
    Boolean,
    Time,
    Object(&'static [Field]),
    Array(&'static [Field]),
    Nullable(&'static Type),
}

type Field = (&'static str, Type);

use Type::{Array, Boolean, Integer, Nullable, Number, Object, String as Text, Time};

const PRICE: &[Field] = &[("id", Text), ("amount", Number), ("decimal", Integer), ("symbol", Text), ("address", Text)];

const IMAGE: &[Field] = &[
    ("id", Text),
    ("url", Text),
    ("is_default", Boolean),
    ("hash", Text),
    ("created_at", Time),
    ("deleted_at", Nullable(&Time)),
];

const DOCUMENT: &[Field] = &[
    ("id", Text),
    ("name", Text),
    ("url", Text),
    ("type", Integer),
    ("hash", Text),
    ("created_at", Time),
    ("deleted_at", Nullable(&Time)),
];

const VALUE: &[Field] = &[
    ("token_price", Object(PRICE)),
    ("total_value", Object(PRICE)),
    ("salable_percentage", Number),
    ("salable_value", Object(PRICE)),
    ("max_supply", Integer),
    ("purchased_supply", Integer),
    ("listed_supply", Integer),
    ("sold_supply", Integer),
    ("total_fee_supply", Integer),
];

const METRIC: &[Field] = &[
    ("term_duration_in_months", Nullable(&Integer)),
    ("min_purchase_quantity", Integer),
    ("max_purchase_quantity", Integer),
    ("min_tokens_required_for_rental_income", Integer),
    ("rental_income", Object(PRICE)),
    ("rental_payment_period_in_days", Integer),
    ("rental_payment_start_date", Nullable(&Time)),
    ("listing_date", Nullable(&Time)),
    ("expiration_date", Nullable(&Time)),
];

const NODE_CONTRACT: &[Field] = &[
    ("listing_contract_address", Nullable(&Text)),
    ("rent_contract_address", Nullable(&Text)),
    ("burn_contract_address", Nullable(&Text)),
    ("fee_contract_address", Nullable(&Text)),
    ("secondary_contract_address", Nullable(&Text)),
    ("otc_contract_address", Nullable(&Text)),
];

const TOKEN: &[Field] = &[
    ("id", Text),
    ("category_id", Text),
    ("node_id", Text),
    ("type", Integer),
    ("status", Integer),
    ("name", Text),
    ("description", Text),
    ("token_name", Text),
    ("token_symbol", Text),
    ("is_public", Boolean),
    ("is_open_to_secondary_market", Boolean),
    ("is_open_to_otc", Boolean),
    ("oracle", Nullable(&Object(&[("id", Text), ("code", Text)]))),
    ("meta", Object(&[("images", Array(IMAGE)), ("documents", Array(DOCUMENT))])),
    ("contract", Nullable(&Object(&[("address", Text), ("tx_hash", Text)]))),
    ("node_contract", Nullable(&Object(NODE_CONTRACT))),
    ("value", Object(VALUE)),
    ("metric", Nullable(&Object(METRIC))),
    (
        "secondary_market",
        Nullable(&Object(&[("min_sell_price", Nullable(&Number)), ("max_sell_price", Nullable(&Number))])),
    ),
    (
        "distribution_token",
        Nullable(&Object(&[("id", Text), ("external_id", Text), ("priority", Integer), ("agent", Integer)])),
    ),
    (
        "fee",
        Nullable(&Object(&[
            ("platform_owner_amount", Integer),
            ("node_owner_amount", Integer),
            ("node_amount", Integer),
        ])),
    ),
    ("created_at", Time),
    ("updated_at", Time),
    ("deleted_at", Nullable(&Time)),
];

/// Asserts that a token has exactly the documented fields, of the documented types.
pub(super) fn assert_documented(token: &Value) {
    check("token", token, Object(TOKEN));
}

fn check(path: &str, value: &Value, expected: Type) {
    let fits = match expected {
        Text => value.is_string(),
        Integer => value.is_i64() || value.is_u64(),
        Number => value.is_number(),
        Boolean => value.is_boolean(),
        Time => value.as_str().is_some_and(|text| {
            let format = &time::format_description::well_known::Rfc3339;
            text.ends_with('Z') && time::OffsetDateTime::parse(text, format).is_ok()
        }),
        Nullable(inner) => {
            if !value.is_null() {
                check(path, value, *inner);
            }
            true
        }
        Array(fields) => {
            let items = value.as_array().unwrap_or_else(|| panic!("{path} is no array: {value}"));
            for (place, item) in items.iter().enumerate() {
                check(&format!("{path}[{place}]"), item, Object(fields));
            }
            true
        }
        Object(fields) => {
            let members = value.as_object().unwrap_or_else(|| panic!("{path} is no object: {value}"));
            let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
            let mut documented: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            documented.sort_unstable();
            assert_eq!(names, documented, "{path}");
            for (name, of) in fields {
                check(&format!("{path}.{name}"), &members[*name], *of);
            }
            true
        }
    };
    assert!(fits, "{path} is no {expected:?}: {value}");
}
