//! Puts the parts together.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_pipeline::ports::{MAX_STREAM_BYTES, Stream};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::config::Pace;
use crate::counters::Counters;
use crate::first_seen::FirstSeen;
use crate::http::{self, Health};
use crate::intake::{Intake, now};
use crate::kernel::Kernel;
use crate::memory::MemoryBudget;
use crate::protocol::{Protocol, Trust};
use crate::put::{self, Putter};
use crate::separate::Separate;
use crate::socket::Socket;

/// How often the counters are written out.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// Everything the bridge listens on, bound.
#[derive(Debug)]
pub struct Sockets {
    /// For datagrams.
    pub udp: Vec<Listener>,
    /// For `/healthz`, `/readyz` and `/metrics`.
    pub http: TcpListener,
}

/// An address at which datagrams come in.
#[derive(Debug)]
pub struct Listener {
    /// How they are read.
    pub protocol: Protocol,
    /// All sockets of the address.
    pub sockets: Vec<Arc<Socket>>,
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
    /// Binds every address of the configuration, and logs which they are: port 0 asks for a free one.
    ///
    /// # Errors
    /// [`BindError`] naming the address.
    pub async fn bind(health: SocketAddr, listeners: Vec<(SocketAddr, Protocol)>) -> Result<Self, BindError> {
        let udp = listeners
            .into_iter()
            .map(|(addr, protocol)| Listener::bind(addr, protocol).map_err(|source| BindError { addr, source }));
        let udp = udp.collect::<Result<_, _>>()?;
        let failed = |source| BindError { addr: health, source };
        let http = TcpListener::bind(health).await.map_err(failed)?;
        tracing::info!(protocol = "http", addr = %http.local_addr().map_err(failed)?, "listening");
        Ok(Self { udp, http })
    }
}

impl Listener {
    fn bind(addr: SocketAddr, protocol: Protocol) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let sockets = Socket::bind(addr, cores)?;
        let sealed = matches!(protocol.trust(), Trust::Sealed(_));
        let (name, profile) = match &protocol {
            Protocol::Datagram { profile, .. } => ("udp", Some(profile.name)),
            Protocol::Coap(_) => ("coap", None),
            Protocol::Efento(profile) => ("coap", Some(profile.name)),
        };
        let receive_buffer = sockets[0].receive_buffer();
        let addr = sockets[0].local_addr()?;
        tracing::info!(protocol = name, profile, sealed, %addr, sockets = cores, receive_buffer, "listening");
        Ok(Self { protocol, sockets: sockets.into_iter().map(Arc::new).collect() })
    }

    /// The address, as the system has it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.sockets[0].local_addr()
    }
}

/// Works until `stop`, then takes no more datagrams, and ends when those it has are acknowledged, or when `pace.drain`
/// is over.
pub async fn run<S: Stream + Send + Sync + 'static>(
    sockets: Sockets,
    stream: S,
    pace: Pace,
    stop: impl Future<Output = ()>,
) {
    let hold = Arc::new(MemoryBudget::new(pace.hold));
    let kernel = Kernel::new(sockets.udp.iter().flat_map(|listener| &listener.sockets).filter_map(|at| at.inode()));
    let counters = Arc::new(Counters::new(Arc::clone(&hold), kernel));
    let health = Arc::new(Health::default());
    let separate = Arc::new(Separate::new(Handle::current()));
    let mut background = JoinSet::new();
    background.spawn(http::serve(sockets.http, Arc::clone(&health), Arc::clone(&counters)));
    background.spawn(report(Arc::clone(&counters)));

    let (packs, waiting) = mpsc::unbounded_channel(); // `hold` bounds it
    let stopped = Arc::new(AtomicBool::new(false));
    let stopping = StopOnDrop(Arc::clone(&stopped));
    for Listener { protocol, sockets } in sockets.udp {
        let arrivals = Arc::new(Mutex::new(FirstSeen::new(now())));
        for socket in sockets {
            let intake = Intake {
                protocol: protocol.clone(),
                socket,
                arrivals: Arc::clone(&arrivals),
                linger: pace.linger,
                packs: packs.clone(),
                hold: Arc::clone(&hold),
                counters: Arc::clone(&counters),
                separate: Arc::clone(&separate),
                runtime: Handle::current(),
            };
            let stopped = Arc::clone(&stopped);
            std::thread::spawn(move || intake.run(&stopped));
        }
    }
    drop(packs);
    let putter = Putter {
        stream,
        pace,
        health: Arc::clone(&health),
        counters: Arc::clone(&counters),
        hold,
        separate,
        limit: MAX_STREAM_BYTES.into(),
    };
    let putting = tokio::spawn(put::run(waiting, putter));

    stop.await;
    tracing::info!("stopping: takes no more datagrams, finishes those it has");
    health.stop();
    drop(stopping);
    // The threads end soon, and with the last of them the packs.
    if timeout(pace.drain, putting).await.is_err() {
        tracing::warn!("not everything became durable in time; none of that was acknowledged");
    }
    counters.report();
    tracing::info!("stopped");
}

/// A thread cannot be dropped as a task can, so it is told.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn report(counters: Arc<Counters>) {
    let mut ticks = interval(REPORT_EVERY);
    ticks.tick().await; // the first comes at once
    loop {
        ticks.tick().await;
        counters.report();
    }
}
