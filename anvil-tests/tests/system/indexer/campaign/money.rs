//! The tables beside the contracts of nodes, figure by figure, as of one block.

use alloy::primitives::{Address, B256, U256};
use anyhow::{Context, Result};
use tokenx_contracts::bindings::{
    FeeVault, Listing, OtcDesk, RedemptionDesk, RentDistributor, SecondaryMarket, SecurityToken, Split,
};
use tokenx_indexer::read::{self, node};

use super::super::{CHAIN, Stage};
use super::acts::Ground;
use super::node::Known;

impl Stage {
    /// Everything that the tables say of nodes' contracts at the head is what those say there.
    pub(super) async fn equals_node_contracts(
        &self,
        grounds: &[Ground],
        wallets: &[Address],
        known: &Known,
        at: B256,
    ) -> Result<()> {
        for ground in grounds {
            self.sale_equals(*ground, wallets, at).await?;
            self.fees_equal(*ground, wallets, known, at).await?;
            self.redemption_equals(*ground, wallets, known, at).await?;
            self.rent_equals(*ground, wallets, known, at).await?;
            self.trade_equals(*ground, wallets, known, at).await?;
            self.treasuries_equal(*ground, at).await?;
        }
        let pool = &self.world.pool;
        for (contract, wallet, salt) in known.salts.iter().copied() {
            let theirs = self.view_at(contract, Listing::isIntentUsedCall { wallet, salt }, at).await?;
            assert_eq!(node::intent_used(pool, CHAIN, contract, wallet, salt).await?, theirs, "salt {salt}");
        }
        Ok(())
    }

    async fn sale_equals(&self, Ground { token, node, .. }: Ground, wallets: &[Address], at: B256) -> Result<()> {
        let pool = &self.world.pool;
        let ours = node::listings_of_tokens(pool, CHAIN, &[token]).await?.remove(&token).context("a listing")?;
        assert_eq!(ours.contract, node.listing);
        let supply = self.view_at(node.listing, Listing::supplyOfCall { token }, at).await?;
        let theirs: [U256; 3] = [supply.listed.to(), supply.purchased.to(), supply.fees.to()];
        assert_eq!([ours.listed, ours.purchased, ours.fees], theirs, "supply of {token}");
        assert_eq!(ours.sold, theirs[1] + theirs[2], "sold of {token}");
        let status = self.view_at(node.listing, Listing::statusOfCall { token }, at).await?;
        assert_eq!(ours.status, node::ListingStatus::from_code(status), "status of {token}");
        let theirs = self.view_at(node.listing, Listing::termsOfCall { token }, at).await?;
        let most = U256::from(theirs.maxPurchase);
        let terms = node::ListingTerms {
            payment_token: theirs.paymentToken,
            opens_at: theirs.opensAt.to(),
            closes_at: theirs.closesAt.to(),
            price: U256::from(theirs.price),
            min_purchase: theirs.minPurchase.to(),
            max_purchase: (!most.is_zero()).then_some(most),
            max_fees: theirs.maxFees.to(),
            salable_bps: theirs.salableBps,
        };
        assert_eq!(ours.terms, (!theirs.paymentToken.is_zero()).then_some(terms), "terms of {token}");
        for investor_id in 1..=wallets.len() as u64 / 2 {
            let call = Listing::purchasedByCall { token, investorId: investor_id };
            let theirs = self.view_at(node.listing, call, at).await?;
            let ours = node::purchased_by(pool, CHAIN, node.listing, token, investor_id).await?;
            assert_eq!(ours, theirs, "what investor {investor_id} has bought of {token}");
        }
        Ok(())
    }

    async fn fees_equal(
        &self,
        Ground { token, node, .. }: Ground,
        wallets: &[Address],
        known: &Known,
        at: B256,
    ) -> Result<()> {
        let (pool, vault) = (&self.world.pool, node.fee_vault);
        let ours = node::fees_of_tokens(pool, CHAIN, &[token]).await?.remove(&token).context("a fee vault")?;
        let theirs = self.view_at(vault, FeeVault::feeTermsOfCall { token }, at).await?;
        let (to, shares) = (theirs._0, theirs._1);
        let terms = ours.terms.context("fee terms")?;
        let named = terms.beneficiaries;
        assert_eq!([named.platform_owner, named.node_owner, named.node], [to.platformOwner, to.nodeOwner, to.node]);
        let bps = terms.shares_bps;
        let bps = [bps.platform_owner, bps.node_owner, bps.node].map(U256::from);
        assert_eq!(bps, [shares.platformOwner, shares.nodeOwner, shares.node], "shares of {token}");
        let theirs = self.view_at(vault, FeeVault::allocatedOfCall { token }, at).await?;
        let ours = ours.allocated;
        let ours = Split { platformOwner: ours.platform_owner, nodeOwner: ours.node_owner, node: ours.node };
        assert_eq!(ours, theirs, "allocated of {token}");
        let pots = node::fee_pots_of_token(pool, CHAIN, token).await?;
        for usd in known.usd.iter().copied() {
            let ours = pots.iter().find(|pot| pot.payment_token == usd && pot.contract == vault);
            let theirs = self.view_at(vault, FeeVault::potOfCall { token, paymentToken: usd }, at).await?;
            assert_eq!(ours.map_or(U256::ZERO, |pot| pot.amount), theirs, "pot of {token} in {usd}");
            for wallet in wallets.iter().copied() {
                let theirs = self.view_at(vault, FeeVault::creditOfCall { paymentToken: usd, wallet }, at).await?;
                assert_eq!(node::fee_credit(pool, CHAIN, vault, usd, wallet).await?, theirs, "fees of {wallet}");
                let all = node::fee_credits_of_wallet(pool, CHAIN, wallet).await?;
                let ours = all.iter().find(|credit| credit.payment_token == usd && credit.contract == vault);
                assert_eq!(ours.map_or(U256::ZERO, |credit| credit.amount), theirs, "fees of {wallet}");
            }
        }
        Ok(())
    }

    /// The books of a contract that has funds.
    async fn fund_equals(&self, contract: Address, token: Address, usd: Address, at: B256) -> Result<()> {
        let all = node::funds_of_token(&self.world.pool, CHAIN, token).await?;
        let ours = all.iter().find(|fund| fund.contract == contract && fund.payment_token == usd);
        let ours = ours.map_or([U256::ZERO; 2], |fund| [fund.available, fund.owed]);
        let call = RedemptionDesk::fundOfCall { token, paymentToken: usd };
        let theirs = self.view_at(contract, call, at).await?;
        assert_eq!(ours, [theirs.available, theirs.owed], "fund of {token} in {usd} at {contract}");
        Ok(())
    }

    async fn redemption_equals(
        &self,
        Ground { token, node, .. }: Ground,
        wallets: &[Address],
        known: &Known,
        at: B256,
    ) -> Result<()> {
        let (pool, desk) = (&self.world.pool, node.redemption_desk);
        let ours = node::redemption_terms(pool, CHAIN, desk, token).await?.context("redemption terms")?;
        let theirs = self.view_at(desk, RedemptionDesk::redemptionTermsOfCall { token }, at).await?;
        assert_eq!((ours.payment_token, ours.max_price), (theirs.paymentToken, U256::from(theirs.maxPrice)));
        for usd in known.usd.iter().copied() {
            self.fund_equals(desk, token, usd, at).await?;
            for wallet in wallets.iter().copied() {
                let call = RedemptionDesk::creditOfCall { token, paymentToken: usd, wallet };
                let theirs = self.view_at(desk, call, at).await?;
                let all = node::redemption_credits_of_wallet(pool, CHAIN, token, wallet).await?;
                let ours = all.iter().find(|credit| credit.payment_token == usd && credit.contract == desk);
                assert_eq!(ours.map_or(U256::ZERO, |credit| credit.amount), theirs, "credit of {wallet} in {token}");
            }
        }
        let part = node::Part { before: None, limit: 100_000 };
        let mut open = Vec::new();
        for ours in node::redemptions(pool, CHAIN, node::Of::Token(token), part).await? {
            let call = RedemptionDesk::requestOfCall { token, requestId: U256::from(ours.request_id) };
            let theirs = self.view_at(desk, call, at).await?;
            if ours.end.is_some() {
                assert!(theirs.wallet.is_zero(), "request {} of {token} has ended", ours.request_id);
                continue;
            }
            let said = (ours.wallet, ours.quantity, ours.payment_token, ours.min_payout);
            let told = (theirs.wallet, theirs.quantity.to(), theirs.paymentToken, theirs.minPayout);
            assert_eq!(said, told, "request {} of {token}", ours.request_id);
            open.push(ours.request_id);
        }
        // And no hold of the desk's is there without one.
        for account in wallets.iter().copied() {
            for hold in self.view_at(token, SecurityToken::holdsOfCall { account }, at).await? {
                assert!(hold.agent != desk || open.contains(&hold.id.to()), "hold {} of {account}", hold.id);
            }
        }
        Ok(())
    }

    async fn rent_equals(
        &self,
        Ground { token, node, .. }: Ground,
        wallets: &[Address],
        known: &Known,
        at: B256,
    ) -> Result<()> {
        let (pool, distributor) = (&self.world.pool, node.rent_distributor);
        let ours = node::rents_of_tokens(pool, CHAIN, &[token]).await?.remove(&token).context("rent")?;
        let theirs = self.view_at(token, SecurityToken::rentCall {}, at).await?;
        assert_eq!((ours.distributor, ours.bound), (Some(theirs.distributor), theirs.bound), "of {token}");
        assert_eq!((ours.minimum, ours.period), (theirs.minimum.to(), theirs.period), "rent of {token}");
        assert_eq!((ours.per_unit, ours.carry), (theirs.perUnit, theirs.carry), "rent of {token}");
        let terms = self.view_at(distributor, RentDistributor::rentTermsOfCall { token }, at).await?;
        let said = ours.terms.context("rent terms")?;
        assert_eq!(
            (said.payment_token, said.start, said.length),
            (terms.paymentToken, terms.start.to(), terms.length.to())
        );
        for usd in known.usd.iter().copied() {
            self.fund_equals(distributor, token, usd, at).await?;
        }
        let all = node::rent_accounts_of_token(pool, CHAIN, token).await?;
        let mut earned = 0;
        for account in wallets.iter().copied() {
            let theirs = self.view_at(token, SecurityToken::rentOfCall { account }, at).await?;
            let ours = node::rent_account(pool, CHAIN, token, account).await?;
            assert_eq!(ours.accrued, theirs, "rent of {account} in {token}");
            let claimable = RentDistributor::claimableCall { token, wallet: account };
            assert_eq!(ours.claimable(), self.view_at(distributor, claimable, at).await?, "of {account}");
            assert_eq!(all.get(&account).copied().unwrap_or_default(), ours, "{account} alone and among all");
            earned += usize::from(!ours.earned.is_zero());
        }
        assert!(ours.period == 0 || earned > 0, "somebody has earned in {token}");
        Ok(())
    }

    async fn trade_equals(
        &self,
        Ground { token, node, .. }: Ground,
        wallets: &[Address],
        known: &Known,
        at: B256,
    ) -> Result<()> {
        let (pool, market, desk) = (&self.world.pool, node.secondary_market, node.otc_desk);
        let theirs = self.view_at(market, SecondaryMarket::marketTermsOfCall { token }, at).await?;
        let terms = node::MarketTerms {
            payment_token: theirs.paymentToken,
            open: theirs.open,
            fee_bps: theirs.feeBps,
            lot: theirs.lot.to(),
            min_price: U256::from(theirs.minPrice),
            max_price: U256::from(theirs.maxPrice),
        };
        assert_eq!(node::market_terms(pool, CHAIN, market, token).await?, Some(terms), "market of {token}");
        let theirs = self.view_at(desk, OtcDesk::otcTermsOfCall { token }, at).await?;
        let terms = node::OtcTerms { open: theirs.open, fee_bps: theirs.feeBps };
        assert_eq!(node::otc_terms(pool, CHAIN, desk, token).await?, Some(terms), "OTC of {token}");
        for (_, wallet, order) in known.orders.iter().copied().filter(|(of, ..)| *of == market) {
            let theirs = self.view_at(market, SecondaryMarket::filledOfCall { wallet, order }, at).await?;
            let ours = node::order_state(pool, CHAIN, market, wallet, order).await?;
            assert_eq!(if ours.cancelled { U256::MAX } else { ours.filled }, theirs, "order {order}");
        }
        for wallet in wallets.iter().copied() {
            let theirs = self.view_at(market, SecondaryMarket::cancelledBeforeCall { wallet }, at).await?;
            assert_eq!(node::order_cutoff(pool, CHAIN, market, wallet).await?, theirs, "cut-off of {wallet}");
        }
        for (_, deal) in known.deals.iter().copied().filter(|(of, _)| *of == desk) {
            let theirs = self.view_at(desk, OtcDesk::stateOfCall { deal }, at).await?;
            let ours = node::deal_state(pool, CHAIN, desk, deal).await?;
            assert_eq!(ours as u8, theirs, "deal {deal}");
        }
        Ok(())
    }

    async fn treasuries_equal(&self, Ground { token, node, .. }: Ground, at: B256) -> Result<()> {
        let pool = &self.world.pool;
        let all = read::contracts_of_token(pool, CHAIN, token).await?;
        let ours = [all.listing, all.secondary_market, all.otc_desk, all.rent_distributor, all.fee_vault];
        let deployed = [node.listing, node.secondary_market, node.otc_desk, node.rent_distributor, node.fee_vault];
        assert_eq!(ours, deployed.map(Some));
        for contract in deployed.into_iter().chain(all.redemption_desk) {
            let theirs = self.view_at(contract, Listing::treasuryCall {}, at).await?;
            assert_eq!(node::treasury(pool, CHAIN, contract).await?, Some(theirs), "treasury of {contract}");
        }
        Ok(())
    }
}
