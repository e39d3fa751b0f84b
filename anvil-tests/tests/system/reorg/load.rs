//! Commands at a steady rate.

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use tokenx_keeper::{AcceptError, Commands, Operation};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{WALLETS, Whole, new};

/// Pause between two commands.
const PACE: Duration = Duration::from_millis(50);

/// A command that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) wallet: Address,
    pub(super) what: What,
}

/// What it does to its wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Mint(u64),
    Burn(u64),
    Freeze(u64),
    Unfreeze(u64),
}

impl Asked {
    /// The n-th: mostly mints; burns, freezes and their ends in between.
    pub(super) fn nth(n: usize) -> Self {
        let amount = n as u64 + 1;
        let what = match n % 16 {
            7 => What::Burn(1),
            11 => What::Freeze(2),
            15 => What::Unfreeze(1),
            _ => What::Mint(amount),
        };
        Self { id: format!("load-{n}"), wallet: WALLETS[(n / 16 + n) % WALLETS.len()], what }
    }

    pub(super) fn operation(&self) -> Operation {
        let (instrument, account, reason) = ("rCC".parse().unwrap(), self.wallet, B256::ZERO);
        match self.what {
            What::Mint(amount) => Operation::Mint { instrument, to: account, amount: U256::from(amount), reason },
            What::Burn(amount) => Operation::Burn { instrument, from: account, amount: U256::from(amount), reason },
            What::Freeze(amount) => Operation::Freeze { instrument, account, amount: U256::from(amount), reason },
            What::Unfreeze(amount) => Operation::Unfreeze { instrument, account, amount: U256::from(amount), reason },
        }
    }
}

/// A client that asks all the time.
pub(super) struct Load {
    stop: CancellationToken,
    task: JoinHandle<(usize, Vec<Asked>)>,
}

impl Load {
    /// Begins with the command of number `from`.
    pub(super) fn start(whole: &Whole, from: usize) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(ask(whole.commands.clone(), from, stop.clone()));
        Self { stop, task }
    }

    /// The number that would have been next, and what was accepted.
    pub(super) async fn end(self) -> (usize, Vec<Asked>) {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

async fn ask(commands: Commands, from: usize, stop: CancellationToken) -> (usize, Vec<Asked>) {
    let mut asked = Vec::new();
    let mut n = from;
    while !stop.is_cancelled() {
        let next = Asked::nth(n);
        match commands.accept(&new(&next.id, next.operation())).await {
            Ok(_) => asked.push(next),
            // A reorg has just taken what it would have drawn on.
            Err(AcceptError::Refused(_)) if !matches!(next.what, What::Mint(_)) => {}
            Err(error) => panic!("{}: {error}", next.id),
        }
        n += 1;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PACE) => {}
        }
    }
    (n, asked)
}
