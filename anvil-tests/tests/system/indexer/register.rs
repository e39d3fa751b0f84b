//! The list of holdings, which the API keeps in memory, beside what the tables say.

use alloy::primitives::{Address, B256, U256, Uint};
use anyhow::{Context, Result};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokenx_anvil_tests::{campaign, eventually};
use tokenx_api::admin::{self, By, NewParty, NewServiceToken};
use tokenx_api::policy::{Role, Scope};
use tokenx_api::{ApiContext, ServeError};
use tokenx_contracts::bindings::{Investor, InvestorRegistry, SecurityToken};
use tokenx_contracts::ids::PartyId;
use tokenx_indexer::{Rebuild, read};
use tokenx_keeper::{Commands, Doors};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::past::Wheel;
use super::{ALICE, BOB, CHAIN, Running, Stage, id};

const BY: By<'static> = By { actor: "cli:test", request_id: None };

/// The list, asked for over HTTP.
struct List {
    url: String,
    bearer: String,
    client: reqwest::Client,
}

impl List {
    /// On a stage's database, until told to stop.
    async fn served(stage: &Stage, stop: CancellationToken) -> Result<(List, JoinHandle<Result<(), ServeError>>)> {
        let (mut settings, pool) = (stage.settings.clone(), stage.world.pool.clone());
        settings.limits.off = true;
        let (name, role) = ("list".to_owned(), Role::TransferAgent);
        let token = NewServiceToken { name, role, issuer_id: None, scopes: Scope::ALL.to_vec(), days: 1 };
        let bearer = admin::add_service_token(&pool, BY, token).await?.1.expose_secret().to_owned();
        let commands = Commands::new(pool.clone(), Doors::of(&settings.chain));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/data/admin/holdings", listener.local_addr()?);
        let serving =
            tokio::spawn(tokenx_api::serve(ApiContext { settings: settings.into(), pool, commands }, listener, stop));
        Ok((List { url, bearer, client: reqwest::Client::new() }, serving))
    }

    async fn page(&self, query: &str) -> Result<Value> {
        let asked = self.client.get(format!("{}?{query}", self.url)).bearer_auth(&self.bearer);
        Ok(asked.send().await?.error_for_status()?.json().await?)
    }
}

/// A row as it shows, in the order of the members by which lists go.
type Row = (String, String, String, String, bool);
/// The same as the tables have it: its party, where one is known, then its wallet, and the amount's decimals and units.
type Stored = (String, Option<String>, Vec<u8>, String, i16, String, bool);

impl Stage {
    /// What the tables say of the confirmed block.
    async fn listed(&self) -> Result<Vec<Row>> {
        let as_of = read::as_of(&self.world.pool, CHAIN).await?.context("the chain is read")?;
        let rows: Vec<Stored> = sqlx::query_as(
            "SELECT h.instrument_id, p.party_id, h.wallet, h.holding_cid, h.decimals, h.amount::text, h.locked
               FROM holding_rows_at($1, $2) h
               LEFT JOIN parties p USING (investor_id)",
        )
        .bind(CHAIN.cast_signed())
        .bind(as_of.block.cast_signed())
        .fetch_all(&self.world.pool)
        .await?;
        let mut rows: Vec<Row> = rows
            .into_iter()
            .map(|(instrument, party, wallet, cid, decimals, units, locked)| {
                let party = party.unwrap_or_else(|| Address::from_slice(&wallet).to_checksum(None));
                let units = U256::from_str_radix(&units, 10).unwrap();
                let amount = tokenx_contracts::amount::Amount::new(units, u8::try_from(decimals).unwrap());
                (instrument, party, cid, amount.to_string(), locked)
            })
            .collect();
        rows.sort();
        Ok(rows)
    }

    /// The whole list, pages of it, and those of each holder, are what the tables say.
    async fn lists(&self, list: &List, wheel: &mut Wheel, wallets: &[Address], what: &str) -> Result<usize> {
        let head = self.head().await?;
        eventually("the head is indexed", || async {
            let cursor = read::cursor(&self.world.pool, CHAIN).await.ok()??;
            ((cursor.number, cursor.hash) == head).then_some(())
        })
        .await;
        let all = self.listed().await?;
        let shown = |page: &Value| -> Vec<Row> {
            let text = |row: &Value, member: &str| row[member].as_str().unwrap().to_owned();
            let row = |row: &Value| {
                let [instrument, party] = ["instrument_id", "party_id"].map(|member| text(row, member));
                (instrument, party, text(row, "holding_cid"), text(row, "amount"), row["locked"] == true)
            };
            page["holdings"].as_array().unwrap().iter().map(row).collect()
        };
        let page = list.page("").await?;
        assert_eq!(shown(&page), all, "{what}, seed {}", wheel.seed);
        assert_eq!(page["total"], all.len(), "{what}");
        let (offset, limit) = (usize::try_from(wheel.below(12))?, 1 + usize::try_from(wheel.below(5))?);
        let part = list.page(&format!("instrument_id=rCC&limit={limit}&offset={offset}")).await?;
        let of_one: Vec<Row> = all.iter().filter(|row| row.0 == "rCC").cloned().collect();
        assert_eq!(part["total"], of_one.len(), "{what}");
        assert_eq!(shown(&part), of_one.iter().skip(offset).take(limit).cloned().collect::<Vec<_>>(), "{what}");
        if let Some(party) = all.iter().map(|row| &row.1).nth(offset) {
            let page = list.page(&format!("party_id={party}")).await?;
            let theirs: Vec<Row> = all.iter().filter(|row| row.1 == *party).cloned().collect();
            assert!(page["total"] == shown(&page).len() && !theirs.is_empty(), "{what}");
            // A name is of all of a party's wallets, an address of that wallet alone.
            assert_eq!(shown(&page), theirs, "{what}, of {party}");
        }
        let wallet = wheel.one_of(wallets);
        let page = list.page(&format!("party_id={wallet}")).await?;
        let balance: i64 = sqlx::query_scalar("SELECT count(*) FROM holding_rows_at($1, $2) WHERE wallet = $3")
            .bind(CHAIN.cast_signed())
            .bind(read::as_of(&self.world.pool, CHAIN).await?.context("a block")?.block.cast_signed())
            .bind(wallet.as_slice())
            .fetch_one(&self.world.pool)
            .await?;
        assert_eq!(page["total"], balance, "{what}, of {wallet}");
        Ok(all.len())
    }

    /// One act of those that change the list, of the first node's token.
    async fn change(&self, wheel: &mut Wheel, wallets: &[Address], name: &str) -> Result<()> {
        let (from, to) = (wheel.one_of(wallets), wheel.one_of(wallets));
        let (amount, reason) = (U256::from(1 + wheel.below(50)), B256::ZERO);
        match wheel.below(7) {
            0 | 1 => self.order(name, SecurityToken::mintCall { to, amount, reason }).await?,
            2 => self.order(name, SecurityToken::forcedBurnCall { from, amount, reason }).await?,
            3 => self.order(name, SecurityToken::setFrozenTokens_0Call { account: to, amount, reason }).await?,
            4 => {
                let until = Uint::from(self.time().await? + 40 + wheel.below(400));
                self.order(name, SecurityToken::mintLockedCall { to, amount, kind: 2, until, reason }).await?
            }
            _ => self.order(name, SecurityToken::forcedTransfer_1Call { from, to, amount, reason }).await?,
        };
        Ok(())
    }
}

#[tokio::test]
async fn the_list_of_holdings_is_what_the_tables_say_whatever_has_happened_since_the_last_page() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.settings.chain.confirmations = 3;
    let pool = stage.world.pool.clone();
    let indexer = stage.follow().await;
    let (list, serving) = List::served(&stage, indexer.stop.clone()).await?;

    let wallets: Vec<Address> = [ALICE, BOB].into_iter().chain((1..7).map(Address::with_last_byte)).collect();
    stage.whitelist(&wallets).await?;
    let mut wheel = Wheel::new(&stage.world.chain.url());
    let (mut most, rounds) = (0, campaign::times(60, 400));
    for round in 0..rounds {
        for act in 0..wheel.below(4) {
            stage.change(&mut wheel, &wallets, &format!("{round} {act}")).await?;
        }
        stage.mine(1 + wheel.below(3)).await?;
        let what = match round % 15 {
            4 => {
                // Lockups run out, and no log says so.
                stage.world.chain.rpc("evm_increaseTime", json!([100_000])).await?;
                stage.mine(1).await?;
                "time goes by"
            }
            7 => {
                // An investor's parties are made known to the platform one after another.
                let party_id = PartyId::parse(format!("party::{round}"))?;
                let party = NewParty { party_id, country: 276, investor_class: 2, kyc_expires_at: None };
                admin::add_party(&pool, BY, party).await?;
                "a party is named"
            }
            10 => {
                stage.turn(1 + wheel.below(6)).await?;
                stage.mine(1).await?;
                "a reorg"
            }
            13 => {
                // A wallet that may have held nothing yet is one more of the first investor's.
                let wallet = Address::with_last_byte(u8::try_from(100 + round / 15)?);
                let flags = 1;
                let investor =
                    Investor { investorId: 1, country: 276, investorClass: 2, kycExpiresAt: Uint::ZERO, flags };
                let call = InvestorRegistry::setInvestorCall { wallet, investor, reason: B256::ZERO };
                let call = alloy::sol_types::SolCall::abi_encode(&call);
                let (executor, registry) = (stage.deployment.suite.registry_executor, stage.deployment.suite.registry);
                stage.execute(executor, vec![(id(&format!("late {round}")), registry, call)]).await?;
                stage.mint(&format!("to late {round}"), wallet, 5).await?;
                stage.mine(1).await?;
                "a wallet is registered"
            }
            _ => "some acts",
        };
        most = most.max(stage.lists(&list, &mut wheel, &wallets, &format!("{what}, round {round}")).await?);
    }
    assert!(most > 12, "{most} rows at most: the law would hold of little");
    indexer.stop().await?;
    serving.await??;
    Ok(())
}

#[tokio::test]
async fn the_list_of_holdings_follows_a_rebuild() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = stage.world.pool.clone();
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE, BOB]).await?;
    stage.mint("mint", ALICE, 70).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB]).await?;
    indexer.stop().await?;
    // A row that somebody altered by hand.
    sqlx::query("UPDATE holdings SET balance = 99 WHERE wallet = $1").bind(ALICE.as_slice()).execute(&pool).await?;

    let stop = CancellationToken::new();
    let (list, serving) = List::served(&stage, stop.clone()).await?;
    let amount = async || Ok::<_, anyhow::Error>(list.page("").await?["holdings"][0]["amount"].clone());
    let wrong = amount().await?;
    let report = Rebuild::new(&stage.settings, Vec::new()).replace(|_| {}).await?;
    let right = amount().await?;
    assert!(wrong != right, "{wrong} is {right} after {report:?}");
    let again = Running::start(&stage.settings, &pool);
    stage.settles(&[ALICE, BOB]).await?;
    again.stop().await?;
    stop.cancel();
    Ok(serving.await??)
}
