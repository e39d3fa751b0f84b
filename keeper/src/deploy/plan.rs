//! The platform's contracts as steps.

use alloy::primitives::aliases::U48;
use alloy::primitives::{Address, B256, keccak256};
use alloy::sol_types::{SolCall, SolConstructor};
use tokenx_contracts::bindings::{
    Executor, ExecutorConfig, FeeVault, InvestorRegistry, Listing, NodeContracts, NodeFactory, OtcDesk, RedemptionDesk,
    RentDistributor, Rule, SecondaryMarket, SecurityToken, TestUSD,
};

use super::steps::{CALL_GAS, Step};
use super::{Governance, Suite};

/// What is to be there in the end, and how it comes to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In an order in which they can be done.
    pub steps: Vec<Step>,
    /// Where everything will be.
    pub suite: Suite,
}

impl Plan {
    /// The suite of this admin. Another `salt` makes another suite; the same arguments always make the same one. Keepers
    /// and guardian may be added later: they are no part of any address.
    pub fn of(admin: Address, governance: &Governance, salt: &str, with_payment_token: bool) -> Self {
        let salt = keccak256(salt);
        let admin_delay = delay(governance);
        let registry = Step::create(
            "deploy the investor registry",
            salt,
            &InvestorRegistry::BYTECODE,
            &InvestorRegistry::constructorCall { admin, adminDelay: admin_delay }.abi_encode(),
        );
        let executor = ExecutorConfig {
            admin,
            adminDelay: admin_delay,
            guardian: Address::ZERO,
            keepers: Vec::new(),
            factory: Address::ZERO,
            previous: Address::ZERO,
            rules: registry_rules(registry.made()),
        };
        let executor = Step::create(
            "deploy the registry's executor",
            salt,
            &Executor::BYTECODE,
            &Executor::constructorCall { config: executor }.abi_encode(),
        );
        let token = Step::create("deploy the token implementation", salt, &SecurityToken::BYTECODE, &[]);
        let factory = NodeFactory::constructorCall {
            admin,
            adminDelay: admin_delay,
            registry_: registry.made(),
            tokenImplementation: token.made(),
        };
        let factory = Step::create("deploy the node factory", salt, &NodeFactory::BYTECODE, &factory.abi_encode());
        let of_nodes = [
            Step::create("deploy the listing", salt, &Listing::BYTECODE, &[]),
            Step::create("deploy the secondary market", salt, &SecondaryMarket::BYTECODE, &[]),
            Step::create("deploy the otc desk", salt, &OtcDesk::BYTECODE, &[]),
            Step::create("deploy the rent distributor", salt, &RentDistributor::BYTECODE, &[]),
            Step::create("deploy the fee vault", salt, &FeeVault::BYTECODE, &[]),
            Step::create("deploy the redemption desk", salt, &RedemptionDesk::BYTECODE, &[]),
        ];
        let [listing, market, otc, rent, fees, redemption] = of_nodes.each_ref().map(Step::made);
        let implementations = NodeContracts {
            listing,
            secondaryMarket: market,
            otcDesk: otc,
            rentDistributor: rent,
            feeVault: fees,
            redemptionDesk: redemption,
        };
        let money = with_payment_token.then(|| Step::create("deploy the payment token", salt, &TestUSD::BYTECODE, &[]));
        let suite = Suite {
            registry: registry.made(),
            registry_executor: executor.made(),
            factory: factory.made(),
            token_implementation: token.made(),
            implementations: implementations.clone().into(),
            payment_token: money.as_ref().map(Step::made),
        };
        let mut steps = vec![registry, executor, token, factory];
        steps.extend(of_nodes);
        steps.extend(money);
        steps.push(grant(
            "let the executor write the registry",
            suite.registry,
            "REGISTRAR_ROLE",
            suite.registry_executor,
        ));
        steps.extend(access(suite.registry_executor, REGISTRYS, governance));
        // Once told, the factory is its admin's to tell anew: coming again puts nothing back.
        steps.push(Step::fill(
            "tell the factory what new nodes run".to_owned(),
            suite.factory,
            NodeFactory::setImplementationsCall { next: implementations }.abi_encode(),
            CALL_GAS,
            NodeFactory::implementationsCall {}.abi_encode(),
        ));
        Self { steps, suite }
    }

    /// What keepers and guardian lack on a suite that is there.
    pub fn onto(suite: Suite, governance: &Governance) -> Self {
        Self { steps: access(suite.registry_executor, REGISTRYS, governance), suite }
    }
}

/// What the registry's Executor is called.
const REGISTRYS: &str = "the registry's executor";

/// Who may use an Executor and who may stop it.
pub(super) fn access(executor: Address, name: &str, governance: &Governance) -> Vec<Step> {
    let keepers = governance.keepers.iter();
    let mut steps: Vec<Step> = keepers
        .map(|keeper| grant(&format!("let keeper {keeper} use {name}"), executor, "KEEPER_ROLE", *keeper))
        .collect();
    let guardian = governance.guardian;
    if !guardian.is_zero() {
        steps.push(grant(&format!("let guardian {guardian} stop {name}"), executor, "GUARDIAN_ROLE", guardian));
    }
    steps
}

fn grant(what: &str, on: Address, role: &str, account: Address) -> Step {
    let role: B256 = keccak256(role);
    Step::fill(
        what.to_owned(),
        on,
        Executor::grantRoleCall { role, account }.abi_encode(),
        CALL_GAS,
        Executor::hasRoleCall { role, account }.abi_encode(),
    )
}

/// What the registry's Executor may do: write one record, take a whitelisting away.
fn registry_rules(registry: Address) -> Vec<Rule> {
    [InvestorRegistry::setInvestorCall::SELECTOR, InvestorRegistry::revokeCall::SELECTOR]
        .map(|selector| Rule {
            target: registry,
            selector: selector.into(),
            amountArg: 0,
            dailyLimit: Default::default(),
        })
        .to_vec()
}

pub(super) fn delay(governance: &Governance) -> U48 {
    U48::saturating_from(governance.admin_delay)
}
