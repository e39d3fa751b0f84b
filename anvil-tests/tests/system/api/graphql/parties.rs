//! Who is behind an address shows to whom the policy lets it.

use super::*;

const WHO: &str = "{ holdings { nodes { wallet party { partyId } } } mints { nodes { party { partyId } } }
                     transfers { nodes { fromParty { partyId } toParty { partyId } } } }";

/// What the three lists call the holder.
fn names(data: &Value) -> [&Value; 3] {
    [
        &data["holdings"]["nodes"][0]["party"],
        &data["mints"]["nodes"][0]["party"],
        &data["transfers"]["nodes"][0]["toParty"],
    ]
}

#[tokio::test]
async fn a_party_shows_to_itself_to_its_issuer_and_to_staff_and_is_null_to_others() {
    let kit = Kit::whole().await;
    let alice = json!({ "partyId": ALICE });
    let other_issuer = kit.other_issuer().await;
    for role in Role::ALL {
        let data = kit.data(kit.token(role), WHO).await;
        assert_eq!(names(&data), [&alice; 3], "{role}");
        assert_eq!(data["transfers"]["nodes"][0]["fromParty"], Value::Null, "the zero address is nobody");
    }
    for (who, token) in [("nobody", None), ("another issuer", Some(other_issuer.as_str()))] {
        let data = kit.data(token, WHO).await;
        assert_eq!(names(&data), [&Value::Null; 3], "{who}");
        assert!(data["holdings"]["nodes"][0]["wallet"].is_string(), "{who}: the address itself is public");
    }
    let (_, ops) = kit.service_token(Role::SuperAdmin, None, &[Scope::OpsRead]).await;
    assert_eq!(names(&kit.data(Some(&ops), WHO).await), [&Value::Null; 3], "a scope that reads no holdings");
    let (_, data) = kit.service_token(Role::SuperAdmin, None, &[Scope::DataRead]).await;
    assert_eq!(names(&kit.data(Some(&data), WHO).await), [&alice; 3]);
    kit.end().await;
}

#[tokio::test]
async fn a_filter_by_party_is_for_those_who_may_see_the_party() {
    let kit = Kit::whole().await;
    let other_issuer = kit.other_issuer().await;
    let by = |party: &str| {
        format!(
            "{{ mints(filter: {{ party: \"{party}\" }}) {{ totalCount }} holdings(filter: {{ party: \"{party}\" }})
             {{ nodes {{ balance }} }} }}"
        )
    };
    for role in Role::ALL {
        let data = kit.data(kit.token(role), &by(ALICE)).await;
        assert_eq!(
            (&data["mints"]["totalCount"], &data["holdings"]["nodes"][0]["balance"]),
            (&json!(1), &json!("1000.0"))
        );
    }
    let data = kit.data(Some(&other_issuer), &by(ALICE)).await;
    assert_eq!(data, json!({ "mints": { "totalCount": 0 }, "holdings": { "nodes": [] } }), "none in its instruments");
    let data = kit.data(kit.token(Role::SuperAdmin), &by("unheard-of")).await;
    assert_eq!(data["mints"]["totalCount"], 0);
    // Refused alike, whether there is such a party or not.
    for party in [ALICE, CAROL, "unheard-of"] {
        let query = format!("{{ mints(filter: {{ party: \"{party}\" }}) {{ totalCount }} }}");
        let answer = kit.ask(None, &query).await;
        assert_eq!(answer["data"]["mints"], Value::Null);
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
        if party != ALICE {
            assert_eq!(kit.code(kit.token(Role::Investor), &query).await, "FORBIDDEN");
        }
    }
    kit.end().await;
}

#[tokio::test]
async fn status_shows_an_issuer_its_own_instruments() {
    let kit = Kit::whole().await;
    let other_issuer = kit.other_issuer().await;
    let query = "{ status { updatedAt blockNumber tokens { instrumentId totalSupply uniqueHolders topHolderShare } } }";
    let status = eventually("the monitor has passed over the mint", || async {
        let mut status = kit.data(kit.token(Role::SuperAdmin), query).await["status"].take();
        (status["tokens"][0]["totalSupply"] == "1000.0").then(|| status["tokens"].take())
    })
    .await;
    assert_eq!(status.as_array().unwrap().len(), 2);
    assert_eq!((&status[0]["uniqueHolders"], &status[0]["topHolderShare"]), (&json!(1), &json!("1.0")));
    for (token, own) in [(kit.token(Role::Issuer), "rCC"), (Some(other_issuer.as_str()), "rDD")] {
        let tokens = kit.data(token, query).await["status"]["tokens"].take();
        assert_eq!((tokens.as_array().unwrap().len(), &tokens[0]["instrumentId"]), (1, &json!(own)));
    }
    assert_eq!(kit.code(None, query).await, "UNAUTHENTICATED");
    kit.end().await;
}
