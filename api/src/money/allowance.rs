//! Allowances that settlement draws on, asked for before it: of units, or of money.

use alloy::primitives::{Address, Bytes, U256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_contracts::ids::{CommandId, InstrumentId};
use tokenx_keeper::{AcceptError, Consent, Contract, Permit};
use tokenx_migrations::Addr;

use crate::admin::By;
use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::http::intent::Permit as Given;
use crate::store::commands;
use crate::wallets::record::{Kind, Record as Wallet};

/// What a wallet gives.
#[derive(Debug, Clone, Copy)]
pub enum Gives {
    /// Units of this token.
    Units(Address),
    /// Money of this payment token.
    Money(Address),
}

/// What is to be allowed.
#[derive(Debug, Clone, Copy)]
pub struct Allowance<'a> {
    /// By whom.
    pub wallet: &'a Wallet,
    /// For a trade in this instrument.
    pub instrument_id: &'a str,
    /// What may be taken.
    pub gives: Gives,
    /// Who may take it: this contract of the instrument's node.
    pub contract: Contract,
    /// Where that is.
    pub spender: Address,
    /// Last Unix second at which it is needed.
    pub until: u64,
}

impl Allowance<'_> {
    /// Has it given. A wallet whose key is held here allows it once for all that is to come: what is taken is what it agrees
    /// to, never more. Another one sends a permit along, or has allowed it before. The wallet's party is locked.
    ///
    /// # Errors
    /// 422 where the keeper does not take it; 400 where there is a permit that nobody needs.
    pub async fn ask(
        &self,
        app: &App,
        conn: &mut PgConnection,
        by: By<'_>,
        given: Option<&Given>,
    ) -> Result<(), ApiError> {
        let hosted = self.wallet.kind == Kind::Hosted;
        let permit = match (hosted, given) {
            (true, Some(_)) => {
                let message = "the wallet's key is held here, which signs it: send none";
                return Err(ApiError::Rejected(vec![FieldError::body("permit", "value_error", message)]));
            }
            (false, None) => return Ok(()),
            (false, Some(given)) => given.clone(),
            (true, None) => Given { value: U256::MAX, deadline: U256::from(self.until), signature: Bytes::new() },
        };
        let (asked, standing) = self.asked(&mut *conn).await?;
        if hosted && standing {
            return Ok(());
        }
        let command_id = self.note(&mut *conn, asked + 1).await?;
        let operation = self.consent(permit)?.into();
        // Nobody's gas is spent on an allowance that is needed no longer.
        let until = i64::try_from(self.until).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        match app.commands().accept_in(conn, &commands::of_system(command_id, operation, by, until)).await {
            Ok(_) => Ok(()),
            Err(AcceptError::Refused(refusal)) => {
                let field = if hosted { "wallet_id" } else { "permit" };
                Err(ApiError::Rejected(vec![FieldError::refused(field, refusal.code, refusal.message)]))
            }
            Err(AcceptError::Database(error)) => Err(error.into()),
            Err(conflict @ AcceptError::Conflict(_)) => Err(ApiError::internal(conflict)),
        }
    }

    fn token(&self) -> Address {
        match self.gives {
            Gives::Units(token) | Gives::Money(token) => token,
        }
    }

    /// How often it was asked for, whoever was to take it, and whether the last time for this one has come to something, or
    /// may still.
    async fn asked(&self, conn: &mut PgConnection) -> Result<(i32, bool), sqlx::Error> {
        sqlx::query_as(
            "SELECT coalesce(max(p.attempt), 0),
                    coalesce((array_agg(s.state NOT IN ('failed', 'expired', 'cancelled', 'rejected')
                                        ORDER BY p.attempt DESC) FILTER (WHERE p.market = $3))[1], false)
               FROM market_permits p
               LEFT JOIN commands c       ON c.scope = 'system' AND c.command_id = p.command_id
               LEFT JOIN command_states s ON s.seq = c.seq
              WHERE p.wallet = $1 AND p.token = $2",
        )
        .bind(Addr(self.wallet.address))
        .bind(Addr(self.token()))
        .bind(Addr(self.spender))
        .fetch_one(conn)
        .await
    }

    async fn note(&self, conn: &mut PgConnection, attempt: i32) -> Result<CommandId, ApiError> {
        let command_id = format!("permit:{}:{:x}:{attempt}", self.wallet.wallet_id, self.token());
        let command_id = CommandId::parse(command_id).map_err(ApiError::internal)?;
        sqlx::query(
            "INSERT INTO market_permits (wallet, token, market, attempt, command_id) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(Addr(self.wallet.address))
        .bind(Addr(self.token()))
        .bind(Addr(self.spender))
        .bind(attempt)
        .bind(command_id.as_str())
        .execute(conn)
        .await?;
        Ok(command_id)
    }

    fn consent(&self, given: Given) -> Result<Consent, ApiError> {
        let instrument = InstrumentId::parse(self.instrument_id).map_err(ApiError::internal)?;
        let (contract, spender, signature) = (self.contract, self.spender, given.signature);
        let permit = Permit { owner: self.wallet.address, value: given.value, deadline: given.deadline };
        Ok(match self.gives {
            Gives::Units(_) => Consent::Permit { instrument, spender, permit, signature },
            Gives::Money(payment_token) => {
                Consent::UsePermit { instrument, contract, payment_token, permit, signature }
            }
        })
    }
}
