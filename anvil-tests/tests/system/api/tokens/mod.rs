//! Tokens from their draft on, over HTTP.

mod cli;
mod fields;
pub(crate) mod files;
mod graphql;
pub(crate) mod life;
mod prices;
mod records;

use tokenx_api::admin::NewCurrency;
use tokenx_api::tokens::Currency;

use super::*;

/// A node of the first issuer's, and of the second's.
pub(crate) struct Ground {
    pub(crate) kit: Kit,
    nodes: [String; 2],
    pub(crate) usdt: Currency,
}

impl Ground {
    /// An api without a chain: records and files need none.
    pub(crate) async fn bare() -> Ground {
        Ground::on(Kit::bare().await).await
    }

    pub(crate) async fn on(kit: Kit) -> Ground {
        let chain_id = kit.settings.chain.chain_id;
        let mut nodes = Vec::new();
        for (issuer_id, byte) in kit.issuers.into_iter().zip(1..) {
            let executor = Address::repeat_byte(byte);
            let node = NewNode { issuer_id, chain_id, executor, treasury: None };
            nodes.push(admin::add_node(&kit.pool, BY, node).await.unwrap().node_id);
        }
        let address = address!("073c0196e516a0e77b1c804d1825fb1bad23895d");
        let usdt = NewCurrency { chain_id, address, symbol: "USDT".into(), decimals: 6 };
        let usdt = admin::add_currency(&kit.pool, BY, usdt).await.unwrap();
        Ground { nodes: nodes.try_into().unwrap(), kit, usdt }
    }

    /// The figures of the reference text's example.
    pub(crate) fn sample(&self) -> Value {
        let price = |amount: u32| json!({ "id": self.usdt.currency_id, "amount": amount });
        json!({
            "node_id": self.nodes[0],
            "category_id": "667e9251ca818a2138ed4915",
            "type": 0,
            "is_public": false,
            "name": "TKN Token Name 6 Updated",
            "description": "Token Description 222",
            "token_name": "tkn",
            "token_symbol": "TKN",
            "oracle": { "id": "677ed6e3cc111aea14a3dfc3", "code": "IOG" },
            "value": {
                "token_price": price(30),
                "total_value": price(12_000),
                "salable_percentage": 80,
                "max_supply": 1_000,
            },
            "metric": {
                "term_duration_in_months": 12,
                "min_purchase_quantity": 1,
                "max_purchase_quantity": 100,
                "min_tokens_required_for_rental_income": 10,
                "rental_income": price(100),
                "rental_payment_period_in_days": 30,
                "rental_payment_start_date": "2025-01-01T00:00:00Z",
                "listing_date": "2025-01-01T00:00:00Z",
                "expiration_date": "2026-01-01T00:00:00Z",
            },
            "is_open_to_secondary_market": false,
            "is_open_to_otc": false,
            "secondary_market": { "min_sell_price": 25.5, "max_sell_price": 35.5 },
            "distribution_token": {
                "id": "690d004e8f95a5c7b2614658", "external_id": "EXT123", "priority": 50, "agent": 1,
            },
        })
    }

    /// The sample under another symbol.
    pub(crate) fn named(&self, symbol: &str) -> Value {
        let mut body = self.sample();
        body["token_symbol"] = symbol.into();
        body
    }

    pub(crate) async fn add(&self, body: &Value) -> Value {
        let answer = self.kit.post("/v2/admin/token", self.kit.token(Role::Issuer), body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let token = answer.json();
        let location = format!("/v2/admin/token/{}", token["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), Some(location.as_str()));
        token
    }

    pub(crate) async fn show(&self, id: &str, role: Role) -> Answer {
        self.kit.get(&format!("/v2/admin/token/{id}"), self.kit.token(role)).await
    }

    pub(crate) async fn change(&self, id: &str, body: &Value) -> Answer {
        self.kit.patch(&format!("/v2/admin/token/{id}"), self.kit.token(Role::Issuer), body).await
    }

    /// A person of the second issuer.
    pub(crate) async fn stranger(&self) -> String {
        self.kit.service_token(Role::Issuer, Some(1), &Scope::ALL).await.1
    }
}

/// The bad fields of a 400.
pub(crate) fn refused(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let json = answer.json();
    let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no list: {json}"));
    errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
}
