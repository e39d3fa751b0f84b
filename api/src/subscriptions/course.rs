//! Where a subscription stands: a pure function of how it is bought, of its command and of the chain.

use tokenx_keeper::{State as CommandState, Verdict};

/// Who makes the purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purchase {
    /// The keeper, which signs for a wallet whose key is held here.
    Hosted,
    /// The keeper, which carries what the wallet has signed.
    Signed,
    /// The wallet itself.
    Own,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Supply is reserved until the wallet has bought, or too long has passed.
    Reserved,
    /// Its purchase is on the way to the chain.
    Pending,
    /// The chain has the purchase.
    Completed,
    /// The chain has refused it, or it was taken back: nothing was charged.
    Failed,
    /// It came too late: nothing was charged.
    Expired,
}

impl Purchase {
    /// Every way.
    pub const ALL: [Purchase; 3] = [Purchase::Hosted, Purchase::Signed, Purchase::Own];

    /// Its name in the table and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Purchase::Hosted => "hosted",
            Purchase::Signed => "signed",
            Purchase::Own => "own",
        }
    }
}

impl Status {
    /// Its name on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Reserved => "reserved",
            Status::Pending => "pending",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Expired => "expired",
        }
    }

    /// From the command that makes the purchase, whether the chain has it, and whether the reservation has run out.
    pub fn of(purchase: Purchase, command: Option<CommandState>, bought: bool, is_over: bool) -> Status {
        use CommandState as C;
        match (purchase, command) {
            _ if bought => Status::Completed,
            (Purchase::Own, _) if is_over => Status::Expired,
            (Purchase::Own, _) => Status::Reserved,
            (_, Some(C::Mined(Verdict::Done) | C::Confirmed | C::Final)) => Status::Completed,
            (_, Some(C::Expired | C::Mined(Verdict::Expired))) => Status::Expired,
            (_, Some(C::Mined(Verdict::Failed) | C::Failed | C::Cancelled | C::Rejected) | None) => Status::Failed,
            (_, Some(C::Accepted | C::AwaitingApproval | C::Ready | C::Prepared | C::Broadcast)) => Status::Pending,
        }
    }

    /// Whether it holds supply and money back.
    pub fn is_open(self) -> bool {
        matches!(self, Status::Reserved | Status::Pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_chain_has_is_completed_whatever_else_is_said() {
        for purchase in Purchase::ALL {
            for command in CommandState::ALL.map(Some).into_iter().chain([None]) {
                assert_eq!(Status::of(purchase, command, true, true), Status::Completed);
            }
        }
    }

    #[test]
    fn supply_is_held_back_exactly_while_the_command_may_still_buy() {
        for command in CommandState::ALL {
            let open = !command.is_ended() && !matches!(command, CommandState::Mined(_));
            for over in [false, true] {
                assert_eq!(Status::of(Purchase::Signed, Some(command), false, over).is_open(), open, "{command:?}");
            }
        }
    }

    #[test]
    fn a_wallet_that_buys_by_itself_has_until_its_reservation_ends() {
        assert_eq!(Status::of(Purchase::Own, None, false, false), Status::Reserved);
        assert_eq!(Status::of(Purchase::Own, None, false, true), Status::Expired);
    }
}
