//! Starts the parts of the bridge, and stops them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_pipeline::ports::{MAX_STREAM_BYTES, Stream};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::config::Pace;
use crate::counters::Counters;
use crate::first_seen::FirstSeen;
use crate::http::{self, Health};
use crate::intake::Intake;
use crate::kernel::Kernel;
use crate::memory::MemoryBudget;
use crate::pack::Pack;
use crate::protocol::{Protocol, Trust};
use crate::put::{self, Putter};
use crate::quarantine::Quarantine;
use crate::separate::Separate;
use crate::socket::Socket;

/// How often the counters are written to the log.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// All bound sockets of the bridge.
#[derive(Debug)]
pub struct Sockets {
    /// Listeners for datagrams.
    pub udp: Vec<Listener>,
    /// Listener for `/healthz`, `/readyz` and `/metrics`.
    pub http: TcpListener,
}

/// An address that receives datagrams.
#[derive(Debug)]
pub struct Listener {
    /// How its datagrams are parsed.
    pub protocol: Protocol,
    /// All sockets of the address.
    pub sockets: Vec<Arc<Socket>>,
}

/// The bridge cannot listen on an address.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {addr}")]
pub struct BindError {
    addr: SocketAddr,
    #[source]
    source: std::io::Error,
}

impl Sockets {
    /// Binds every address of the configuration, and logs the actual addresses: port 0 requests a free port.
    ///
    /// # Errors
    /// [`BindError`], which names the address.
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
        let (name, profile) = (protocol.name(), protocol.profile().map(|profile| profile.name));
        let receive_buffer = sockets[0].receive_buffer();
        let addr = sockets[0].local_addr()?;
        tracing::info!(protocol = name, profile, sealed, %addr, sockets = cores, receive_buffer, "listening");
        Ok(Self { protocol, sockets: sockets.into_iter().map(Arc::new).collect() })
    }

    /// The actual address.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.sockets[0].local_addr()
    }
}

/// Runs until `stop`. Then it receives no more datagrams, and returns once those in progress are acknowledged, or after
/// `pace.drain`. `clock` tells when an uplink arrives: [`intake::now`](crate::intake::now), or the time of a recorded
/// datagram.
pub async fn run<S: Stream + Send + Sync + 'static>(
    sockets: Sockets,
    stream: S,
    pace: Pace,
    clock: fn() -> At,
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
    let threads = StopOnDrop::default();
    let intakes = Intakes {
        clock,
        linger: pace.linger,
        packs,
        hold: Arc::clone(&hold),
        counters: Arc::clone(&counters),
        separate: Arc::clone(&separate),
    };
    intakes.start(sockets.udp, &threads.0);
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
    tracing::info!("stopping: receiving no more datagrams, completing those in progress");
    health.stop();
    drop(threads);
    // The channel of packs closes with the last thread.
    if timeout(pace.drain, putting).await.is_err() {
        tracing::warn!("some uplinks did not become durable in time; they were not acknowledged");
    }
    counters.report();
    tracing::info!("stopped");
}

/// Handles that the intakes of all sockets share.
struct Intakes {
    clock: fn() -> At,
    linger: Duration,
    packs: UnboundedSender<Pack>,
    hold: Arc<MemoryBudget>,
    counters: Arc<Counters>,
    separate: Arc<Separate>,
}

impl Intakes {
    /// Starts a thread for each socket. The channel of packs closes once all threads have ended.
    fn start(self, listeners: Vec<Listener>, stop: &Arc<AtomicBool>) {
        let limit = Arc::default();
        for Listener { protocol, sockets } in listeners {
            let arrivals = Arc::new(Mutex::new(FirstSeen::new((self.clock)())));
            for socket in sockets {
                let quarantine = socket.local_addr().ok().and_then(|addr| Quarantine::new(&protocol, addr, &limit));
                let intake = Intake { quarantine, ..self.intake(protocol.clone(), socket, Arc::clone(&arrivals)) };
                let stop = Arc::clone(stop);
                std::thread::spawn(move || intake.run(&stop));
            }
        }
    }

    fn intake(&self, protocol: Protocol, socket: Arc<Socket>, arrivals: Arc<Mutex<FirstSeen>>) -> Intake {
        Intake {
            protocol,
            socket,
            arrivals,
            quarantine: None,
            clock: self.clock,
            linger: self.linger,
            packs: self.packs.clone(),
            hold: Arc::clone(&self.hold),
            counters: Arc::clone(&self.counters),
            separate: Arc::clone(&self.separate),
            runtime: Handle::current(),
        }
    }
}

/// Stop flag of the threads, set when it is dropped: dropping a thread's handle does not end the thread.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn report(counters: Arc<Counters>) {
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.tick().await; // the first tick is immediate
    loop {
        ticks.tick().await;
        counters.report();
    }
}
