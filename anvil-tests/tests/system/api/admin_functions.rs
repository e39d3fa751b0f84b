//! Making issuers, nodes, parties, wallets, users and service tokens.

use tokenx_contracts::ids::{CommandId, Scope as CommandScope};

use super::*;

/// Audit entries and outbox events, by action.
async fn notes(kit: &Kit) -> Vec<(String, i64, i64)> {
    sqlx::query_as(
        "SELECT a.action, count(*), (SELECT count(*) FROM outbox o WHERE o.kind = a.action)
           FROM audit_log a
          WHERE a.actor = 'cli:test' AND a.action LIKE '%.add'
          GROUP BY a.action
          ORDER BY a.action",
    )
    .fetch_all(&kit.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn everything_made_leaves_an_audit_entry_and_an_event() {
    let kit = Kit::bare().await;
    kit.service_token(Role::Issuer, Some(1), &[Scope::DataRead]).await;
    let node = NewNode { issuer_id: kit.issuers[0], chain_id: 1, executor: CAROL_WALLET, treasury: None };
    admin::add_node(&kit.pool, BY, node).await.unwrap();
    let expected = [("issuer.add", 2), ("node.add", 1), ("party.add", 1), ("service_token.add", 1), ("user.add", 5)];
    assert_eq!(notes(&kit).await, expected.map(|(action, count)| (action.to_owned(), count, count)));
    kit.end().await;
}

#[tokio::test]
async fn what_exists_already_is_said_and_leaves_no_note() {
    let kit = Kit::bare().await;
    let before = notes(&kit).await;
    let party =
        || NewParty { party_id: PartyId::parse(ALICE).unwrap(), country: 404, investor_class: 0, kyc_expires_at: None };
    let node = |issuer_id| NewNode { issuer_id, chain_id: 1, executor: CAROL_WALLET, treasury: None };
    assert!(matches!(admin::add_issuer(&kit.pool, BY, "First Issuer").await, Err(admin::Error::Exists(_))));
    assert!(matches!(admin::add_party(&kit.pool, BY, party()).await, Err(admin::Error::Exists(_))));
    assert!(matches!(admin::add_node(&kit.pool, BY, node(Uuid::nil())).await, Err(admin::Error::Unknown { .. })));
    assert_eq!(notes(&kit).await, before);
    admin::add_node(&kit.pool, BY, node(kit.issuers[0])).await.unwrap();
    assert!(matches!(admin::add_node(&kit.pool, BY, node(kit.issuers[1])).await, Err(admin::Error::Exists(_))));
    kit.end().await;
}

#[tokio::test]
async fn role_and_tenant_go_together() {
    let kit = Kit::bare().await;
    let issuer = Some(kit.issuers[0]);
    let party = Some(ALICE.to_owned());
    let wrong = [
        (Role::Issuer, None, None),
        (Role::Issuer, issuer, party.clone()),
        (Role::Investor, None, None),
        (Role::Investor, issuer, party.clone()),
        (Role::SuperAdmin, issuer, None),
        (Role::TransferAgent, None, party.clone()),
    ];
    for (role, issuer_id, party_id) in wrong {
        let email = "new@example.org".to_owned();
        let user = NewUser { email, password: PASSWORD.to_owned().into(), role, issuer_id, party_id };
        let made = admin::add_user(&kit.pool, &kit.settings.auth, BY, user).await;
        assert!(matches!(made, Err(admin::Error::Invalid { field: "role", .. })), "{role}: {made:?}");
    }
    let tool = |role, days, scopes: &[Scope]| NewServiceToken {
        name: "a tool".into(),
        role,
        issuer_id: None,
        scopes: scopes.to_vec(),
        days,
    };
    for wrong in [
        tool(Role::Investor, 1, &Scope::ALL),
        tool(Role::Issuer, 1, &Scope::ALL),
        tool(Role::SuperAdmin, 1, &[]),
        tool(Role::SuperAdmin, 0, &Scope::ALL),
        tool(Role::SuperAdmin, 366, &Scope::ALL),
    ] {
        let made = admin::add_service_token(&kit.pool, BY, wrong).await;
        assert!(matches!(made, Err(admin::Error::Invalid { .. })), "{made:?}");
    }
    kit.end().await;
}

#[tokio::test]
async fn a_wallet_belongs_to_one_party_and_is_whitelisted_by_a_derived_command() {
    let kit = Kit::whole().await;
    let wallet = NewWallet { party_id: PartyId::parse(CAROL).unwrap(), kind: WalletKind::SelfCustody(CAROL_WALLET) };
    let made = admin::add_wallet(&kit.pool, &kit.commands, BY, wallet.clone()).await.unwrap();
    assert!(!made.approved);
    let id = CommandId::parse(made.command.unwrap()).unwrap();
    let command = kit.commands.view(&CommandScope::System, &id).await.unwrap().unwrap();
    assert_eq!((command.operation.kind(), command.operation.wallet()), ("whitelist", Some(CAROL_WALLET)));
    // A client's command of the same name is another one, and does not show the platform's.
    let path = format!("/api/admin/commands/{id}");
    assert_eq!(kit.get(&path, kit.token(Role::SuperAdmin)).await.status, 404);
    eventually("carol's wallet is approved, and she can be minted to", || async {
        (kit.mint("carol", CAROL, "1").await.status == 200).then_some(())
    })
    .await;
    for party_id in [ALICE, CAROL] {
        let again = NewWallet { party_id: PartyId::parse(party_id).unwrap(), ..wallet.clone() };
        let made = admin::add_wallet(&kit.pool, &kit.commands, BY, again).await;
        assert!(matches!(made, Err(admin::Error::Exists(_))), "{made:?}");
    }
    kit.end().await;
}
