//! Nodes: made where they are not there, compared with what was named where they are.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::{SolCall, SolValue};
use tokenx_contracts::bindings::{NodeConfig, NodeContracts, NodeFactory, node_factory};

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
            keeperSetsTerms: false,
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
        Ok(Some(Node { key, executor: there.executor, contracts: there.contracts.into() }))
    }
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
