//! A contract that makes transfers by the thousand, for tests and benchmarks that need many.

use alloy::primitives::{Address, B256, Bytes, U256, hex};
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Result, ensure};
use serde_json::json;

use crate::{KEYS, World};

const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// A contract that logs `n` ERC-20 transfers of `value` among `holders`, or mints where `spend` is 0. Call data: n, seed,
/// spend, value, holders. Transfer i goes from holder (seed + i) mod `holders` to holder (seed + 7i + 1) mod `holders`.
fn code() -> Result<Vec<u8>> {
    let runtime = [
        "606035600052",                           // mem[0] = value
        "6000",                                   // i = 0
        "5b806000351115606257608035",             // 08: to the end unless n > i
        "81600702602035016001010661100001608035", // to
        "8260203501066110000160403502",           // from, or zero
        "7f",
        TRANSFER,
        "60206000a3",
        "6001016008565b00",
    ]
    .concat();
    let runtime = hex::decode(runtime)?;
    ensure!(runtime.len() == 100, "the jumps are counted by hand");
    let length = u8::try_from(runtime.len())?;
    Ok([&[0x60, length, 0x80, 0x60, 0x0b, 0x60, 0, 0x39, 0x60, 0, 0xf3], runtime.as_slice()].concat())
}

/// A token on a world whose blocks come when asked for. Its views answer nothing.
#[derive(Debug)]
pub struct Mill {
    /// The token.
    pub token: Address,
    from: Address,
    holders: u64,
}

impl Mill {
    /// How many wallets hold something, unless said otherwise.
    pub const HOLDERS: u64 = 1_000;
    /// As many logs as a transaction has gas for.
    const MOST: u64 = 5_000;

    /// Deploys it, in block 1 of a new chain, and gives each of 1,000 holders a billion, in the next.
    pub async fn start(world: &World) -> Result<Self> {
        Self::with_holders(world, Self::HOLDERS).await
    }

    /// The same with so many holders, no multiple of 7, and a block for each 5,000 of them.
    pub async fn with_holders(world: &World, holders: u64) -> Result<Self> {
        ensure!(!holders.is_multiple_of(7), "seven steps at a time reach all but of a multiple of 7");
        let mut mill = Self { token: Address::ZERO, from: KEYS[0].parse::<PrivateKeySigner>()?.address(), holders };
        let hash = mill.send(world, None, code()?).await?;
        world.chain.mine(1).await?;
        let receipt = world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        mill.token = serde_json::from_value(receipt["contractAddress"].clone())?;
        for minted in (0..holders).step_by(usize::try_from(Self::MOST)?) {
            mill.call(world, [Self::MOST.min(holders - minted), 7 * minted, 0, 1_000_000_000]).await?;
            world.chain.mine(1).await?;
        }
        Ok(mill)
    }

    /// Puts a transaction of `transfers` transfers into the pool; another `seed` takes other holders.
    pub async fn grind(&self, world: &World, transfers: u64, seed: u64) -> Result<()> {
        self.call(world, [transfers, seed * 13, 1, 1 + seed % 5]).await
    }

    async fn call(&self, world: &World, words: [u64; 4]) -> Result<()> {
        let words = words.into_iter().chain([self.holders]);
        let words: Vec<B256> = words.map(|word| B256::from(U256::from(word))).collect();
        self.send(world, Some(self.token), words.concat()).await.map(drop)
    }

    async fn send(&self, world: &World, to: Option<Address>, data: Vec<u8>) -> Result<B256> {
        let mut request = json!({"from": self.from, "data": Bytes::from(data), "gas": "0xf00000"});
        if let Some(to) = to {
            request["to"] = json!(to);
        }
        Ok(serde_json::from_value(world.chain.rpc("eth_sendTransaction", json!([request])).await?)?)
    }
}
