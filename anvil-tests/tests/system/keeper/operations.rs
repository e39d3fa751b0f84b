//! Every operation beyond mint, burn, freeze and force: done once, refused once with its own reason, replayed.

use alloy::primitives::{Address, B256, U256, address};
use tokenx_contracts::ReasonCode;
use tokenx_indexer::read;
use tokenx_keeper::{AcceptError, CountryMode, Lockup, Operation};

use super::{ALICE, BOB, Stack, burn, mint};

const CAROL: Address = address!("976EA74026E726554dB657fA54763abd0C3a9C4a");
const REASON: B256 = B256::repeat_byte(1);

impl Stack {
    /// Accepts, waits for it, and asks again: the answer is the first one.
    pub(super) async fn done(&self, id: &str, operation: Operation) {
        let first = self.accept(id, operation.clone()).await.unwrap();
        self.confirmed(id).await;
        let again = self.accept(id, operation).await.unwrap();
        assert!(again.replayed && again.answer == first.answer && again.seq == first.seq, "{id}");
        assert_eq!(self.runs(id).await, 1, "{id}");
    }

    pub(super) async fn refused(&self, operation: Operation, code: ReasonCode) {
        match self.accept("refused", operation).await {
            Err(AcceptError::Refused(refusal)) => assert_eq!(refusal.code, code, "{refusal}"),
            other => panic!("{code}: {other:?}"),
        }
    }

    async fn spendable(&self, wallet: Address) -> u64 {
        let position = read::position(self.pool(), self.chain(), self.token(), wallet).await.unwrap();
        position.spendable().to()
    }
}

fn instrument() -> tokenx_contracts::InstrumentId {
    "rCC".parse().unwrap()
}

fn in_a_year() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() + 365 * 86_400
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_placed_released_executed_and_reclaimed() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    let place = |amount: u64, until| Operation::PlaceHold {
        instrument: instrument(),
        account: ALICE,
        amount: U256::from(amount),
        until,
        reason: REASON,
    };
    let (account, reason) = (ALICE, REASON);
    let release = |hold_id| Operation::ReleaseHold { instrument: instrument(), account, hold_id, reason };
    let execute = |hold_id| Operation::ExecuteHold { instrument: instrument(), account, hold_id, reason };
    stack.done("m", mint(ALICE, 100)).await;
    stack.done("hold-1", place(60, 0)).await;
    assert_eq!(stack.spendable(ALICE).await, 40);
    stack.refused(place(41, 0), ReasonCode::AmountHeld).await;
    stack.refused(burn(ALICE, 41), ReasonCode::AmountHeld).await;
    stack.refused(place(1, 1), ReasonCode::InvalidHold).await;
    stack.done("hold-2", place(30, in_a_year())).await;
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT hold_id FROM holds ORDER BY hold_id").fetch_all(stack.pool()).await.unwrap();
    let [first, second] = [ids[0].unsigned_abs(), ids[1].unsigned_abs()];
    stack.refused(release(second + 1), ReasonCode::UnknownHold).await;
    stack.refused(execute(second + 1), ReasonCode::UnknownHold).await;
    stack.done("release", release(first)).await;
    stack.done("execute", execute(second)).await;
    assert_eq!((stack.balance(ALICE).await.to::<u64>(), stack.spendable(ALICE).await), (70, 70));
    stack.done("reclaim", Operation::ReclaimExpired { instrument: instrument(), account }).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_units_stay_locked() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    let locked = |lockup, until| Operation::MintLocked {
        instrument: instrument(),
        to: ALICE,
        amount: U256::from(50),
        lockup,
        until,
        reason: REASON,
    };
    stack.refused(locked(Lockup::RegD, 1), ReasonCode::InvalidHold).await;
    stack.done("d", locked(Lockup::RegD, in_a_year())).await;
    stack.done("s", locked(Lockup::RegS, in_a_year())).await;
    assert_eq!((stack.balance(ALICE).await.to::<u64>(), stack.spendable(ALICE).await), (100, 0));
    stack.refused(burn(ALICE, 1), ReasonCode::AmountHeld).await;
    let lockup: i64 = sqlx::query_scalar("SELECT min(hold_id) FROM holds").fetch_one(stack.pool()).await.unwrap();
    let (account, hold_id) = (ALICE, lockup.unsigned_abs());
    let release = Operation::ReleaseHold { instrument: instrument(), account, hold_id, reason: REASON };
    stack.refused(release, ReasonCode::NotHoldAgent).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_wallet_is_recovered_whole() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    // Carol's is the new wallet of Alice, who is investor 1.
    let whitelist = Operation::Whitelist {
        wallet: CAROL,
        investor_id: 1,
        country: 276,
        investor_class: 1,
        kyc_expires_at: 0,
        reason: REASON,
    };
    let recover = |replacement, amount: u64| Operation::Recover {
        instrument: instrument(),
        lost: ALICE,
        replacement,
        amount: U256::from(amount),
        reason: REASON,
    };
    stack.done("w", whitelist).await;
    stack.done("m", mint(ALICE, 100)).await;
    stack.refused(recover(CAROL, 100), ReasonCode::WalletNotRevoked).await;
    stack.done("revoke", Operation::Revoke { wallet: ALICE, reason: REASON }).await;
    stack.refused(recover(BOB, 100), ReasonCode::NotSameInvestor).await;
    stack.refused(recover(CAROL, 99), ReasonCode::RecoveryAmount).await;
    stack.done("recover", recover(CAROL, 100)).await;
    assert_eq!((stack.balance(ALICE).await, stack.balance(CAROL).await), (U256::ZERO, U256::from(100)));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn supply_limits_countries_and_documents_are_set_and_bind() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    let limits = |max_holders, max_balance: u64| Operation::SetLimits {
        instrument: instrument(),
        max_holders,
        max_balance: U256::from(max_balance),
        reason: REASON,
    };
    stack.done("pause", Operation::PauseSupply { instrument: instrument(), reason: REASON }).await;
    stack.refused(mint(ALICE, 1), ReasonCode::SupplyPaused).await;
    stack.done("unpause", Operation::UnpauseSupply { instrument: instrument(), reason: REASON }).await;
    stack.done("m", mint(ALICE, 1)).await;

    stack.done("limits", limits(1, 10)).await;
    stack.refused(mint(ALICE, 10), ReasonCode::BalanceLimit).await;
    stack.refused(mint(BOB, 1), ReasonCode::HolderLimit).await;
    let too_much =
        Operation::SetLimits { instrument: instrument(), max_holders: 0, max_balance: U256::MAX, reason: REASON };
    stack.refused(too_much, ReasonCode::BalanceLimit).await;
    stack.done("no-limits", limits(0, 0)).await;

    let rule = |mode, countries: &[u16]| Operation::SetCountryRule {
        instrument: instrument(),
        mode,
        countries: countries.to_vec(),
        reason: REASON,
    };
    stack.refused(rule(CountryMode::Refuse, &[2_000]), ReasonCode::InvalidCountryRule).await;
    stack.done("refuse", rule(CountryMode::Refuse, &[276])).await;
    stack.refused(mint(BOB, 1), ReasonCode::RecipientCountry).await;
    stack.done("admit", rule(CountryMode::Admit, &[276, 756])).await;
    stack.done("bob", mint(BOB, 1)).await;

    let name = B256::repeat_byte(7);
    let document = |hash| Operation::SetDocument {
        instrument: instrument(),
        name,
        uri: "https://example.org/terms".to_owned(),
        hash,
    };
    let remove = || Operation::RemoveDocument { instrument: instrument(), name };
    stack.refused(document(B256::ZERO), ReasonCode::InvalidDocument).await;
    stack.refused(remove(), ReasonCode::UnknownDocument).await;
    stack.done("document", document(REASON)).await;
    stack.done("removed", remove()).await;
    keeper.stop().await;
}
