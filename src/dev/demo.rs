//! The demo world as a whole: made once, remembered where the data folder is kept, told to scripts and to people.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokenx_config::Settings;

use super::PAUSE;
use super::contracts::Contracts;
use super::env::Environment;
use super::people::{BOB_KEY, People};
use crate::failure::Advice;
use crate::local::write_secret;
use crate::table;

/// Contracts and people, and the chain they are on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Demo {
    /// Hash of the chain's first block.
    pub(crate) genesis: String,
    pub(crate) contracts: Contracts,
    pub(crate) people: People,
}

impl Demo {
    /// What an earlier run remembered. A kept database is a view of one chain: refuses another one's.
    pub(crate) fn read(path: &Path, genesis: &str) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let demo: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not of this version", path.display()))
            .hint("start once without --keep, which begins anew")?;
        if demo.genesis == genesis {
            return Ok(demo);
        }
        Err(anyhow!(
            "the kept database follows a chain that began with {}, the kept chain began with {genesis}",
            demo.genesis
        ))
        .hint("start once without --keep, which begins anew")
    }

    /// Remembers it for `--keep`; it holds passwords.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        write_secret(path, &serde_json::to_string_pretty(self)?)
    }

    /// Signs everyone in over HTTP, as they would themselves, and lists what scripts need.
    pub(crate) async fn environment(&self, settings: &Settings) -> Result<Environment> {
        let base_url = format!("http://{}", settings.server.bind);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        self.seen(&client, &base_url).await?;
        let mut environment = Environment::default();
        environment.set("BASE_URL", &base_url);
        for login in &self.people.logins {
            let body = json!({ "email": login.email, "password": login.password });
            let answer = client.post(format!("{base_url}/auth/login")).json(&body).send().await?.error_for_status()?;
            let answer: Value = answer.json().await?;
            let token = answer["access_token"].as_str().with_context(|| format!("no token for {}", login.email))?;
            environment.set(&login.variable, token);
            // Whom `tokenx token` and `tokenx command` ask, and as whom.
            if login.variable == "TOKEN_ISSUER" {
                environment.set("TOKENX_API_URL", &base_url);
                environment.set("TOKENX_TOKEN", token);
            }
        }
        environment.set("TOKEN_SERVICE_READ", &self.people.service_read);
        for investor in &self.people.investors {
            let name = investor.name.to_uppercase();
            let login = self.people.logins.iter().find(|login| login.variable == format!("TOKEN_{name}"));
            let login = login.with_context(|| format!("{name} cannot sign in"))?;
            environment.set(format!("{name}_EMAIL"), &login.email);
            environment.set(format!("{name}_PASSWORD"), &login.password);
            environment.set(format!("{name}_PARTY_ID"), &investor.party_id);
            environment.set(format!("{name}_WALLET_ID"), investor.wallet_id);
            environment.set(format!("{name}_ADDRESS"), investor.address);
        }
        environment.set("BOB_PRIVATE_KEY", format!("0x{BOB_KEY}"));
        environment.set("BOB_HOSTED_WALLET_ID", self.people.hosted.wallet_id);
        environment.set("BOB_HOSTED_ADDRESS", self.people.hosted.address);
        environment.set("RPC_URL", settings.chain.rpc_url.expose_secret());
        environment.set("DATABASE_URL", settings.database.url.expose_secret());
        let issuer = self.contracts.issuers.first().context("no issuer")?;
        environment.set("NODE_ID", &issuer.node_id);
        environment.set("TREASURY_ADDRESS", issuer.treasury);
        environment.set("EXECUTOR_ADDRESS", issuer.executor);
        environment.set("REGISTRY_ADDRESS", self.contracts.registry);
        environment.set("TOKEN_ADDRESS", issuer.token);
        environment.set("PAYMENT_TOKEN_ADDRESS", self.contracts.payment_token);
        environment.set("CURRENCY_ID", &self.contracts.currency_id);
        environment.set("CONFIRMATIONS", settings.chain.confirmations);
        Ok(environment)
    }

    /// Waits until the first snapshot of `/status` has the instruments.
    async fn seen(&self, client: &reqwest::Client, base_url: &str) -> Result<()> {
        loop {
            let status = client.get(format!("{base_url}/status")).bearer_auth(&self.people.service_read).send().await?;
            let status: Value = status.json().await?;
            if self.contracts.issuers.iter().all(|issuer| status["tokens"].get(&issuer.instrument).is_some()) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The table that a person reads.
    pub(crate) fn table(&self, settings: &Settings, data_dir: &Path) -> String {
        let pair = |key: &str, value: String| (key.to_owned(), value);
        let base_url = format!("http://{}", settings.server.bind);
        let mut places = vec![
            pair("API", base_url.clone()),
            pair("API docs", format!("{base_url}/docs")),
            pair("GraphQL", format!("{base_url}/graphql")),
            pair(
                "chain",
                format!("{}  (chain id {})", settings.chain.rpc_url.expose_secret(), settings.chain.chain_id),
            ),
            pair("database", settings.database.url.expose_secret().to_owned()),
            pair("registry", self.contracts.registry.to_string()),
            pair("factory", self.contracts.factory.to_string()),
            pair("TestUSD", self.contracts.payment_token.to_string()),
        ];
        places.extend(self.contracts.issuers.iter().map(|issuer| pair(&issuer.instrument, issuer.token.to_string())));
        places.extend(
            self.people
                .investors
                .iter()
                .map(|one| pair(&one.party_id, format!("{}  (wallet of {})", one.address, one.name))),
        );
        let logins: Vec<_> = self
            .people
            .logins
            .iter()
            .map(|login| {
                vec![
                    pair("role", login.role.clone()),
                    pair("email", login.email.clone()),
                    pair("password", login.password.clone()),
                    pair("token in dev.env", login.variable.clone()),
                ]
            })
            .collect();
        format!(
            "\n{}\n{}\nin another terminal:\n  source {}\n  curl -H \"Authorization: Bearer $TOKEN\" \"$BASE_URL/status\"\nCtrl-C ends everything\n",
            table::pairs(&places),
            table::columns(&logins),
            data_dir.join("dev.env").display(),
        )
    }
}
