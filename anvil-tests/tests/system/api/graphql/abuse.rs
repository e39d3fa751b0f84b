//! Queries that ask for too much, and input that is none.

use super::*;

#[tokio::test]
async fn a_query_that_asks_for_too_much_is_refused_before_it_runs() {
    let kit = Kit::bare().await;
    let deep = format!("{}x{}", "{ nodes { token ".repeat(7), "}".repeat(14));
    let nested = format!("{}{}", "{ a ".repeat(2_000), "}".repeat(2_000));
    let aliases: String = (0..31).map(|n| format!("a{n}: burns {{ totalCount }} ")).collect();
    let bomb: String = (0..40)
        .map(|n| format!("fragment F{n} on Query {{ ...F{} ...F{} }} ", n + 1, n + 1))
        .chain(["fragment F40 on Query { __typename } { ...F0 }".to_owned()])
        .collect();
    let circular = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
    let rows = "{ tokens(first: 100) { nodes { holdings(first: 100) { nodes { balance } } } } }";
    let introspection = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    for (query, code) in [
        (deep.as_str(), "QUERY_TOO_LARGE"),
        (&nested, "QUERY_TOO_LARGE"),
        (&format!("{{ {aliases} }}"), "QUERY_TOO_LARGE"),
        (&bomb, "QUERY_TOO_LARGE"),
        (introspection, "QUERY_TOO_LARGE"),
        (&format!("{{ __typename }} # {}", "x".repeat(8_192)), "QUERY_TOO_LARGE"),
        (circular, "GRAPHQL_VALIDATION_FAILED"),
        (rows, "QUERY_TOO_COMPLEX"),
        ("query($n: Int) { mints(first: $n) { totalCount } ", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("mutation { mint }", "GRAPHQL_VALIDATION_FAILED"),
    ] {
        assert_eq!(kit.code(None, query).await, code, "{}", &query[..query.len().min(120)]);
    }
    let most = json!({ "n": 500 });
    let variable = "query($n: Int) { tokens(first: $n) { nodes { holdings(first: $n) { totalCount } } } }";
    let answer = kit.ask_with(None, variable, most).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "a variable weighs as its value does");
    kit.end().await;
}

#[tokio::test]
async fn arguments_out_of_range_are_refused_by_name() {
    let kit = Kit::bare().await;
    for (query, word) in [
        ("{ mints(first: -1) { totalCount } }", "first"),
        ("{ mints(first: 501) { totalCount } }", "500"),
        ("{ mints(first: 1, last: 1) { totalCount } }", "exclude"),
        ("{ mints(after: \"bm9uc2Vuc2U\") { totalCount } }", "cursor"),
        ("{ mints(filter: { wallet: \"alice\" }) { totalCount } }", "address"),
        ("{ token { symbol } }", "either"),
    ] {
        let answer = kit.ask(None, query).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{query}: {answer}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(word)), "{query}: {answer}");
    }
    kit.end().await;
}

#[tokio::test]
async fn a_body_that_is_no_request_is_a_problem_and_a_bad_token_is_never_taken_for_none() {
    let kit = Kit::bare().await;
    for body in ["", "[]", "{}", "{\"query\": 1}", "[{\"query\": \"{ __typename }\"}]"] {
        let answer = kit.send(Method::POST, "/graphql", None, Some(body.to_owned())).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let big = json!({ "query": "{ __typename }", "variables": { "x": "y".repeat(40_000) } });
    assert_eq!(kit.post("/graphql", None, &big).await.status, 413);
    assert_eq!(kit.post("/graphql", Some("nonsense"), &json!({ "query": "{ __typename }" })).await.status, 401);
    assert_eq!(kit.get("/graphql", None).await.status, 405);
    let strict = kit.client.post(format!("{}/graphql", kit.url)).header("accept", "application/graphql-response+json");
    let refused = read(strict.json(&json!({ "query": "{ nothing }" }))).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("content-type")),
        (400, Some("application/graphql-response+json"))
    );
    kit.end().await;
}

#[tokio::test]
async fn graphiql_comes_from_the_binary_and_may_load_nothing_from_another_host() {
    let kit = Kit::bare().await;
    let answer = read(kit.client.get(format!("{}/graphql", kit.url)).header("accept", "text/html,*/*;q=0.8")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for directive in policy.split(';') {
        let mut sources = directive.split_whitespace().skip(1);
        assert!(
            sources.all(|source| ["'none'", "'self'", "'unsafe-inline'", "data:"].contains(&source)),
            "{directive}"
        );
    }
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    kit.end().await;
}

#[tokio::test]
async fn the_introspection_query_of_client_libraries_is_answered() {
    let kit = Kit::bare().await;
    let type_reference = format!("{}{}", "ofType { kind name ".repeat(9), "}".repeat(9));
    let query = format!(
        "query IntrospectionQuery {{ __schema {{
           queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }}
           types {{ ...FullType }}
           directives {{ name description locations args {{ ...InputValue }} }} }} }}
         fragment FullType on __Type {{ kind name description
           fields(includeDeprecated: true) {{ name description args {{ ...InputValue }} type {{ ...TypeRef }}
             isDeprecated deprecationReason }}
           inputFields {{ ...InputValue }} interfaces {{ ...TypeRef }}
           enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
           possibleTypes {{ ...TypeRef }} }}
         fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue }}
         fragment TypeRef on __Type {{ kind name {type_reference} }}"
    );
    let schema = kit.data(None, &query).await["__schema"].take();
    assert_eq!(schema["mutationType"], Value::Null, "what writes is REST");
    let names: Vec<&str> =
        schema["types"].as_array().unwrap().iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    for name in
        ["Token", "Holding", "Mint", "Burn", "Transfer", "Command", "NewMint", "Holder", "Freeze", "BigInt", "Address"]
    {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    kit.end().await;
}

#[tokio::test]
async fn queries_cost_the_rows_that_they_may_answer_and_a_poor_account_is_told_when_to_come_back() {
    let kit = Kit::bare_with(|settings| {
        settings.limits.off = false;
        settings.limits.login_per_minute = 100;
        settings.limits.graphql_rows_per_minute = 60;
    })
    .await;
    let ask = async |token: Option<&str>, rows: usize| {
        let query = format!("{{ tokens(first: {rows}) {{ totalCount }} }}");
        kit.post("/graphql", token, &json!({ "query": query })).await
    };
    let issuer = kit.token(Role::Issuer);
    assert_eq!(ask(issuer, 50).await.status, 200);
    let refused = ask(issuer, 50).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let error = &refused.json()["errors"][0]["extensions"];
    assert_eq!((&error["code"], error["retryAfter"].as_u64()), (&json!("TOO_MANY_REQUESTS"), Some(seconds)));
    // A cheap one may pass still; so may somebody else, and whoever has no token pays by the address.
    assert_eq!(ask(issuer, 1).await.status, 200);
    assert_eq!(ask(kit.token(Role::SuperAdmin), 50).await.status, 200);
    assert_eq!((ask(None, 50).await.status.as_u16(), ask(None, 50).await.status.as_u16()), (200, 429));
    kit.end().await;
}
