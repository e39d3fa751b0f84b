//! Nodes: made where they are not there, compared with what was named where they are.

use alloy::primitives::{Address, Bytes, FixedBytes};
use alloy::sol_types::{SolCall, SolValue};
use tokenx_contracts::bindings::{
    Executor, FeeVault, Listing, NodeConfig, NodeContracts, NodeFactory, OtcDesk, RedemptionDesk, RentDistributor,
    SecondaryMarket, node_factory,
};

use super::steps::{NODE_GAS, Step};
use super::{DeployError, Deployer, Governance, Implementations, NewNode, Node, key_of, plan};

type OnChain = node_factory::INodeFactory::Node;

impl Deployer {
    /// The steps of a node: the one that makes it with its Executor and its contracts, and, where it is there, those that
    /// let keepers and guardian use its Executor, whom it may have been made without.
    ///
    /// # Errors
    /// `Differs`, and the endpoint's.
    pub async fn node_steps(
        &self,
        factory: Address,
        governance: &Governance,
        node: &NewNode,
    ) -> Result<Vec<Step>, DeployError> {
        let mut steps = vec![self.node_step(factory, governance, node)];
        if let Some(there) = self.node(factory, node).await? {
            let executor = format!("the executor of node {}", node.node_id);
            steps.extend(plan::access(there.executor, &executor, governance));
        }
        Ok(steps)
    }

    /// Deploys nodes, each with its Executor and its contracts.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn nodes(
        &self,
        factory: Address,
        governance: &Governance,
        nodes: &[NewNode],
    ) -> Result<Vec<Node>, DeployError> {
        self.settle().await?;
        let mut steps = Vec::with_capacity(nodes.len());
        for node in nodes {
            steps.extend(self.node_steps(factory, governance, node).await?);
        }
        self.carry_out(&steps).await?;
        let mut made = Vec::with_capacity(nodes.len());
        for node in nodes {
            made.push(self.node(factory, node).await?.ok_or_else(|| DeployError::Missing(what(node)))?);
        }
        Ok(made)
    }

    fn node_step(&self, factory: Address, governance: &Governance, node: &NewNode) -> Step {
        let key = key_of(&node.node_id);
        let config = NodeConfig {
            nodeKey: key,
            issuer: key_of(&node.issuer_id),
            admin: self.admin(),
            adminDelay: plan::delay(governance),
            guardian: governance.guardian,
            keepers: governance.keepers.clone(),
            treasury: node.treasury,
            previousExecutor: Address::ZERO,
            keeperSetsTerms: node.keeper_sets_terms,
        };
        let call = NodeFactory::deployNodeCall { config }.abi_encode();
        let view = NodeFactory::nodeOfCall { nodeKey: key }.abi_encode();
        Step::fill(what(node), factory, call, NODE_GAS, view)
    }

    /// The node as the factory has it; `None` where it has none of this id, or where there is no factory.
    async fn node(&self, factory: Address, named: &NewNode) -> Result<Option<Node>, DeployError> {
        let key = key_of(&named.node_id);
        let views: [Bytes; 2] = [
            NodeFactory::nodeOfCall { nodeKey: key }.abi_encode().into(),
            NodeFactory::implementationsCall {}.abi_encode().into(),
        ];
        let answers = self.rpc.views(&views.map(|view| (factory, view))).await?;
        let [node, implementations] = answers.as_slice() else { return Ok(None) };
        let Some(there) = OnChain::abi_decode(node).ok().filter(|node| !node.executor.is_zero()) else {
            return Ok(None);
        };
        let runs = NodeContracts::abi_decode(implementations).map(Implementations::from).unwrap_or_default();
        compare(&there, named, &runs)?;
        self.compare_terms(&there, named).await?;
        Ok(Some(Node { key, executor: there.executor, contracts: there.contracts.into() }))
    }

    /// Whether the Executor that is there may set the terms of all contracts, or of none, as was named.
    async fn compare_terms(&self, there: &OnChain, named: &NewNode) -> Result<(), DeployError> {
        let setters: Vec<(Address, FixedBytes<4>)> =
            term_setters(&there.contracts).into_iter().filter(|(at, _)| !at.is_zero()).collect();
        let rules: Vec<(Address, Bytes)> = setters
            .iter()
            .map(|(target, selector)| Executor::ruleOfCall { target: *target, selector: *selector }.abi_encode())
            .map(|rule| (there.executor, rule.into()))
            .collect();
        let answers = if rules.is_empty() { Vec::new() } else { self.rpc.views(&rules).await? };
        let allowed: Vec<bool> = answers
            .iter()
            .map(|answer| Executor::ruleOfCall::abi_decode_returns(answer).is_ok_and(|rule| rule.allowed))
            .collect();
        if allowed.iter().all(|allowed| *allowed == named.keeper_sets_terms) {
            return Ok(());
        }
        let there = match allowed.iter().all(|allowed| *allowed) {
            true => "keeper and admin",
            false if allowed.contains(&true) => "the admin, and in part the keeper",
            false => "the admin alone",
        };
        let wanted = if named.keeper_sets_terms { "keeper and admin" } else { "the admin alone" };
        Err(DeployError::Differs {
            node: named.node_id.clone(),
            what: "terms set by",
            there: there.to_owned(),
            wanted: wanted.to_owned(),
        })
    }
}

/// The functions that set terms, by contract.
fn term_setters(contracts: &NodeContracts) -> [(Address, FixedBytes<4>); 6] {
    [
        (contracts.listing, Listing::setTermsCall::SELECTOR.into()),
        (contracts.secondaryMarket, SecondaryMarket::setMarketTermsCall::SELECTOR.into()),
        (contracts.otcDesk, OtcDesk::setOtcTermsCall::SELECTOR.into()),
        (contracts.rentDistributor, RentDistributor::setRentTermsCall::SELECTOR.into()),
        (contracts.feeVault, FeeVault::setFeeTermsCall::SELECTOR.into()),
        (contracts.redemptionDesk, RedemptionDesk::setRedemptionTermsCall::SELECTOR.into()),
    ]
}

fn what(node: &NewNode) -> String {
    format!("deploy node {}", node.node_id)
}

/// Whether the node that is there is the one that was named, with all that the factory gives to nodes.
fn compare(there: &OnChain, named: &NewNode, runs: &Implementations) -> Result<(), DeployError> {
    let differs =
        |what, there: String, wanted: String| DeployError::Differs { node: named.node_id.clone(), what, there, wanted };
    let issuer = key_of(&named.issuer_id);
    if there.issuer != issuer {
        let wanted = format!("{issuer}, the key of {}", named.issuer_id);
        return Err(differs("an issuer of key", there.issuer.to_string(), wanted));
    }
    if there.treasury != named.treasury {
        return Err(differs("treasury", there.treasury.to_string(), named.treasury.to_string()));
    }
    let contracts = Implementations::from(there.contracts.clone());
    for ((what, at), (_, runs)) in contracts.named().into_iter().zip(runs.named()) {
        if at.is_zero() && !runs.is_zero() {
            return Err(differs(what, "none".to_owned(), format!("one that runs {runs}")));
        }
    }
    Ok(())
}
