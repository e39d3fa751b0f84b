//! Many who want the last ones.

use tokenx_contracts::bindings::Listing;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_forty_racing_for_the_last_ten_units_ten_are_sold_and_nobody_else_is_charged() {
    let fair = Fair::open(json!({ "exemption": "506c", "salable_percentage": 1 })).await;
    let others = [fair.another("erin").await, fair.another("finn").await, fair.another("gail").await];
    let buyers = [&fair.dora, &others[0], &others[1], &others[2]];
    let body = |n: usize| Fair::hosted(buyers[n % 4], &format!("race-{n}"), 1);
    let bodies: Vec<Value> = (0..40).map(body).collect();
    let asked = bodies.iter().enumerate().map(|(n, body)| fair.ask(buyers[n % 4], body));
    let answers = futures::future::join_all(asked).await;
    let taken: Vec<(usize, Value)> =
        answers.iter().enumerate().filter(|(_, a)| a.status == 202).map(|(n, a)| (n, a.json()["id"].clone())).collect();
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!(code(answer), (422, "SOLD_OUT".into()), "{}", answer.text);
    }
    assert_eq!(taken.len(), 10);
    for (n, id) in &taken {
        fair.becomes(buyers[n % 4], id, "completed").await;
    }
    let (mut units, mut money) = (U256::ZERO, U256::ZERO);
    for buyer in buyers {
        let [has, left] = fair.books(buyer.hosted.1).await;
        (units, money) = (units + has, money + left);
    }
    assert_eq!((units, money), (tokens(10), usd(4 * MONEY - 300)));
    let supply = fair.view(fair.listing(), Listing::supplyOfCall { token: fair.token }).await;
    assert_eq!(U256::from(supply.purchased), tokens(10));
    assert_eq!(fair.open_reservations().await, 0);
    fair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_was_faster_to_buy_fails_and_costs_nothing() {
    let fair = Fair::open(json!({ "exemption": "506c", "salable_percentage": 1 })).await;
    let (kit, dora) = (fair.kit(), &fair.dora);
    // The lane stands still while somebody buys who has reserved nothing.
    sqlx::query("UPDATE lanes SET halted_reason = 'a test'").execute(&kit.pool).await.unwrap();
    let asked = fair.ask(dora, &Fair::hosted(dora, "late", 10)).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    assert_eq!(asked.json()["status"], "pending");
    // What is reserved is not there for others.
    assert_eq!(code(&fair.ask(dora, &Fair::own(dora, "more", 1)).await), (422, "SOLD_OUT".into()));
    let own = dora.own.0.address();
    kit.transact(own, fair.money(), TestUSD::approveCall { spender: fair.listing(), value: usd(90) }).await;
    let (token, quantity, money) = (fair.token, tokens(3), fair.money());
    kit.transact(own, fair.listing(), Listing::buyCall { token, quantity, paymentToken: money, maxCost: usd(90) })
        .await;
    sqlx::query("UPDATE lanes SET halted_reason = NULL").execute(&kit.pool).await.unwrap();
    let failed = fair.becomes(dora, &asked.json()["id"], "failed").await;
    assert_eq!(failed["reason_code"], "SOLD_OUT", "{failed}");
    assert_eq!(fair.books(dora.hosted.1).await, [U256::ZERO, usd(MONEY)]);
    assert_eq!(fair.open_reservations().await, 0);
    // What is left is there again.
    fair.subscribes(dora, &Fair::hosted(dora, "rest", 7), "completed").await;
    fair.end().await;
}
