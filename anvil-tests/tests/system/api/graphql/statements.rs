//! How often a request asks the database.

use std::sync::{Mutex, mpsc};
use std::thread;

use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::*;

/// The statements that sqlx logs on the threads that have this as their subscriber.
#[derive(Clone, Default)]
pub(super) struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// What requests asked, but whether a token is revoked where the list of those is stale.
    pub(super) fn of_requests(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|statement| !statement.contains("revoked_tokens")).cloned().collect()
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if matches!(field.name(), "summary" | "db.statement") {
            self.0.push_str(&format!("{value:?} "));
        }
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        // What the api asks of its own accord is asked in no request's span.
        let of_request = || context.event_span(event).is_some_and(|span| span.name() == "request");
        if event.metadata().target() == "sqlx::query" && of_request() {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

/// A second api on the kit's database, alone on a thread, so that what is logged there are its own statements.
pub(super) fn counted(kit: &Kit) -> (String, Statements, thread::JoinHandle<()>) {
    let statements = Statements::default();
    let (settings, doors, stop) = (kit.settings.clone(), kit.commands.doors(), kit.stop.clone());
    let (told, address) = mpsc::channel();
    let layer = statements.clone();
    let thread = thread::spawn(move || {
        // While there is only one subscriber, what another thread logs first is asked of that thread's and stays off.
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            // A request that needed a second connection would wait for itself.
            let pool = tokenx_migrations::connect(settings.database.url.expose_secret(), 1).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            let commands = Commands::new(pool.clone(), doors);
            let context = tokenx_api::ApiContext { settings: Arc::new(settings), pool: pool.clone(), commands };
            tokenx_api::serve(context, listener, stop).await.unwrap();
            pool.close().await;
        });
    });
    (address.recv().unwrap(), statements, thread)
}

#[tokio::test]
async fn a_level_of_a_query_is_one_statement_and_a_request_one_connection() {
    let mut kit = Kit::whole().await;
    let long = "an-id-that-is-too-long-for-the-chain-to-carry";
    assert_eq!(kit.mint(long, ALICE, "1").await.status, 200);
    kit.holding("1001.0").await;
    let (url, statements, thread) = counted(&kit);
    let own = std::mem::replace(&mut kit.url, url);
    for (query, most) in [
        ("{ tokens(first: 100) { nodes { holdings(first: 10) { nodes { party { partyId } } } } } }", 3),
        ("{ tokens(first: 100) { nodes { holders(first: 10) { nodes { party { partyId } } } } } }", 3),
        (
            "{ tokens(first: 50) { totalCount nodes { mints(first: 5) { totalCount nodes { party { partyId } } } } } }",
            5,
        ),
        ("{ transfers { nodes { fromParty { partyId } toParty { partyId } token { symbol } } } }", 3),
        ("{ mints { nodes { commandId } } }", 3),
        ("{ __typename }", 0),
    ] {
        for role in [Role::SuperAdmin, Role::Issuer, Role::Investor] {
            let before = statements.of_requests().len();
            let data = kit.data(kit.token(role), query).await;
            let asked = statements.of_requests().split_off(before);
            assert!(asked.len() <= most, "{role}: {query}: {asked:#?}");
            assert_eq!(asked.is_empty(), most == 0, "{role}: {query}: counted are {asked:?}: {data}");
        }
    }
    let newest = "{ mints(first: 1) { nodes { commandId } } }";
    let staff = kit.data(kit.token(Role::SuperAdmin), newest).await;
    assert_eq!(staff["mints"]["nodes"][0]["commandId"], long);
    let nobody = kit.data(None, newest).await;
    assert_eq!(nobody["mints"]["nodes"][0]["commandId"], Value::Null, "the chain has only its hash");
    kit.url = own;
    kit.end().await;
    thread.join().unwrap();
}
