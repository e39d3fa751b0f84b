//! `POST /compliance/check` beside the contracts themselves, at the same block: their predictor, and the movement tried.

use alloy::hex;
use alloy::primitives::{B256, Bytes, U256, Uint};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::campaign;
use tokenx_contracts::bindings::{Investor, InvestorRegistry, SecurityToken};
use tokenx_contracts::{Amount, ReasonCode, decode_revert};
use tokenx_indexer::read::{self, Instrument};

use super::*;

/// Cases that are asked in one state of the chain.
const CASES: usize = 50;
/// Acts between two states.
const ACTS: usize = 12;
/// ISO 3166-1 numeric codes in which wallets are; no list has the last one.
const COUNTRIES: [u16; 4] = [276, 756, 840, 5_000];

/// A stack whose blocks come when the test says.
struct Field {
    kit: Kit,
    instruments: Vec<Instrument>,
    wallets: Vec<Address>,
    chance: StdRng,
}

/// A movement; the zero address gives in a mint, and takes in a burn.
#[derive(Debug, Clone, Copy)]
struct Case {
    instrument: usize,
    from: Address,
    to: Address,
    amount: U256,
}

impl Field {
    async fn open() -> Field {
        let kit = Kit::whole().await;
        let chain_id = kit.settings.chain.chain_id;
        let mut instruments = Vec::new();
        for id in ["rCC", "rDD"] {
            instruments.push(read::instrument(&kit.pool, chain_id, id).await.unwrap().unwrap());
        }
        let wallets = (1..=10).map(|n| Address::repeat_byte(0xa0 + n)).collect();
        let chance = StdRng::seed_from_u64(campaign::seed("check"));
        let field = Field { kit, instruments, wallets, chance };
        field.rpc("evm_setIntervalMining", json!([0])).await;
        let registrar = field.kit.settings.chain.executors[0];
        let operators = field.instruments.iter().map(|instrument| instrument.executor.unwrap());
        for account in operators.chain([registrar]).chain(field.wallets.iter().copied()) {
            field.rpc("anvil_impersonateAccount", json!([account])).await;
            field.rpc("anvil_setBalance", json!([account, "0x3635c9adc5dea00000"])).await;
        }
        field
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        self.kit._world.as_ref().unwrap().chain.rpc(method, params).await.unwrap()
    }

    /// Sent, and taken or refused: either is a state.
    async fn send(&self, from: Address, to: Address, call: impl SolCall) {
        let data = Bytes::from(call.abi_encode());
        self.rpc("eth_sendTransaction", json!([{ "from": from, "to": to, "data": data, "gas": "0x7a120" }])).await;
    }

    /// Mines what was sent, at a time of the test's own, and waits for the indexer; the block and its time.
    async fn mine(&mut self) -> (u64, u64) {
        let seconds: u64 = self.chance.random_range(1..40);
        self.rpc("evm_increaseTime", json!([seconds])).await;
        self.rpc("anvil_mine", json!(["0x1"])).await;
        let head = self.rpc("eth_getBlockByNumber", json!(["latest", false])).await;
        let read =
            |member: &str| u64::from_str_radix(head[member].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        let (number, time) = (read("number"), read("timestamp"));
        eventually("the head is indexed", || async {
            let cursor = read::cursor(&self.kit.pool, self.kit.settings.chain.chain_id).await.unwrap()?;
            (cursor.number == number).then_some(())
        })
        .await;
        (number, time)
    }

    /// Something that changes what the rules look at.
    async fn act(&mut self, now: u64) {
        let reason = B256::ZERO;
        let wallet = *self.wallets.choose(&mut self.chance).unwrap();
        let instrument = self.instruments.choose(&mut self.chance).unwrap().clone();
        let (token, operator) = (instrument.token, instrument.executor.unwrap());
        let amount = U256::from(self.chance.random_range(1..2_000_u32));
        let soon = now + self.chance.random_range(1..120);
        match self.chance.random_range(0..100) {
            0..30 => {
                let investor_id = u64::from(wallet[0]);
                let expires = if self.chance.random_bool(0.3) { soon } else { 0 };
                let investor = Investor {
                    investorId: investor_id,
                    country: *COUNTRIES.choose(&mut self.chance).unwrap(),
                    investorClass: 1,
                    kycExpiresAt: Uint::from(expires),
                    flags: *[1, 1, 1, 1, 1, 1, 0, 2, 3].choose(&mut self.chance).unwrap(),
                };
                let registry = self.kit.settings.chain.registry.unwrap();
                let call = InvestorRegistry::setInvestorCall { wallet, investor, reason };
                self.send(self.kit.settings.chain.executors[0], registry, call).await;
            }
            30..60 => self.send(operator, token, SecurityToken::mintCall { to: wallet, amount, reason }).await,
            60..68 => {
                let amount = if self.chance.random_bool(0.4) { U256::ZERO } else { amount };
                self.send(operator, token, SecurityToken::setFrozenTokens_0Call { account: wallet, amount, reason })
                    .await;
            }
            68..74 => {
                let frozen = self.chance.random_bool(0.3);
                self.send(operator, token, SecurityToken::setAddressFrozenCall { account: wallet, frozen, reason })
                    .await;
            }
            74..84 => {
                let (kind, until) = (self.chance.random_range(2..4), Uint::from(soon));
                let (to, part) = (wallet, U256::from(self.chance.random_range(1..300)));
                if self.chance.random_bool(0.5) {
                    let call = SecurityToken::placeHoldCall { account: to, amount: part, until, reason };
                    self.send(operator, token, call).await;
                } else {
                    let call = SecurityToken::mintLockedCall { to, amount: part, kind, until, reason };
                    self.send(operator, token, call).await;
                }
            }
            84..89 if self.chance.random_bool(0.3) => {
                self.send(operator, token, SecurityToken::pauseCall { reason }).await;
            }
            84..89 => self.send(operator, token, SecurityToken::unpauseCall { reason }).await,
            89..93 if self.chance.random_bool(0.3) => {
                self.send(operator, token, SecurityToken::pauseSupplyCall { reason }).await;
            }
            89..93 => self.send(operator, token, SecurityToken::unpauseSupplyCall { reason }).await,
            93..97 => {
                let most = *[0, 0, 4, 6].choose(&mut self.chance).unwrap();
                let max_balance = *[0, 0, 2_500, 5_000].choose(&mut self.chance).unwrap();
                let limits =
                    SecurityToken::setLimitsCall { maxHolders: most, maxBalance: Uint::from(max_balance), reason };
                self.send(operator, token, limits).await;
            }
            _ => {
                let mode = self.chance.random_range(0..3);
                let mut countries = [U256::ZERO; 4];
                if mode != 0 {
                    for country in [276_usize, 840] {
                        countries[country / 256].set_bit(country % 256, true);
                    }
                }
                self.send(operator, token, SecurityToken::setCountryRuleCall { mode, countries, reason }).await;
            }
        }
    }

    fn case(&mut self) -> Case {
        let instrument = self.chance.random_range(0..self.instruments.len());
        let side = |chance: &mut StdRng, wallets: &[Address]| match chance.random_range(0..8) {
            0 => Address::ZERO,
            _ => *wallets.choose(chance).unwrap(),
        };
        let from = side(&mut self.chance, &self.wallets);
        let to = loop {
            let to = side(&mut self.chance, &self.wallets);
            if !(from.is_zero() && to.is_zero()) {
                break to;
            }
        };
        let amount = match self.chance.random_range(0..10) {
            // More than may ever be: of a mint often, for few are refused by nothing else.
            0..4 if from.is_zero() => U256::from(1_u8) << self.chance.random_range(100..110),
            0 => U256::from(1_u8) << self.chance.random_range(60..110),
            1..4 => U256::from(self.chance.random_range(1..10_000_u32)),
            _ => U256::from(self.chance.random_range(1..1_500_u32)),
        };
        Case { instrument, from, to, amount }
    }

    /// What the api says: code, reason, block.
    async fn ours(&self, case: &Case) -> (u8, Option<String>, u64) {
        let instrument = &self.instruments[case.instrument];
        let mut body = json!({
            "instrument_id": instrument.instrument_id,
            "amount": Amount::new(case.amount, instrument.decimals).to_string(),
        });
        for (member, wallet) in [("from", case.from), ("to", case.to)] {
            if !wallet.is_zero() {
                body[member] = json!(wallet);
            }
        }
        let answer = self.kit.post("/compliance/check", self.kit.token(Role::ComplianceOfficer), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let verdict = answer.json();
        let reason = verdict["reason_code"].as_str().map(str::to_owned);
        assert_eq!(verdict["allowed"], reason.is_none(), "{verdict}");
        let code = u8::try_from(verdict["code"].as_u64().unwrap()).unwrap();
        (code, reason, verdict["as_of"]["block_number"].as_u64().unwrap())
    }

    /// What the contract says at that block: its predictor's code, and why the movement itself fails.
    async fn theirs(&self, case: &Case, block: u64) -> (u8, Option<String>) {
        let Instrument { token, executor, .. } = &self.instruments[case.instrument];
        let Case { from, to, amount, .. } = *case;
        let asked =
            self.call(Address::ZERO, *token, SecurityToken::detectTransferRestrictionCall { from, to, amount }, block);
        let code = SecurityToken::detectTransferRestrictionCall::abi_decode_returns(&asked.await.unwrap()).unwrap();
        let (operator, reason) = (executor.unwrap(), B256::ZERO);
        let tried = if from.is_zero() {
            self.call(operator, *token, SecurityToken::mintCall { to, amount, reason }, block).await
        } else if to.is_zero() {
            self.call(operator, *token, SecurityToken::burnCall { from, amount, reason }, block).await
        } else {
            self.call(from, *token, SecurityToken::transferCall { to, value: amount }, block).await
        };
        (code, tried.err().map(|data| decode_revert(&data).code.as_str().to_owned()))
    }

    /// What a call returns, or the data it fails with.
    async fn call(&self, from: Address, to: Address, call: impl SolCall, block: u64) -> Result<Vec<u8>, Vec<u8>> {
        let data = Bytes::from(call.abi_encode());
        let params = json!([{ "from": from, "to": to, "data": data }, format!("{block:#x}")]);
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": params });
        let url = self.kit._world.as_ref().unwrap().chain.url();
        let answer: Value = self.kit.client.post(url).json(&request).send().await.unwrap().json().await.unwrap();
        let bytes = |value: &Value| hex::decode(value.as_str().unwrap_or_else(|| panic!("{answer}"))).unwrap();
        if answer["result"].is_string() { Ok(bytes(&answer["result"])) } else { Err(bytes(&answer["error"]["data"])) }
    }
}

#[tokio::test]
async fn the_verdict_is_the_contracts_own_whatever_the_state_the_wallets_and_the_amount() {
    let mut field = Field::open().await;
    let states = campaign::times(12, 10_000 / CASES);
    let (_, mut now) = field.mine().await;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for _ in 0..states {
        for _ in 0..ACTS {
            field.act(now).await;
        }
        let (block, time) = field.mine().await;
        now = time;
        for _ in 0..CASES {
            let case = field.case();
            let (code, reason, at) = field.ours(&case).await;
            assert_eq!(at, block, "nothing was mined meanwhile");
            assert_eq!((code, reason.clone()), field.theirs(&case, block).await, "{case:?} at {block}");
            *seen.entry(reason.unwrap_or_default()).or_default() += 1;
        }
    }
    campaign::say(&format!("verdicts of {} cases: {seen:?}", states * CASES));
    if campaign::is_long() {
        // All that the rules can say came up, but that a registry gives no answer.
        let restrictions = ReasonCode::ALL.iter().filter(|code| code.restriction().is_some());
        let missing: Vec<&str> = restrictions
            .map(|code| code.as_str())
            .filter(|code| *code != "REGISTRY_UNAVAILABLE" && !seen.contains_key(*code))
            .collect();
        assert!(missing.is_empty(), "never drawn: {missing:?}");
    }
    assert!(seen.len() > 6, "{seen:?}");
    field.kit.end().await;
}

#[tokio::test]
async fn a_check_names_what_is_wrong_with_it_and_needs_no_command() {
    let kit = Kit::whole().await;
    let officer = kit.token(Role::ComplianceOfficer);
    let ask = async |body: Value| kit.post("/v1/compliance/check", officer, &body).await;
    let allowed = ask(json!({ "instrument_id": "rCC", "to": ALICE, "amount": "1" })).await.json();
    assert_eq!(
        (&allowed["allowed"], &allowed["code"], &allowed["reason_code"]),
        (&json!(true), &json!(0), &json!(null))
    );
    let refused = ask(json!({ "instrument_id": "rCC", "from": ALICE, "to": CAROL_WALLET, "amount": "1" })).await.json();
    assert_eq!((&refused["code"], &refused["reason_code"]), (&json!(21), &json!("RECIPIENT_NOT_WHITELISTED")));
    let poor = ask(json!({ "instrument_id": "rCC", "from": ALICE, "amount": "5000" })).await.json();
    assert_eq!(
        (&poor["allowed"], &poor["code"], &poor["reason_code"]),
        (&json!(false), &json!(0), &json!("INSUFFICIENT_BALANCE"))
    );
    for (body, status, reason) in [
        (json!({ "instrument_id": "rCC", "amount": "1" }), 400, json!(null)),
        (json!({ "instrument_id": "rCC", "to": ALICE, "amount": "0" }), 400, json!(null)),
        (json!({ "instrument_id": "rXX", "to": ALICE, "amount": "1" }), 422, json!("UNKNOWN_INSTRUMENT")),
        (json!({ "instrument_id": "rCC", "to": "nobody", "amount": "1" }), 422, json!("UNKNOWN_PARTY")),
        (json!({ "instrument_id": "rCC", "from": CAROL, "amount": "1" }), 422, json!("WALLET_NOT_WHITELISTED")),
    ] {
        let answer = ask(body.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["reason_code"]), (status, &reason), "{body}");
    }
    kit.end().await;
}
