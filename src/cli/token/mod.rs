//! `tokenx token`: an issuer's tokens, at a running API.

mod create;
mod shown;

use std::io::{Write, stdout};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokenx_api::tokens::status::Status;

use self::shown::Shown;
use super::command::{self, Place, Wait};
use super::remote::{self, Api, Failure};
use crate::failure::{Advice, NOT_THERE};
use crate::table;

/// Where tokens are.
const TOKENS: [&str; 3] = ["v2", "admin", "token"];
/// Tokens asked for at once.
const PAGE: usize = 1_000;

/// `tokenx token`.
#[derive(Debug, Args)]
#[command(after_long_help = remote::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    remote: remote::Flags,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token's record, a draft: nothing is on chain before `deploy`
    #[command(after_long_help = examples(CREATE))]
    Create(create::Fields),
    /// Have a draft, or one whose deployment failed, deployed, and wait until the chain has it
    #[command(after_long_help = examples(DEPLOY))]
    Deploy(Deploy),
    /// List tokens, newest first: an issuer's own, staff all
    #[command(after_long_help = examples(LIST))]
    List(List),
    /// Show one
    #[command(after_long_help = examples(SHOW))]
    Show {
        /// Its id, or its instrument's
        token: String,
    },
}

#[derive(Debug, Args)]
struct Deploy {
    /// Its id, or its instrument's
    token: String,
    /// How much may be minted in a UTC day, in whole tokens; the maximum supply if not said
    #[arg(long, value_name = "TOKENS")]
    daily_mint_limit: Option<String>,
    /// How much may be burnt, and as much placed under holds
    #[arg(long, value_name = "TOKENS")]
    daily_burn_limit: Option<String>,
    /// How much may be moved, and as much burnt, by force
    #[arg(long, value_name = "TOKENS")]
    daily_force_limit: Option<String>,
    /// A name of your own for this request: sent again with it, the answer is the same command
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Return once the command is accepted
    #[arg(long, conflicts_with_all = ["until", "timeout"])]
    no_wait: bool,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
struct List {
    /// At most so many; all if not said
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Only in this state: Draft, InProgress, Error, NotListed, Delisted, Listed, Passive, Burn, or its number
    #[arg(long, value_parser = status)]
    status: Option<u8>,
    /// Only of this node
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// Only standard ones (0), or only special ones (1)
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<u8>,
    /// Only public ones, or only others
    #[arg(long, value_name = "BOOL")]
    public: Option<bool>,
    /// Only those with this in a name or in the symbol
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

const CREATE: &str = "\
  tokenx token create --file record.json
  tokenx token create --node \"$NODE_ID\" --category real-estate --name \"Harbour House\" --symbol HHS \\
      --max-supply 1000 --price 30 --total-value 30000 --salable 80 --currency \"$CURRENCY_ID\"
  jq '.token_symbol = \"HH2\"' record.json | tokenx token create --file - --name \"Harbour House 2\"

The file holds the record as the API takes it (its /docs describe each field); a flag goes over what the file says. What the
API refuses is listed field by field, and nothing is made.";

const DEPLOY: &str = "\
  tokenx token deploy HHS
  tokenx token deploy 67d8774e903bfcbe7eb5d93e --no-wait --json | jq -r .command_id

Asked again while it is on its way, it is the same command and is waited for again.";

const LIST: &str = "\
  tokenx token list
  tokenx token list --status NotListed --search harbour
  tokenx token list --json | jq -r '.items[].id'        # one line a page, of up to 1,000 tokens";

const SHOW: &str = "\
  tokenx token show HHS
  tokenx token show 67d8774e903bfcbe7eb5d93e --json | jq .value";

fn examples(of: &str) -> String {
    format!("{of}\n\n{}", remote::HELP)
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let api = arguments.remote.connect()?;
    let json = arguments.remote.json;
    match arguments.what {
        What::Create(fields) => {
            let made = api.post(&TOKENS, fields.body()?, None).await.map_err(Failure::told)?;
            print(&made, json)
        }
        What::Deploy(asked) => deploy(&api, asked, json).await,
        What::List(filter) => list(&api, &filter, json).await,
        What::Show { token } => print(&find(&api, &token).await?, json),
    }
}

fn print(body: &str, json: bool) -> Result<()> {
    if json {
        return remote::print(body);
    }
    Ok(write!(stdout(), "{}", table::pairs(&Shown::read(body)?.pairs()))?)
}

/// The token of an id, its own or its instrument's, as the API shows it.
async fn find(api: &Api, token: &str) -> Result<String> {
    if token.len() == 24 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        match api.get(&at(token), &[]).await {
            // An instrument may be called so, too.
            Err(failure) if failure.is_absent() => {}
            found => return found.map_err(Failure::told),
        }
    }
    let query = [("instrument_id", token.to_owned()), ("limit", "1".to_owned())];
    let page = api.get(&TOKENS, &query).await.map_err(Failure::told)?;
    match Page::read(&page)?.items.first() {
        Some(token) => api.get(&at(&token.id), &[]).await.map_err(Failure::told),
        None => Err(anyhow!("there is no token {token:?}, or none that you may see"))
            .hint("name it by its id or its instrument's: `tokenx token list` shows the tokens that you may see")
            .code(NOT_THERE),
    }
}

fn at(token_id: &str) -> Vec<&str> {
    [&TOKENS[..], &[token_id]].concat()
}

async fn deploy(api: &Api, asked: Deploy, json: bool) -> Result<()> {
    let token = find(api, &asked.token).await?;
    let id = Shown::read(&token)?.id;
    let limits = [
        ("daily_mint_limit", asked.daily_mint_limit),
        ("daily_burn_limit", asked.daily_burn_limit),
        ("daily_force_limit", asked.daily_force_limit),
    ];
    // As text, which the API reads digit by digit.
    let body: Map<String, Value> =
        limits.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?.into()))).collect();
    let path = [&at(&id)[..], &["deploy"]].concat();
    let command = api.post(&path, Value::Object(body).to_string(), asked.idempotency_key.as_deref()).await;
    let command = command.map_err(Failure::told)?;
    if asked.no_wait {
        return command::print(&command, json);
    }
    #[derive(Deserialize)]
    struct Answered {
        command_id: String,
    }
    let Answered { command_id } =
        serde_json::from_str(&command).context("the API answered something else than a command")?;
    command::watch(api, &Place::Tokens.of(&command_id), asked.wait, json).await
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Shown<'a>>,
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn read(body: &'a str) -> Result<Self> {
        serde_json::from_str(body)
            .context("the API answered something else than a list of tokens: is it another version?")
    }
}

async fn list(api: &Api, filter: &List, json: bool) -> Result<()> {
    let mut left = filter.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let body = api.get(&TOKENS, &filter.query(left.min(PAGE), cursor)).await.map_err(Failure::told)?;
        let page = Page::read(&body)?;
        left = left.saturating_sub(page.items.len());
        if json {
            remote::print(&body)?;
        } else {
            rows.extend(page.items.iter().map(Shown::row));
        }
        cursor = page.next_cursor.filter(|_| left > 0);
        if cursor.is_none() {
            break;
        }
    }
    if json {
        return Ok(());
    }
    let text = if rows.is_empty() { "none\n".to_owned() } else { table::columns(&rows) };
    Ok(write!(stdout(), "{text}")?)
}

impl List {
    fn query(&self, limit: usize, cursor: Option<String>) -> Vec<(&'static str, String)> {
        let filters = [
            ("limit", Some(limit.to_string())),
            ("cursor", cursor),
            ("status", self.status.map(|status| status.to_string())),
            ("node_id", self.node.clone()),
            ("type", self.kind.map(|kind| kind.to_string())),
            ("is_public", self.public.map(|public| public.to_string())),
            ("search", self.search.clone()),
        ];
        filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

fn status(text: &str) -> Result<u8, String> {
    let named = |status: &Status| status.name().eq_ignore_ascii_case(text) || status.code().to_string() == text;
    let found = Status::ALL.into_iter().find(named).map(Status::code);
    found.ok_or_else(|| format!("use one of {}, or its number", Status::ALL.map(Status::name).join(", ")))
}
