//! `tokenx migrate`.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use secrecy::ExposeSecret;

use crate::settings::Flags;

/// Applies the migrations the database lacks, straight to the server: a pooler would hand its lock to someone else.
pub(crate) async fn run(flags: &Flags) -> Result<()> {
    let settings = flags.read()?;
    let pool = tokenx_migrations::connect(settings.database.direct_url().expose_secret(), 1)
        .await
        .context("cannot open the database")?;
    tokenx_migrations::migrate(&pool).await?;
    writeln!(stdout(), "the database is at this version's migrations")?;
    Ok(())
}
