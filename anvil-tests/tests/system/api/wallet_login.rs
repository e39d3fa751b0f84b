//! Signing in by a wallet's signature.

use alloy::primitives::{Signature, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::*;

const BOB: &str = "bob";

fn at(seconds: i64) -> String {
    let at = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    at.replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap()
}

impl Kit {
    async fn nonce(&self) -> Value {
        let answer = self.post("/auth/wallet/nonce", None, &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// The message that the answer asks for.
    async fn message(&self, address: Address) -> String {
        let nonce = self.nonce().await;
        let text = |name: &str| nonce[name].as_str().unwrap().to_owned();
        format!(
            "{} wants you to sign in with your Ethereum account:\n{address}\n\nSign in to tokenx\n\nURI: {}\nVersion: {}\n\
             Chain ID: {}\nNonce: {}\nIssued At: {}\nExpiration Time: {}",
            text("domain"),
            text("uri"),
            text("version"),
            nonce["chain_id"],
            text("nonce"),
            at(0),
            at(120),
        )
    }

    async fn show(&self, message: &str, signature: &str) -> Answer {
        self.post("/auth/wallet/login", None, &json!({ "message": message, "signature": signature })).await
    }
}

fn sign(signer: &PrivateKeySigner, message: &str) -> String {
    let signature = signer.sign_message_sync(message.as_bytes()).unwrap();
    format!("0x{}", alloy::hex::encode(signature.as_bytes()))
}

#[tokio::test]
async fn an_approved_wallet_signs_its_investor_in_once_a_nonce_and_nobody_else() {
    let kit = Kit::whole().await;
    let bob = PrivateKeySigner::random();
    kit.add_party(BOB).await;
    let user = NewUser {
        email: "bob@example.org".into(),
        password: PASSWORD.to_owned().into(),
        role: Role::Investor,
        issuer_id: None,
        party_id: Some(BOB.into()),
    };
    admin::add_user(&kit.pool, &kit.settings.auth, BY, user).await.unwrap();
    let message = kit.message(bob.address()).await;
    let early = kit.show(&message, &sign(&bob, &message)).await;
    assert_eq!(early.status, 401, "a wallet that nobody knows: {}", early.text);
    let wallet = NewWallet { party_id: PartyId::parse(BOB).unwrap(), kind: WalletKind::SelfCustody(bob.address()) };
    admin::add_wallet(&kit.pool, &kit.commands, BY, wallet).await.unwrap();

    let session = eventually("bob signs in once his wallet is approved", || async {
        let message = kit.message(bob.address()).await;
        let answer = kit.show(&message, &sign(&bob, &message)).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!((&session["user"]["party_id"], &session["user"]["email"]), (&json!(BOB), &json!("bob@example.org")));
    assert_eq!(kit.get("/status", session["access_token"].as_str()).await.status, 200);

    // The same message again, be it signed anew.
    let message = kit.message(bob.address()).await;
    assert_eq!(kit.show(&message, &sign(&bob, &message)).await.status, 200);
    let again = kit.show(&message, &sign(&bob, &message)).await;
    assert_eq!(again.status, 401);
    assert!(again.text.contains("used before"), "{}", again.text);

    // Two at once with one nonce: one gets in.
    let message = kit.message(bob.address()).await;
    let signature = sign(&bob, &message);
    let (one, other) = tokio::join!(kit.show(&message, &signature), kit.show(&message, &signature));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);

    // Each thing that a message says is checked: signed as it stands, and refused.
    let fresh = kit.message(bob.address()).await;
    let nonce_line = fresh.lines().find(|line| line.starts_with("Nonce: ")).unwrap().to_owned();
    let domain = fresh.split(' ').next().unwrap().to_owned();
    let chain = format!("Chain ID: {}", kit.settings.chain.chain_id);
    let altered = [
        ("another domain", fresh.replacen(&domain, "evil.example", 1)),
        ("another URI", fresh.replace("URI: http://", "URI: http://evil.example/?")),
        ("another chain", fresh.replace(&chain, "Chain ID: 1")),
        ("a nonce of one's own", fresh.replace(&nonce_line, "Nonce: 0123456789abcdef")),
        (
            "no time left",
            fresh.replace(&fresh[fresh.find("Expiration").unwrap()..], &format!("Expiration Time: {}", at(-1))),
        ),
        ("not yet", format!("{fresh}\nNot Before: {}", at(60))),
        ("issued tomorrow", fresh.replace("Issued At: 20", "Issued At: 30")),
    ];
    for (what, message) in altered {
        assert_ne!(message, fresh, "{what}");
        let answer = kit.show(&message, &sign(&bob, &message)).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
    }
    // Another's signature, one for another message, and the twin that every signature has.
    let mallory = PrivateKeySigner::random();
    assert_eq!(kit.show(&fresh, &sign(&mallory, &fresh)).await.status, 401);
    assert_eq!(kit.show(&fresh, &sign(&bob, "something else")).await.status, 401);
    let own: Signature = sign(&bob, &fresh).parse().unwrap();
    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
    let twin = Signature::new(own.r(), order - own.s(), !own.v());
    assert_eq!(kit.show(&fresh, &format!("0x{}", alloy::hex::encode(twin.as_bytes()))).await.status, 401);
    // None of these has used the nonce up.
    assert_eq!(kit.show(&fresh, &sign(&bob, &fresh)).await.status, 200);

    for (body, field) in [
        (json!({ "message": "hello", "signature": sign(&bob, "hello") }), "message"),
        (json!({ "message": fresh, "signature": "0x00" }), "signature"),
        (json!({ "message": fresh, "signature": format!("0x{}", "zz".repeat(65)) }), "signature"),
        (json!({ "signature": sign(&bob, "hello") }), "message"),
    ] {
        let answer = kit.post("/auth/wallet/login", None, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    kit.end().await;
}
