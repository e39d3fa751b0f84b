//! A TCP proxy that cuts connections: in front of Postgres, or of a node's WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Passes bytes on until it is told to cut; ends with its owner.
///
/// ```text
/// let cutter = Cutter::before(world.database.url()).await?;
/// settings.database.url = cutter.url().into();      // the same database, through here
/// cutter.cut();                                     // every connection ends, wherever it is
/// cutter.cut_after(5_000);                          // … when so many more bytes have passed, mostly in mid-statement
/// cutter.outage(Duration::from_secs(2)).await;      // … and nobody gets in for two seconds
/// cutter.vanish();                                  // no byte comes through any more, and no end either …
/// cutter.appear();                                  // … save on new connections, from here on
/// ```
#[derive(Debug)]
pub struct Cutter {
    url: Url,
    wire: Arc<Wire>,
    _accepting: AbortOnDropHandle<()>,
}

/// What all connections share.
#[derive(Debug)]
struct Wire {
    target: String,
    refusing: AtomicBool,
    /// Bytes, in either direction, that still pass before everything is cut.
    left: AtomicI64,
    /// Raised by each cut: what was connected before ends.
    cuts: watch::Sender<u64>,
    /// Connections that a cut has ended.
    ended: AtomicU64,
    /// Whether the host behind it has vanished. What is connected then, or tries to meanwhile, never hears of it again.
    vanished: watch::Sender<bool>,
    /// Connections that were tried meanwhile.
    unheard: AtomicU64,
}

const NO_LIMIT: i64 = i64::MAX;

impl Cutter {
    /// A cutter on a free port, in front of what this URL names; it must name host and port.
    pub async fn before(url: &str) -> Result<Self> {
        let mut url: Url = url.parse().context("not a url")?;
        let (host, port) = url.host_str().zip(url.port()).context("the url names no host and port")?;
        let wire = Arc::new(Wire {
            target: format!("{host}:{port}"),
            refusing: AtomicBool::new(false),
            left: AtomicI64::new(NO_LIMIT),
            cuts: watch::Sender::new(0),
            ended: AtomicU64::new(0),
            vanished: watch::Sender::new(false),
            unheard: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(address.port())).ok().context("the url takes no port")?;
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, wire.clone())));
        Ok(Self { url, wire, _accepting: accepting })
    }

    /// The URL, by way of this cutter.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// Ends every connection now.
    pub fn cut(&self) {
        self.wire.cut();
    }

    /// Ends every connection once so many more bytes have passed, both directions and all connections counted
    /// together: in the middle of a statement, or of its answer. Once; new connections go on without limit.
    pub fn cut_after(&self, bytes: u32) {
        self.wire.left.store(bytes.into(), Ordering::SeqCst);
    }

    /// Ends every connection and refuses new ones for a time.
    pub async fn outage(&self, time: Duration) {
        self.wire.refusing.store(true, Ordering::SeqCst);
        self.cut();
        tokio::time::sleep(time).await;
        self.wire.refusing.store(false, Ordering::SeqCst);
    }

    /// The host vanishes: connections stay, and no byte comes through. Who connects waits for ever.
    pub fn vanish(&self) {
        self.wire.vanished.send_replace(true);
    }

    /// It is there again, for who connects from here on.
    pub fn appear(&self) {
        self.wire.vanished.send_replace(false);
    }

    /// Connections that were tried while the host had vanished.
    pub fn unheard(&self) -> u64 {
        self.wire.unheard.load(Ordering::SeqCst)
    }

    /// Connections that were cut so far.
    pub fn ended(&self) -> u64 {
        self.wire.ended.load(Ordering::SeqCst)
    }
}

impl Wire {
    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many of these bytes still pass. The last ones that do cut everything behind them.
    fn pass(&self, bytes: usize) -> usize {
        let wanted = i64::try_from(bytes).unwrap_or(NO_LIMIT);
        let mut granted = wanted;
        let _ = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            granted = wanted.min(left);
            Some(if left == NO_LIMIT || granted < wanted { NO_LIMIT } else { left - granted })
        });
        usize::try_from(granted).unwrap_or(bytes)
    }
}

async fn accept(listener: TcpListener, wire: Arc<Wire>) {
    while let Ok((client, _)) = listener.accept().await {
        // Refused ones are dropped: connected, and gone before the first byte.
        if !wire.refusing.load(Ordering::SeqCst) {
            tokio::spawn(carry(client, wire.clone()));
        }
    }
}

/// Carries one connection until either side ends it, or a cut.
async fn carry(client: TcpStream, wire: Arc<Wire>) {
    let (mut cuts, mut vanished) = (wire.cuts.subscribe(), wire.vanished.subscribe());
    if *vanished.borrow() {
        wire.unheard.fetch_add(1, Ordering::SeqCst);
        return std::future::pending().await;
    }
    let Ok(server) = TcpStream::connect(&wire.target).await else { return };
    // Small messages go to and fro: none may wait for another.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        _ = cuts.changed() => {
            wire.ended.fetch_add(1, Ordering::SeqCst);
        }
        _ = vanished.changed() => std::future::pending().await,
        _ = pump(from_client, to_server, &wire) => {}
        _ = pump(from_server, to_client, &wire) => {}
    }
}

async fn pump(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, wire: &Wire) -> Option<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        let granted = wire.pass(read);
        to.write_all(&buffer[..granted]).await.ok()?;
        if granted < read {
            wire.ended.fetch_add(1, Ordering::SeqCst);
            wire.cut();
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that gives back what it gets, behind a cutter, and a connection to it.
    async fn echo() -> (Cutter, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://user:secret@{}/name", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        let cutter = Cutter::before(&url).await.unwrap();
        let stream = connect(&cutter).await;
        (cutter, stream)
    }

    async fn connect(cutter: &Cutter) -> TcpStream {
        TcpStream::connect(("127.0.0.1", cutter.url.port().unwrap())).await.unwrap()
    }

    /// What comes back of a text.
    async fn said(stream: &mut TcpStream, text: &[u8]) -> Vec<u8> {
        let mut back = vec![0; text.len()];
        if stream.write_all(text).await.is_err() {
            return Vec::new();
        }
        let mut length = 0;
        while length < text.len()
            && let Ok(read @ 1..) = stream.read(&mut back[length..]).await
        {
            length += read;
        }
        back.truncate(length);
        back
    }

    #[tokio::test]
    async fn the_url_keeps_everything_but_the_place() {
        let (cutter, mut stream) = echo().await;
        let url = cutter.url();
        assert!(url.starts_with("postgres://user:secret@127.0.0.1:") && url.ends_with("/name"), "{url}");
        assert_eq!(said(&mut stream, b"all of it").await, b"all of it");
    }

    #[tokio::test]
    async fn a_cut_ends_what_is_connected_and_nothing_else() {
        let (cutter, mut stream) = echo().await;
        assert_eq!(said(&mut stream, b"before").await, b"before");
        cutter.cut();
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        assert_eq!(said(&mut connect(&cutter).await, b"after").await, b"after");
        assert_eq!(cutter.ended(), 1);
    }

    #[tokio::test]
    async fn a_cut_after_bytes_lets_just_those_pass() {
        let (cutter, mut stream) = echo().await;
        cutter.cut_after(10);
        // Six there and four of them back.
        assert_eq!(said(&mut stream, b"sixsix").await, b"sixs");
        assert_eq!(said(&mut connect(&cutter).await, b"again").await, b"again");
    }

    #[tokio::test]
    async fn an_outage_refuses_for_its_time() {
        let (cutter, _stream) = echo().await;
        let outage = cutter.outage(Duration::from_millis(200));
        let during = async { said(&mut connect(&cutter).await, b"during").await };
        let ((), during) = tokio::join!(outage, during);
        assert_eq!(during, b"");
        assert_eq!(said(&mut connect(&cutter).await, b"after").await, b"after");
    }
}
