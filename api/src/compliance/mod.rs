//! What compliance officers see and decide.

pub mod applicants;
pub mod cap_table;
pub mod check;
pub mod reg_d;
pub mod restrictions;
mod table;
pub mod wallets;

use serde::Serialize;
use sqlx::PgConnection;
use tokenx_indexer::read;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::token_app::block_timestamp;

/// The block that an answer is as of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Block {
    #[serde(rename = "block_number")]
    number: u64,
    #[serde(rename = "block_time")]
    #[schema(format = DateTime)]
    time: String,
    /// Unix seconds.
    #[serde(skip)]
    seconds: u64,
}

impl Block {
    /// The indexed head.
    ///
    /// # Errors
    /// 503 before the chain was ever read.
    pub(crate) async fn head(app: &App, conn: &mut PgConnection) -> Result<Block, ApiError> {
        let head = read::cursor(conn, app.chain_id()).await?;
        let head = head.and_then(|head| Some(Block::new(head.number, head.block_time?)));
        head.ok_or_else(|| ApiError::Unavailable(format!("chain {} has not been read yet: try again", app.chain_id())))
    }

    fn new(number: u64, seconds: u64) -> Block {
        Block { number, time: block_timestamp(seconds), seconds }
    }
}
