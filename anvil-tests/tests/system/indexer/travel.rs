//! What GraphQL says of past blocks, beside what the contract said at them.

use std::sync::Arc;

use alloy::primitives::{Address, U256};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokenx_anvil_tests::campaign;
use tokenx_contracts::bindings::SecurityToken;
use tokenx_indexer::read;
use tokenx_keeper::{Commands, Doors};
use tokio::net::TcpListener;

use super::past::Wheel;
use super::{ALICE, BOB, CHAIN, Stage};

/// An api on a stage's database.
struct Api {
    url: String,
    client: reqwest::Client,
}

impl Api {
    async fn ask(&self, query: &str) -> Result<Value> {
        let asked = self.client.post(&self.url).json(&json!({ "query": query })).send().await?;
        Ok(asked.json().await?)
    }

    async fn data(&self, query: &str) -> Result<Value> {
        let mut answer = self.ask(query).await?;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        Ok(answer["data"].take())
    }
}

fn units(value: &Value) -> Result<U256> {
    Ok(U256::from_str_radix(value.as_str().context("base units as text")?, 10)?)
}

#[tokio::test]
async fn graphql_as_of_any_past_block_says_what_the_contract_said_then() -> Result<()> {
    let stage = Stage::set().await?;
    let indexer = stage.follow().await;
    let wallets: Vec<Address> = [ALICE, BOB].into_iter().chain((1..9).map(Address::with_last_byte)).collect();
    stage.whitelist(&wallets).await?;
    let mut wheel = Wheel::new(&stage.world.chain.url());
    stage.wander(&mut wheel, &wallets, campaign::times(80, 400)).await?;

    let mut settings = stage.settings.clone();
    settings.limits.off = true;
    let commands = Commands::new(stage.world.pool.clone(), Doors::of(&settings.chain));
    let context = tokenx_api::ApiContext { settings: Arc::new(settings), pool: stage.world.pool.clone(), commands };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let api = Api { url: format!("http://{}/graphql", listener.local_addr()?), client: reqwest::Client::new() };
    let serving = tokio::spawn(tokenx_api::serve(context, listener, indexer.stop.clone()));

    let cursor = read::cursor(&stage.world.pool, CHAIN).await?.context("the chain is read")?;
    let (start, head) = (cursor.start, cursor.number);
    let pairs = campaign::times(200, 1_000);
    let mut above = 0;
    for _ in 0..pairs {
        let (block, wallet) = (start + wheel.below(head + 1 - start), wheel.one_of(&wallets));
        let data = api
            .data(&format!(
                "{{ token(instrumentId: \"rCC\") {{
                      holdings(filter: {{ wallet: \"{wallet}\" }}, asOfBlock: {block}) {{
                        totalCount nodes {{ balanceRaw spendableRaw }} }}
                      holders(first: 100, asOfBlock: {block}) {{ totalCount nodes {{ balanceRaw wallets }} }}
                      totalSupplyRaw(asOfBlock: {block}) }} }}"
            ))
            .await?;
        let (token, place) = (&data["token"], format!("{wallet} at {block}, seed {}", wheel.seed));
        let theirs = stage.balance_on_chain(wallet, block).await?;
        let holding = &token["holdings"]["nodes"][0];
        let ours = if holding.is_null() { U256::ZERO } else { units(&holding["balanceRaw"])? };
        assert_eq!(ours, theirs, "{place}");
        assert_eq!(token["holdings"]["totalCount"], u64::from(!theirs.is_zero()), "{place}");
        if !theirs.is_zero() {
            above += 1;
            let at = stage.hash(block).await?;
            let call = SecurityToken::spendableOfCall { account: wallet };
            let spendable = stage.view_at(stage.token(), call, at).await?;
            assert_eq!(units(&holding["spendableRaw"])?, spendable, "{place}");
        }
        let holders = token["holders"]["nodes"].as_array().context("holders")?;
        assert_eq!(token["holders"]["totalCount"], holders.len(), "{place}");
        let held: Vec<U256> = holders.iter().map(|holder| units(&holder["balanceRaw"])).collect::<Result<_>>()?;
        assert!(held.is_sorted_by(|one, next| one >= next), "largest first: {place}");
        assert_eq!(held.into_iter().sum::<U256>(), units(&token["totalSupplyRaw"])?, "{place}");
    }
    assert!(above > pairs / 10, "{above} of {pairs} were above zero: the law would hold of nothing");
    campaign::say(&format!("time travel: {pairs} pairs over {} blocks, {above} above zero", head - start));

    for (block, word) in [(head + 1, "above the indexed head"), (start - 1, "from which the chain is read")] {
        let query = format!("{{ token(instrumentId: \"rCC\") {{ totalSupply(asOfBlock: {block}) }} }}");
        let error = api.ask(&query).await?["errors"][0].take();
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(word)), "{error}");
    }
    indexer.stop().await?;
    Ok(serving.await??)
}
