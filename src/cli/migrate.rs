//! `tokenx migrate`.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use clap::Args;
use secrecy::ExposeSecret;

use crate::settings::Flags;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Let this role serve: read and write, but own nothing and change nothing that was audited
    #[arg(long, value_name = "ROLE")]
    app_role: Option<String>,
}

const HELP: &str = "\
The role that runs it owns the tables. For production make two, and let the processes have the second one's URL:
  CREATE ROLE tokenx LOGIN PASSWORD '…';
  TOKENX__DATABASE__URL=postgres://owner:…@host/name tokenx migrate --app-role tokenx
`tokenx reindex` makes tables of its own: it wants the owner's URL too.";

/// Applies the migrations the database lacks, straight to the server: a pooler would hand its lock to someone else.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let settings = arguments.flags.read()?;
    let pool = tokenx_migrations::connect(settings.database.direct_url().expose_secret(), 1)
        .await
        .context("cannot open the database")?;
    tokenx_migrations::migrate(&pool).await?;
    writeln!(stdout(), "the database is at this version's migrations")?;
    if let Some(role) = &arguments.app_role {
        tokenx_migrations::open_to(&pool, role).await.with_context(|| format!("cannot let {role} serve"))?;
        writeln!(stdout(), "{role} may serve")?;
    }
    Ok(())
}
