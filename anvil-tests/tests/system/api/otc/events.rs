//! What an event does to proposals, and what parties hear.

use alloy::primitives::aliases::U40;
use tokenx_contracts::bindings::{Investor, InvestorRegistry};
use tokenx_keeper::Operation;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_to_or_of_somebody_who_may_not_trade_any_more_is_cancelled_with_the_reason() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 0).await;
    let mut others = Vec::new();
    for name in ["ben", "carl", "dirk", "emil"] {
        let other = counter.floor.trader(name, false, 5, 0).await;
        let proposed = counter.propose(&anna, &counter.body(&anna, name, "sell", name, 1, 50)).await["id"].clone();
        others.push((other, proposed));
    }
    let [(ben, to_ben), (carl, to_carl), (dirk, to_dirk), (_, to_emil)] = others.try_into().ok().unwrap();
    let own = counter.propose(&ben, &counter.body(&ben, "own", "sell", "anna", 5, 50)).await["id"].clone();

    let frozen = |account| Operation::FreezeAddress { instrument: tkn(), account, reason: REASON, everywhere: false };
    counter.floor.life.runs("frozen", frozen(ben.wallet)).await;
    for (whose, id) in [(&anna, &to_ben), (&ben, &own)] {
        let ended = counter.becomes(whose, id, "cancelled").await;
        assert_eq!((&ended["reason_code"], &ended["reserved"]), (&json!("WALLET_FROZEN"), &json!("0.0")));
    }
    counter.floor.life.runs("revoked", Operation::Revoke { wallet: carl.wallet, reason: REASON }).await;
    assert_eq!(counter.becomes(&carl, &to_carl, "cancelled").await["reason_code"], "WALLET_NOT_WHITELISTED");
    let registry = counter.kit().settings.chain.registry.unwrap();
    let executor = counter.kit().settings.chain.executors[0];
    let known = counter.kit().registered(&json!({ "address": dirk.wallet })).await;
    for (investor, code) in [
        (Investor { kycExpiresAt: U40::from(1), ..known.clone() }, "KYC_EXPIRED"),
        (Investor { flags: 3, ..known }, "SANCTIONS_HIT"),
    ] {
        let call = InvestorRegistry::setInvestorCall { wallet: dirk.wallet, investor, reason: REASON };
        counter.kit().transact(executor, registry, call).await;
        if code == "KYC_EXPIRED" {
            assert_eq!(counter.becomes(&anna, &to_dirk, "cancelled").await["reason_code"], code);
        }
    }
    eventually("she cannot ask who is under sanctions", || async {
        let dirk = dirk.wallet.to_string();
        let answer = counter.ask(&anna, &counter.body(&anna, "late", "sell", &dirk, 1, 50)).await;
        (code(&answer) == (422, "RECIPIENT_SANCTIONED".into())).then_some(())
    })
    .await;
    counter.floor.life.does(&counter.floor.token_id, "delist", Role::Issuer, 5).await;
    assert_eq!(counter.becomes(&anna, &to_emil, "cancelled").await["reason_code"], "NOT_LISTED");
    counter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_ends_with_its_time_and_each_party_hears_of_its_own_deals() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 0).await;
    let ben = counter.floor.trader("ben", false, 0, 100).await;
    let soon = time::OffsetDateTime::now_utc() + time::Duration::seconds(6);
    let mut body = counter.body(&anna, "soon", "sell", "ben", 10, 50);
    body["expires_at"] = soon.format(&time::format_description::well_known::Rfc3339).unwrap().into();
    let short = counter.propose(&anna, &body).await["id"].clone();
    let ended = counter.becomes(&anna, &short, "expired").await;
    assert_eq!((&ended["reserved"], &ended["reason_code"]), (&json!("0.0"), &Value::Null));
    assert_eq!(counter.accept(&ben, &short).await.status, 409);
    let second = counter.propose(&anna, &counter.body(&anna, "second", "sell", "ben", 10, 50)).await["id"].clone();
    counter.agree(&ben, &second).await;
    counter.becomes(&ben, &second, "settled").await;
    let heard = async |id: &Value, party: &str| -> Vec<String> {
        sqlx::query_scalar(
            "SELECT kind FROM outbox WHERE subject = 'deal:' || $1 AND payload ->> 'party_id' = $2 ORDER BY seq",
        )
        .bind(id.as_str().unwrap())
        .bind(party)
        .fetch_all(&counter.kit().pool)
        .await
        .unwrap()
    };
    for party in ["anna", "ben"] {
        assert_eq!(heard(&short, party).await, ["deal.propose", "deal.expire"]);
        eventually("both hear that it is settled", || async {
            (heard(&second, party).await == ["deal.propose", "deal.accept", "deal.settle"]).then_some(())
        })
        .await;
    }
    let named: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM outbox WHERE payload ->> 'party_id' = 'anna' AND payload::text LIKE '%ben%'",
    )
    .fetch_one(&counter.kit().pool)
    .await
    .unwrap();
    assert_eq!(named, 0, "nobody is named to another one");
    counter.end().await;
}
