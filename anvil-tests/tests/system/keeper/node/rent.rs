//! Rent for many: a thousand holders, some below the minimum, one whom the payment token refuses, and amounts that do
//! not divide.

use std::collections::HashMap;

use alloy::primitives::{Address, FixedBytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolError};
use tokenx_anvil_tests::campaign;
use tokenx_contracts::bindings::{BlockableUSD, RentDistributor, SecurityToken};
use tokenx_indexer::read::node::{self, Of, Part};
use tokenx_keeper::{Contract, Operation, Payout, RentTerms};

use super::super::Stack;
use super::{CAROL, REASON, rcc, tokens, usd};

/// Holders that one command pays.
const PUSHED: usize = 64;
/// What a wallet must have to earn, whole tokens.
const MINIMUM: u64 = 10;

struct Holders {
    stack: Stack,
    money: Address,
    wallets: Vec<Address>,
}

impl Holders {
    /// Whitelists them all, each another investor, and gives each some units: from one token up, and a fraction.
    async fn settle(stack: Stack, money: Address, count: usize) -> Self {
        let wallets: Vec<Address> =
            (0..count).map(|at| Address::from_word(keccak256(format!("holder {at}")))).collect();
        let all = Self { stack, money, wallets };
        for (investor_id, wallet) in (1_000..).zip(&all.wallets) {
            let (country, investor_class, kyc_expires_at, reason) = (276, 1, 0, REASON);
            let operation =
                Operation::Whitelist { wallet: *wallet, investor_id, country, investor_class, kyc_expires_at, reason };
            all.stack.accept(&format!("whitelist-{wallet}"), operation).await.unwrap();
        }
        all.confirmed("whitelist").await;
        for (at, to) in all.wallets.iter().enumerate() {
            let amount = tokens(1 + at as u64 % 100) + U256::from(at * at);
            let operation = Operation::Mint { instrument: rcc(), to: *to, amount, reason: REASON };
            all.stack.accept(&format!("mint-{to}"), operation).await.unwrap();
        }
        all.confirmed("mint").await;
        all
    }

    async fn confirmed(&self, what: &str) {
        for wallet in &self.wallets {
            self.stack.confirmed(&format!("{what}-{wallet}")).await;
        }
    }

    /// Opens a period by command.
    async fn open(&self, period: u16, amount: U256) {
        let open = Payout::OpenRent { instrument: rcc(), period, amount, reason: REASON };
        self.stack.done(&format!("open-{period}"), open.into()).await;
    }

    /// Pays all of them, as many as one command may.
    async fn push(&self, period: u16) {
        for (at, wallets) in self.wallets.chunks(PUSHED).enumerate() {
            let push = Payout::PushRent { instrument: rcc(), wallets: wallets.iter().copied().collect() };
            self.stack.accept(&format!("push-{period}-{at}"), push.into()).await.unwrap();
        }
        for at in 0..self.wallets.len().div_ceil(PUSHED) {
            self.stack.confirmed(&format!("push-{period}-{at}")).await;
        }
    }

    async fn money_of(&self, account: Address) -> U256 {
        self.stack.ask(self.money, BlockableUSD::balanceOfCall { account }).await
    }

    /// What the tables say of each wallet is what the token and the payment token say; all of it together, with what
    /// could not be divided, is what was paid in.
    async fn adds_up(&self, deposited: U256) {
        let (pool, chain, token) = (self.stack.pool(), self.stack.chain(), self.stack.token());
        self.stack.indexed().await;
        let accounts: HashMap<_, _> = node::rent_accounts_of_token(pool, chain, token).await.unwrap();
        let (mut paid, mut accrued) = (U256::ZERO, U256::ZERO);
        for wallet in &self.wallets {
            let ours = accounts.get(wallet).copied().unwrap_or_default();
            let chains = self.stack.ask(token, SecurityToken::rentOfCall { account: *wallet }).await;
            let got = self.money_of(*wallet).await;
            assert_eq!((ours.accrued, ours.paid), (chains, got << 128), "{wallet}");
            paid += got;
            accrued += chains;
        }
        let book = self.stack.ask(
            self.stack.at(Contract::RentDistributor),
            RentDistributor::fundOfCall { token, paymentToken: self.money },
        );
        let book = book.await;
        let carry = self.stack.ask(token, SecurityToken::rentCall {}).await.carry;
        assert_eq!(accrued + carry, book.owed << 128, "what is owed");
        assert_eq!(book.available + book.owed + paid, deposited, "what was paid in");
        assert_eq!(self.money_of(self.stack.at(Contract::RentDistributor)).await, book.available + book.owed);
        let rent = &node::rents_of_tokens(pool, chain, &[token]).await.unwrap()[&token];
        assert_eq!(rent.carry, carry);
    }
}

impl Stack {
    async fn block(&self, money: Address, wallet: Address, blocked: bool) {
        let call = BlockableUSD::setBlockedCall { wallet, blocked_: blocked };
        self.send(CAROL.0, money, call.abi_encode()).await;
        self.mine().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_holders_are_paid_to_the_last_base_unit() {
    let (stack, keeper) = Stack::with_money().await;
    let distributor = stack.at(Contract::RentDistributor);
    let token = stack.token();
    let money = stack.deploys(&BlockableUSD::BYTECODE).await;
    let minimum = Payout::SetRentMinimum { instrument: rcc(), minimum: tokens(MINIMUM), reason: REASON };
    stack.done("minimum", minimum.into()).await;
    let terms = RentTerms { payment_token: money, start: 0, length: 0 };
    stack.done("terms", Payout::SetRentTerms { instrument: rcc(), terms, reason: REASON }.into()).await;

    // Carol, the issuer's treasurer, pays in herself.
    let deposited = usd(5_000);
    let pay_in = [
        (money, BlockableUSD::mintCall { to: CAROL.0, amount: deposited }.abi_encode()),
        (money, BlockableUSD::approveCall { spender: distributor, value: deposited }.abi_encode()),
        (distributor, RentDistributor::fundCall { token, paymentToken: money, amount: deposited }.abi_encode()),
    ];
    for (to, data) in pay_in {
        stack.send(CAROL.0, to, data).await;
    }
    stack.mine().await;

    let holders = Holders::settle(stack, money, campaign::times(60, 1_000)).await;
    let stack = &holders.stack;
    // Neither of them divides by what is there.
    let periods = [U256::from(1_000_000_007), U256::from(333_333_333)];
    holders.open(1, periods[0]).await;
    holders.adds_up(deposited).await;
    // One that earns is refused by the payment token, which hinders nobody.
    let blocked = holders.wallets[42];
    stack.block(money, blocked, true).await;
    holders.push(1).await;
    holders.adds_up(deposited).await;
    assert_eq!(holders.money_of(blocked).await, U256::ZERO);
    let refused =
        node::rent_payments(stack.pool(), stack.chain(), Of::Wallet(blocked), Part { before: None, limit: 10 })
            .await
            .unwrap();
    let refusal = FixedBytes::from(BlockableUSD::Blocked::SELECTOR);
    assert_eq!(refused.iter().map(|payment| payment.paid).collect::<Vec<_>>(), [Err(refusal)]);

    // Some hold more than before, one no longer enough.
    for (at, to) in holders.wallets.iter().enumerate().step_by(7) {
        let mint = Operation::Mint { instrument: rcc(), to: *to, amount: tokens(5), reason: REASON };
        stack.done(&format!("more-{at}"), mint).await;
    }
    let last = holders.wallets[30];
    let burn = Operation::Burn { instrument: rcc(), from: last, amount: tokens(25), reason: REASON };
    stack.done("fewer", burn).await;
    stack.block(money, blocked, false).await;
    holders.open(2, periods[1]).await;
    holders.adds_up(deposited).await;
    holders.push(2).await;
    holders.adds_up(deposited).await;
    assert!(holders.money_of(blocked).await > U256::ZERO);
    // Nobody has a whole base unit left to get: what is owed is fractions and what is carried.
    let book = stack.ask(distributor, RentDistributor::fundOfCall { token, paymentToken: money }).await;
    assert!(book.owed <= U256::from(holders.wallets.len()), "{} are owed", book.owed);
    assert_eq!(book.available, deposited - periods[0] - periods[1]);
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}
