//! Who trades, and what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolStruct};
use anyhow::{Context, Result, ensure};
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokenx::local::suite;
use tokenx_anvil_tests::{Deployment, eventually_within};
use tokenx_api::admin::{self, By, NewCurrency, NewNode, NewParty, NewServiceToken, NewUser, NewWallet, WalletKind};
use tokenx_api::policy::{Role, Scope};
use tokenx_contracts::bindings::TestUSD;
use tokenx_contracts::ids::PartyId;
use tokenx_keeper::{Contract, Order, Side};

use super::services::{Running, Services};

const BY: By<'static> = By { actor: "cli:bench", request_id: None };
const LIMIT: Duration = Duration::from_secs(120);
/// Half of them sell and half of them buy, each by a key of its own.
const TRADERS: usize = 40;
/// Whole tokens, and whole units of money, that each has.
const PURSE: u64 = 1_000_000;
const PASSWORD: &str = "a password for benchmarks";

pub(crate) struct Floor {
    services: Services,
    desk: Arc<Desk>,
    traders: Vec<Arc<Trader>>,
    sent: AtomicU64,
}

/// Where orders go, and what they are about.
struct Desk {
    http: Client,
    url: String,
    chain_id: u64,
    offering: Value,
    token: Address,
    money: Address,
    market: Address,
}

struct Trader {
    side: Side,
    bearer: String,
    wallet_id: String,
    key: PrivateKeySigner,
}

/// An order on its way.
pub(crate) struct Sent {
    desk: Arc<Desk>,
    trader: Arc<Trader>,
    number: u64,
}

impl Floor {
    pub(crate) async fn open() -> Result<Self> {
        let services = Services::start().await?;
        let (deployment, settings) = (services.deployment.clone(), &services.settings);
        let desk = Arc::new(Desk {
            http: Client::builder().pool_max_idle_per_host(1_000).build()?,
            url: services.api_url.clone(),
            chain_id: settings.chain.chain_id,
            offering: Value::Null,
            token: Address::ZERO,
            money: deployment.suite.payment_token.context("a payment token")?,
            market: deployment.nodes[0].node.contracts.secondary_market,
        });
        let (traders, sent) = (Vec::new(), AtomicU64::default());
        let mut floor = Self { desk, traders, sent, services };
        let keeper = floor.keeper().await?;
        floor.seed(&deployment).await?;
        keeper.stop().await?;
        Ok(floor)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.services.world.pool
    }

    pub(crate) async fn keeper(&self) -> Result<Running> {
        self.services.keeper(|_| {}).await
    }

    /// An issuer with a token that is offered and traded, and everybody who trades it.
    async fn seed(&mut self, deployment: &Deployment) -> Result<()> {
        let (pool, chain_id) = (&self.services.world.pool, self.services.settings.chain.chain_id);
        let issuer_id = admin::add_issuer(pool, BY, "Issuer").await?.issuer_id;
        let executor = deployment.nodes[0].node.executor;
        let node = admin::add_node(pool, BY, NewNode { issuer_id, chain_id, executor, treasury: None }).await?;
        let money = NewCurrency { chain_id, address: self.desk.money, symbol: "USDT".into(), decimals: 6 };
        let money = admin::add_currency(pool, BY, money).await?.currency_id;
        let bearer = async |role: Role, issuer_id| {
            let (name, scopes) = (role.to_string(), Scope::ALL.to_vec());
            let token = NewServiceToken { name, role, issuer_id, scopes, days: 1 };
            let (_, token) = admin::add_service_token(pool, BY, token).await?;
            Ok::<String, anyhow::Error>(token.expose_secret().to_owned())
        };
        let issuer = bearer(Role::Issuer, Some(issuer_id)).await?;
        let chief = bearer(Role::SuperAdmin, None).await?;

        let price = |amount: u32| json!({ "id": money, "amount": amount });
        let body = json!({
            "node_id": node.node_id, "category_id": "bench", "type": 0, "is_public": true, "name": "Bench",
            "description": "Traded", "token_name": "bench", "token_symbol": "TKN",
            "value": {
                "token_price": price(30), "total_value": price(12_000), "salable_percentage": 10,
                "max_supply": 1_000_000_000,
            },
            "is_open_to_secondary_market": true, "is_open_to_otc": false,
        });
        let desk = Arc::clone(&self.desk);
        let id = desk.post(&issuer, "/v2/admin/token", &body).await?["id"].as_str().context("an id")?.to_owned();
        // Refused until the node is indexed.
        let deploy = format!("/v2/admin/token/{id}/deploy");
        eventually_within(LIMIT, "the token is deployed", || async {
            desk.post(&issuer, &deploy, &json!({})).await.ok()
        })
        .await;
        let shown = desk.until(&issuer, &format!("/v2/admin/token/{id}"), |token| token["status"] == 4).await;
        let token = shown["contract"]["address"].as_str().context("an address")?.parse()?;
        let offer = json!({ "token_id": id, "exemption": "506c" });
        let offering = desk.post(&issuer, "/offerings", &offer).await?["id"].clone();
        let place = format!("/offerings/{}", offering.as_str().context("an id")?);
        desk.post(&issuer, &format!("{place}/publish"), &json!({})).await?;
        desk.post(&chief, &format!("{place}/approve"), &json!({})).await?;
        let known = Desk { offering, token, http: desk.http.clone(), url: desk.url.clone(), ..*desk };
        self.desk = Arc::new(known);
        let book = format!("/ats/orderbook/{}", self.desk.offering.as_str().unwrap_or_default());
        self.desk.until(&chief, &book, |book| book["open"] == true).await;
        self.come(&chief).await
    }

    async fn come(&mut self, chief: &str) -> Result<()> {
        let (pool, desk) = (&self.services.world.pool, &self.desk);
        let mut gifts = Vec::new();
        for n in 0..TRADERS {
            let side = if n % 2 == 0 { Side::Sell } else { Side::Buy };
            let (key, email) = (PrivateKeySigner::random(), format!("trader-{n}@example.org"));
            let party_id = PartyId::parse(format!("trader-{n}"))?;
            let party = NewParty { party_id: party_id.clone(), country: 276, investor_class: 1, kyc_expires_at: None };
            admin::add_party(pool, BY, party).await?;
            admin::vouch(pool, BY, &party_id).await?;
            let user = NewUser {
                email: email.clone(),
                password: PASSWORD.to_owned().into(),
                role: Role::Investor,
                issuer_id: None,
                party_id: Some(party_id.to_string()),
            };
            admin::add_user(pool, &self.services.settings.auth, BY, user).await?;
            let wallet = NewWallet { party_id, kind: WalletKind::SelfCustody(key.address()) };
            let wallet_id = admin::add_wallet(pool, &self.services.commands, BY, wallet).await?.wallet_id.to_string();
            let session = desk.post("", "/auth/login", &json!({ "email": email, "password": PASSWORD })).await?;
            let bearer = session["access_token"].as_str().context("a token")?.to_owned();
            let gives = if side == Side::Sell { desk.token } else { desk.money };
            self.allows(key.address(), gives).await?;
            gifts.push((key.address(), U256::from(PURSE) * U256::from(1_000_000)));
            self.traders.push(Arc::new(Trader { side, bearer, wallet_id, key }));
        }
        suite::give(&self.services.world.chain.url(), desk.money, &gifts).await?;
        eventually_within(LIMIT, "the wallets are approved", || async {
            let wallets = admin::list_wallets(pool, desk.chain_id).await.ok()?;
            wallets.iter().all(|wallet| wallet.approved).then_some(())
        })
        .await;
        for (n, seller) in self.traders.iter().filter(|trader| trader.side == Side::Sell).enumerate() {
            let party_id = seller.key.address();
            let body = json!({
                "command_id": format!("units-{n}"), "instrument_id": "TKN", "party_id": party_id,
                "amount": PURSE.to_string(),
            });
            desk.post(chief, "/api/admin/mint", &body).await?;
        }
        desk.until(chief, "/data/admin/holdings?instrument_id=TKN", |page| page["total"] == TRADERS / 2).await;
        Ok(())
    }

    /// By a transaction of the wallet's own.
    async fn allows(&self, wallet: Address, token: Address) -> Result<()> {
        let chain = &self.services.world.chain;
        chain.rpc("anvil_impersonateAccount", json!([wallet])).await?;
        chain.rpc("anvil_setBalance", json!([wallet, "0xde0b6b3a7640000"])).await?;
        let data = Bytes::from(TestUSD::approveCall { spender: self.desk.market, value: U256::MAX }.abi_encode());
        chain
            .rpc("eth_sendTransaction", json!([{ "from": wallet, "to": token, "data": data, "gas": "0x100000" }]))
            .await?;
        Ok(())
    }

    /// The next order: of each trader in turn, around one price, so that most meet another one sooner or later.
    pub(crate) fn next_order(&self) -> Sent {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let trader = &self.traders[usize::try_from(number).unwrap_or_default() % self.traders.len()];
        Sent { desk: Arc::clone(&self.desk), trader: Arc::clone(trader), number }
    }

    /// Waits until the matcher has taken every order.
    pub(crate) async fn matched(&self, limit: Duration) -> Result<()> {
        eventually_within(limit, "every order is in its book", || async {
            let pending: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM orders WHERE state = 'pending')")
                .fetch_one(self.pool())
                .await
                .ok()?;
            (!pending).then_some(())
        })
        .await;
        Ok(())
    }

    /// As many new orders as that wait for the matcher, like those that there were.
    pub(crate) async fn orders_again(&self, count: u64) -> Result<()> {
        sqlx::query(
            "INSERT INTO orders (order_id, party_id, investor_id, client_order_id, fingerprint, placed_by, request_id,
                                 offering_id, instrument_id, chain_id, token, market, wallet_id, wallet, side, kind,
                                 time_in_force, quantity, limit_price, until, payment_token, max_fee_bps, valid_from,
                                 expiry, salt, digest, signature, state, reserved, created_at, updated_at)
             SELECT gen_random_uuid(), party_id, investor_id, 'again-' || n, fingerprint, placed_by, request_id,
                    offering_id, instrument_id, chain_id, token, market, wallet_id, wallet, side, kind, time_in_force,
                    quantity, limit_price, until, payment_token, max_fee_bps, valid_from, expiry,
                    sha256(gen_random_uuid()::text::bytea), sha256(gen_random_uuid()::text::bytea), signature, 'pending',
                    CASE side WHEN 'sell' THEN quantity::numeric
                              ELSE trunc(quantity * limit_price / 1000000000000000000) END,
                    now(), now()
               FROM generate_series(0, $1 - 1) AS n
               JOIN (SELECT *, row_number() OVER (ORDER BY place) - 1 AS nth, count(*) OVER () AS all_of_them
                       FROM orders) o ON o.nth = n % o.all_of_them
              ORDER BY n",
        )
        .bind(count.cast_signed())
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Gas of all transactions that have settled fills.
    pub(crate) async fn gas_of_settlements(&self) -> Result<f64> {
        let hashes: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT DISTINCT tx_hash::bytea FROM trades").fetch_all(self.pool()).await?;
        let mut gas = 0;
        for hash in hashes {
            let hash = B256::try_from(hash.as_slice())?;
            let receipt = self.services.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
            let used = receipt["gasUsed"].as_str().context("a receipt")?;
            gas += u64::from_str_radix(used.trim_start_matches("0x"), 16)?;
        }
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let gas = gas as f64;
        Ok(gas)
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.services.end().await
    }
}

impl Desk {
    async fn post(&self, bearer: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = self.http.post(format!("{}{path}", self.url)).bearer_auth(bearer).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn until(&self, bearer: &str, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        eventually_within(LIMIT, path, || async {
            let answer = self.http.get(format!("{}{path}", self.url)).bearer_auth(bearer).send().await.ok()?;
            let answer: Value = answer.json().await.ok()?;
            so(&answer).then_some(answer)
        })
        .await
    }
}

impl Sent {
    /// Signs the order and sends it.
    pub(crate) async fn send(self) -> Result<()> {
        let Sent { desk, trader, number } = self;
        let (whole, price) = (1 + number % 3, 28 + number / 2 % 5);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let order = Order {
            wallet: trader.key.address(),
            payment_token: desk.money,
            quantity: U256::from(whole) * U256::from(10).pow(U256::from(18)),
            limit_price: U256::from(price * 1_000_000),
            max_fee_bps: 0,
            valid_from: 0,
            expiry: now + 7 * 86_400,
            salt: B256::from(U256::from(number)),
        };
        let domain = Contract::SecondaryMarket.domain(desk.chain_id, desk.market);
        let digest = order.of(desk.token, trader.side).eip712_signing_hash(&domain);
        let signature = Bytes::from(trader.key.sign_hash_sync(&digest)?.as_bytes());
        let side = if trader.side == Side::Sell { "sell" } else { "buy" };
        let body = json!({
            "client_order_id": number.to_string(), "offering_id": desk.offering, "wallet_id": trader.wallet_id,
            "side": side, "type": "limit", "quantity": whole.to_string(), "limit_price": price.to_string(),
            "time_in_force": "gtc", "signature": signature,
            "intent": {
                "wallet": order.wallet, "token": desk.token, "paymentToken": desk.money,
                "side": (trader.side as u8).to_string(), "quantity": order.quantity.to_string(),
                "limitPrice": order.limit_price.to_string(), "maxFeeBps": "0", "validFrom": "0",
                "expiry": order.expiry.to_string(), "salt": order.salt,
            },
        });
        desk.post(&trader.bearer, "/ats/orders", &body).await?;
        Ok(())
    }
}
