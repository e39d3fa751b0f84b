//! Errors as people see them: what happened, the details, what to do; and the exit code that goes with it.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Something failed while running.
pub const FAILED: i32 = 1;
/// The keeper's command that was waited for ended without being done.
pub const NOT_DONE: i32 = 3;
/// There is no such thing, or none that the asker may know of.
pub const NOT_THERE: i32 = 4;
/// What is kept is not what was sealed.
pub const ALTERED: i32 = 5;
/// The asker may not do this (`EX_NOPERM`).
pub const NO_PERMISSION: i32 = 77;
/// The settings are wrong or missing (`EX_CONFIG`): starting again without changing them is of no use.
pub const BAD_SETTINGS: i32 = 78;
/// Another process holds what we need (`EX_TEMPFAIL`): trying later may work.
pub const TRY_LATER: i32 = 75;

/// An error with what to do about it. Reads and chains as the error itself.
#[derive(Debug)]
struct Advised {
    cause: anyhow::Error,
    hint: Option<String>,
    code: i32,
}

impl Display for Advised {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.cause, formatter)
    }
}

impl Error for Advised {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

/// Adds advice to a result.
pub trait Advice<T> {
    /// Says what to do about the error.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
    /// Ends the program with this code if the error reaches the top.
    fn code(self, code: i32) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Advice<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            let cause = error.into();
            let code = exit_code(&cause);
            Advised { cause, hint: Some(hint.into()), code }.into()
        })
    }

    fn code(self, code: i32) -> anyhow::Result<T> {
        self.map_err(|error| {
            let cause = error.into();
            let hint = hint_of(&cause).map(str::to_owned);
            Advised { cause, hint, code }.into()
        })
    }
}

fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|cause| cause.downcast_ref::<Advised>()?.hint.as_deref())
}

/// The code to end with.
pub fn exit_code(error: &anyhow::Error) -> i32 {
    error.chain().find_map(|cause| Some(cause.downcast_ref::<Advised>()?.code)).unwrap_or(FAILED)
}

/// The lines to print: `error:`, a `detail:` for each cause, `hint:`.
pub fn text(error: &anyhow::Error) -> String {
    let mut lines = format!("error: {error}");
    for cause in error.chain().skip(1) {
        lines += &format!("\ndetail: {cause}");
    }
    if let Some(hint) = hint_of(error) {
        lines += &format!("\nhint: {hint}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn an_error_reads_as_primary_detail_hint() {
        let error = Err::<(), _>(anyhow!("connection refused"))
            .context("the database does not answer")
            .hint("start it")
            .code(BAD_SETTINGS)
            .unwrap_err();
        assert_eq!(text(&error), "error: the database does not answer\ndetail: connection refused\nhint: start it");
        assert_eq!(exit_code(&error), BAD_SETTINGS);
    }

    #[test]
    fn context_above_advice_keeps_hint_and_code() {
        let error = Err::<(), _>(anyhow!("taken")).code(TRY_LATER).hint("wait").context("cannot start").unwrap_err();
        assert_eq!(text(&error), "error: cannot start\ndetail: taken\nhint: wait");
        assert_eq!(exit_code(&error), TRY_LATER);
    }

    #[test]
    fn an_error_without_advice_is_one_line_and_code_one() {
        let error = anyhow!("no");
        assert_eq!(text(&error), "error: no");
        assert_eq!(exit_code(&error), FAILED);
    }
}
