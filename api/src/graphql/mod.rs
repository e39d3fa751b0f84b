//! `/graphql`: what dapps and dashboards read, in one request, as of the indexed head; and news over a socket.
//!
//! A request is weighed (`limits`), gets a snapshot and its batched loaders (`reader`), and is answered field by
//! field by what its asker may see (`access`). The schema is `api/schema.graphql`.

mod access;
mod cursor;
mod fault;
pub(crate) mod http;
pub(crate) mod limits;
mod live;
mod loaders;
mod meter;
mod page;
mod query;
mod reader;
pub(crate) mod scalars;
pub(crate) mod socket;
mod subscription;
mod types;

use std::sync::LazyLock;

use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{EmptyMutation, Request, Response, SDLExportOptions};

pub use access::Access;
pub(crate) use live::Live;

use self::fault::{Code, Codes, Fault};
use self::meter::Meter;
use self::query::Query;
use self::reader::Reader;
use self::subscription::Subscriptions;
use crate::app::App;

type Schema = async_graphql::Schema<Query, EmptyMutation, Subscriptions>;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::build(Query, EmptyMutation, Subscriptions)
        .extension(Codes)
        .limit_complexity(limits::MAX_COMPLEXITY * limits::ROW)
        .limit_directives(limits::MAX_DIRECTIVES)
        .finish()
});

/// The schema's text, as committed in `api/schema.graphql`.
pub fn sdl() -> String {
    SCHEMA.sdl_with_options(SDLExportOptions::new().include_specified_by())
}

/// Answers one query.
async fn answer(app: &App, access: Access, meter: Meter, mut request: Request) -> Response {
    if let Err(fault) = admit(&mut request) {
        return fault.response();
    }
    let reader = Reader::new(app, access);
    let answer = tokio::time::timeout(limits::TIME, SCHEMA.execute(request.data(reader).data(meter))).await;
    answer.unwrap_or_else(|_| fault::timeout().response())
}

/// Checks a request's size before anything else looks at it; whether it is a subscription.
fn admit(request: &mut Request) -> Result<bool, Fault> {
    limits::check_text(&request.query)?;
    let name = request.operation_name.clone();
    let document = request.parsed_query().map_err(|error| Fault::new(Code::ParseFailed, error.message))?;
    limits::check_document(document)?;
    let operation = match &document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        // One with a name needs no other to choose it.
        DocumentOperations::Multiple(operations) => match name {
            Some(name) => operations.get(name.as_str()),
            None => operations.values().next().filter(|_| operations.len() == 1),
        },
    };
    Ok(operation.is_some_and(|operation| operation.node.ty == OperationType::Subscription))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_served_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, sdl()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == sdl(), "api/schema.graphql is old: UPDATE=1 cargo test -p tokenx-api committed");
    }

    #[test]
    fn there_are_no_mutations() {
        assert!(!sdl().contains("type Mutation") && !sdl().contains("mutation:"));
    }
}
