//! Puts the parts together.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared::ports::Stream;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::config::{Config, Pace};
use crate::gather::{self, Gatherer};
use crate::health::{self, Health};
use crate::intake::{self, Listener};
use crate::protocol::sealed::MasterKeys;
use crate::protocol::{self, Protocol};
use crate::tally::Tally;

/// Records that wait for a request: some twenty seconds' worth of a fleet of 3.6 million, in under 20 MB.
const MAX_WAITING: usize = 20_000;

/// How often the counters are written out.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// Everything the bridge listens on, bound.
#[derive(Debug)]
pub struct Sockets {
    /// For datagrams.
    pub udp: Vec<Listener>,
    /// For `/healthz`.
    pub http: TcpListener,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {addr}")]
pub struct BindError {
    addr: SocketAddr,
    #[source]
    source: std::io::Error,
}

impl Sockets {
    /// Binds every address of the configuration, and logs which they are: port 0 asks for a free one. `keys` are there if
    /// the configuration names a sealed listener.
    ///
    /// # Errors
    /// [`BindError`] naming the address.
    pub async fn bind(config: &Config, keys: Option<&MasterKeys>) -> Result<Self, BindError> {
        let trusted = config.trusted.iter().filter_map(|at| Some((at, Protocol::Trusted(protocol::of(at.profile)?))));
        let sealed = config.sealed.iter().flat_map(|sealed| &sealed.listeners);
        let sealed = sealed.filter_map(|at| Some((at, Protocol::Sealed(keys?.clone()))));
        let mut udp = Vec::new();
        for (at, protocol) in trusted.chain(sealed) {
            let (socket, addr) = bind_udp(at.addr).await.map_err(|source| BindError { addr: at.addr, source })?;
            let sealed = matches!(protocol, Protocol::Sealed(_));
            tracing::info!(protocol = "udp", profile = at.profile.name, sealed, %addr, "listening");
            udp.push(Listener { profile: at.profile, protocol, socket: Arc::new(socket) });
        }
        let failed = |source| BindError { addr: config.health, source };
        let http = TcpListener::bind(config.health).await.map_err(failed)?;
        tracing::info!(protocol = "http", addr = %http.local_addr().map_err(failed)?, "listening");
        Ok(Self { udp, http })
    }
}

async fn bind_udp(addr: SocketAddr) -> std::io::Result<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind(addr).await?;
    let addr = socket.local_addr()?;
    Ok((socket, addr))
}

/// Works until `stop`, then takes no more datagrams, and ends when those it has are acknowledged, or when `pace.drain`
/// is over.
pub async fn run<S: Stream + Send + Sync + 'static>(
    sockets: Sockets,
    stream: S,
    pace: Pace,
    stop: impl Future<Output = ()>,
) {
    let (health, tally) = (Arc::new(Health::default()), Arc::new(Tally::default()));
    let (sender, queue) = mpsc::channel(MAX_WAITING);
    let mut background = JoinSet::new();
    background.spawn(health::serve(sockets.http, Arc::clone(&health)));
    background.spawn(report(Arc::clone(&tally)));
    let mut intakes = JoinSet::new();
    for listener in sockets.udp {
        intakes.spawn(intake::receive(listener, sender.clone(), Arc::clone(&tally)));
    }
    drop(sender);
    let gatherer = Gatherer { stream, linger: pace.linger, health: Arc::clone(&health), tally: Arc::clone(&tally) };
    let gathering = tokio::spawn(gather::run(queue, gatherer));

    stop.await;
    tracing::info!("stopping: takes no more datagrams, finishes those it has");
    health.stop();
    intakes.shutdown().await; // drops the last senders, which closes the queue
    if timeout(pace.drain, gathering).await.is_err() {
        tracing::warn!("not everything became durable in time; none of that was acknowledged");
    }
    tally.report();
    tracing::info!("stopped");
}

async fn report(tally: Arc<Tally>) {
    let mut ticks = interval(REPORT_EVERY);
    loop {
        ticks.tick().await;
        tally.report();
    }
}
