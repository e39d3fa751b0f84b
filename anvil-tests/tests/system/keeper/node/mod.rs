//! Commands of a node's contracts: wallets sign, the keeper carries, the chain says what became of it.

mod approve;
mod deploy;
mod hosted;
mod payout;
mod rent;
mod sale;
mod trade;

use alloy::primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy::signers::SignerSync;
use alloy::sol_types::{Eip712Domain, SolCall, SolStruct};
use serde_json::json;
use tokenx::local::suite;
use tokenx_anvil_tests::{KEYS, eventually};
use tokenx_contracts::bindings::{SecurityToken, TestUSD};
use tokenx_contracts::{InstrumentId, ReasonCode};
use tokenx_indexer::read;
use tokenx_keeper::deploy::Implementations;
use tokenx_keeper::{AcceptError, CommandView, Consent, Contract, Operation, Permit, State};

use super::{Running, Stack, key};

/// Who holds and trades, with what they sign by.
const ALICE: (Address, &str) = (super::ALICE, KEYS[4]);
const BOB: (Address, &str) = (super::BOB, KEYS[5]);
const CAROL: (Address, &str) = (address!("976EA74026E726554dB657fA54763abd0C3a0aa9"), KEYS[6]);
/// The node's wallet for proceeds.
const TREASURY: Address = Address::repeat_byte(0x77);
const REASON: B256 = B256::repeat_byte(1);
/// One whole token, and one TestUSD.
const TOKEN: u128 = 1_000_000_000_000_000_000;
const USD: u64 = 1_000_000;

fn tokens(count: u64) -> U256 {
    U256::from(count) * U256::from(TOKEN)
}

fn usd(count: u64) -> U256 {
    U256::from(count * USD)
}

fn rcc() -> InstrumentId {
    "rCC".parse().unwrap()
}

fn in_an_hour() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() + 3_600
}

/// A word that no other intent of a test has.
fn salt(name: &str) -> B256 {
    keccak256(name)
}

alloy::sol! {
    /// What ERC-2612 has wallets sign; the call takes its fields one by one.
    struct PermitMessage {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// A wallet that is a contract (ERC-1271): it agrees to the one digest in its first slot.
///
/// ```text
/// PUSH1 4 CALLDATALOAD PUSH1 0 SLOAD EQ PUSH4 0x1626ba7e MUL PUSH1 224 SHL PUSH1 0 MSTORE PUSH1 32 PUSH1 0 RETURN
/// ```
const CONTRACT_WALLET: &str = "0x60043560005414631626ba7e0260e01b60005260206000f3";

impl Stack {
    /// A world whose node sells for TestUSD, of which Alice, Bob and Carol have 1,000 each; a keeper is at work.
    async fn with_money() -> (Self, Running) {
        let stack = Self::start().await;
        let keeper = stack.keeper().await;
        // Alice and Bob are.
        let whitelist = Operation::Whitelist {
            wallet: CAROL.0,
            investor_id: 3,
            country: 276,
            investor_class: 1,
            kyc_expires_at: 0,
            reason: REASON,
        };
        stack.done("carol", whitelist).await;
        stack.give(&[ALICE.0, BOB.0, CAROL.0]).await;
        (stack, keeper)
    }

    async fn give(&self, wallets: &[Address]) {
        let gifts: Vec<_> = wallets.iter().map(|wallet| (*wallet, usd(1_000))).collect();
        suite::give(&self.world.chain.url(), self.money(), &gifts).await.unwrap();
        self.indexed().await;
    }

    fn money(&self) -> Address {
        self.deployment.suite.payment_token.unwrap()
    }

    fn contracts(&self) -> Implementations {
        self.deployment.nodes[0].node.contracts
    }

    fn at(&self, contract: Contract) -> Address {
        let all = self.contracts();
        match contract {
            Contract::Listing => all.listing,
            Contract::SecondaryMarket => all.secondary_market,
            Contract::OtcDesk => all.otc_desk,
            Contract::RentDistributor => all.rent_distributor,
            Contract::FeeVault => all.fee_vault,
            Contract::RedemptionDesk => all.redemption_desk,
        }
    }

    /// What a wallet's key makes of a message to a contract of the node.
    fn sign(&self, (_, wallets_key): (Address, &str), contract: Contract, message: &impl SolStruct) -> Bytes {
        sign(wallets_key, message, &contract.domain(self.chain(), self.at(contract)))
    }

    /// What the chain's newest state says.
    async fn ask<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        let call = json!([{ "to": to, "data": Bytes::from(call.abi_encode()) }, "latest"]);
        let answer: Bytes = serde_json::from_value(self.world.chain.rpc("eth_call", call).await.unwrap()).unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }

    async fn money_of(&self, account: Address) -> U256 {
        self.ask(self.money(), TestUSD::balanceOfCall { account }).await
    }

    async fn units_of(&self, account: Address) -> U256 {
        self.ask(self.token(), SecurityToken::balanceOfCall { account }).await
    }

    /// A permit of TestUSD for a contract of the node, as a command.
    async fn money_permit(&self, wallet: (Address, &str), contract: Contract, value: U256) -> Operation {
        let (permit, signature) = self.permit(wallet, self.money(), "Test USD", self.at(contract), value).await;
        Consent::UsePermit { instrument: rcc(), contract, payment_token: self.money(), permit, signature }.into()
    }

    /// A permit of the instrument's units for a contract of the node, as a command.
    async fn units_permit(&self, wallet: (Address, &str), contract: Contract, value: U256) -> Operation {
        let spender = self.at(contract);
        let (permit, signature) = self.permit(wallet, self.token(), "Real Credit", spender, value).await;
        Consent::Permit { instrument: rcc(), spender, permit, signature }.into()
    }

    async fn permit(
        &self,
        (owner, owners_key): (Address, &str),
        token: Address,
        name: &'static str,
        spender: Address,
        value: U256,
    ) -> (Permit, Bytes) {
        let deadline = U256::from(in_an_hour());
        let nonce = self.ask(token, TestUSD::noncesCall { owner }).await;
        let chain_id = Some(U256::from(self.chain()));
        let domain = Eip712Domain::new(Some(name.into()), Some("1".into()), chain_id, Some(token), None);
        // Its type's name is part of what is signed, and is the standard's.
        let message = PermitMessage { owner, spender, value, nonce, deadline };
        let digest =
            keccak256([&[0x19, 1][..], domain.separator().as_slice(), permit_hash(&message).as_slice()].concat());
        let signature = key(owners_key).sign_hash_sync(&digest).unwrap().as_bytes().into();
        (Permit { owner, value, deadline }, signature)
    }

    /// Accepts what the chain refuses: it ends as failed with this reason.
    async fn fails(&self, id: &str, operation: impl Into<Operation>, code: ReasonCode) -> CommandView {
        self.accept(id, operation.into()).await.unwrap();
        let ended = self.until(id, "ends", |view| view.state.is_ended()).await;
        let code = Some(code.as_str().to_owned());
        assert_eq!((ended.state, &ended.reason_code), (State::Failed, &code), "{id}: {ended:?}");
        assert_eq!(self.runs(id).await, 0, "{id}");
        ended
    }

    /// Is refused before it is accepted.
    async fn is_refused(&self, operation: impl Into<Operation>, code: ReasonCode) {
        match self.accept("refused", operation.into()).await {
            Err(AcceptError::Refused(refusal)) => assert_eq!(refusal.code, code, "{refusal}"),
            other => panic!("{code}: {other:?}"),
        }
    }

    /// The sweep has asked the contracts for every figure that the tables have of them, and none differs.
    async fn tables_are_the_chains(&self) {
        self.indexed().await;
        let (pool, chain) = (self.pool(), self.chain());
        let rotations = || async { read::reconciliation(pool, chain).await.unwrap().rotations };
        // The one under way may have begun before.
        let whole = rotations().await + 2;
        eventually("a whole rotation", || async { (rotations().await >= whole).then_some(()) }).await;
        let found: Vec<String> =
            sqlx::query_scalar("SELECT m::text FROM reconciliation_mismatches m").fetch_all(pool).await.unwrap();
        assert_eq!(found, Vec::<String>::new());
    }

    /// Deploys a contract that takes no arguments.
    async fn deploys(&self, code: &Bytes) -> Address {
        let request = json!([{ "from": CAROL.0, "data": code, "gas": "0x7a1200" }]);
        let hash = self.world.chain.rpc("eth_sendTransaction", request).await.unwrap();
        eventually("the contract is there", || async {
            let receipt = self.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await.unwrap();
            serde_json::from_value(receipt["contractAddress"].clone()).ok()
        })
        .await
    }

    /// Puts a contract's code somewhere.
    async fn set_code(&self, at: Address, code: &str) -> String {
        let was = self.world.chain.rpc("eth_getCode", json!([at, "latest"])).await.unwrap();
        self.world.chain.rpc("anvil_setCode", json!([at, code])).await.unwrap();
        was.as_str().unwrap().to_owned()
    }

    /// Has the wallet that is a contract agree to this digest and to no other.
    async fn agrees(&self, wallet: Address, digest: B256) {
        self.world.chain.rpc("anvil_setStorageAt", json!([wallet, "0x0", digest])).await.unwrap();
        self.mine().await;
    }
}

fn permit_hash(message: &PermitMessage) -> B256 {
    let kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    keccak256([kind.as_slice(), &message.eip712_encode_data()].concat())
}

fn sign(key_text: &str, message: &impl SolStruct, domain: &Eip712Domain) -> Bytes {
    key(key_text).sign_hash_sync(&message.eip712_signing_hash(domain)).unwrap().as_bytes().into()
}
