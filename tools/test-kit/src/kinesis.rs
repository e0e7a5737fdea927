//! A stand-in for Kinesis and Secrets Manager: an HTTP server on loopback that fails on request.
//!
//! It shares the machine with the program that is measured, so it does little: it counts, and passes records on only if there
//! is a consumer.
//!
//! # Layout
//!
//! - here: the server.
//! - [`rules`]: limits, shards and answers of `PutRecords`, without I/O.
//! - [`put_records`]: reads a request, applies the rules and the fault, and counts.
//! - [`fault`]: the faults.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub mod fault;
pub mod put_records;
pub mod rules;

use fault::Fault;
use put_records::{Answer, Stream, Taken};

use crate::sealed;

/// The stand-in, on a thread of its own. Dropping it stops the server.
pub struct StandIn {
    addr: SocketAddr,
    fault: watch::Sender<Fault>,
    stream: Arc<Stream>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts the server. Every answer to `PutRecords` takes `delay`; the consumer gets the data of each record that is kept.
    ///
    /// # Errors
    /// If the kernel does not give a port.
    pub fn start(delay: Duration, consumer: Option<SyncSender<Vec<u8>>>, seed: u64) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = listener.local_addr()?;
        let stream = Arc::new(Stream::new(consumer, seed));
        let (fault, faults) = watch::channel(Fault::None);
        let served = Served { delay, stream: Arc::clone(&stream), faults };
        let thread = std::thread::spawn(move || runtime.block_on(serve(listener, addr, served)));
        Ok(Self { addr, fault, stream, thread: Some(thread) })
    }

    /// The address of the server.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets the fault from now on.
    pub fn fail(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// What it has kept so far.
    pub fn taken(&self) -> Taken {
        self.stream.taken()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let (closed, _) = watch::channel(Fault::None);
        self.fault = closed; // drops the old sender, which stops `serve`
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Served {
    delay: Duration,
    stream: Arc<Stream>,
    faults: watch::Receiver<Fault>,
}

/// Accepts connections until the sender of faults is dropped. Closes the port while the fault is [`Fault::Absent`].
async fn serve(listener: TcpListener, addr: SocketAddr, served: Served) {
    let mut faults = served.faults.clone();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            changed = faults.changed() => {
                let Ok(()) = changed else { return };
                if *faults.borrow_and_update() == Fault::Absent {
                    listener = None;
                    connections.abort_all();
                } else if listener.is_none() {
                    listener = TcpListener::bind(addr).await.ok();
                }
            }
            Some(stream) = accept(listener.as_ref()) => {
                connections.spawn(connection(stream, served.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => pending().await,
    }
}

async fn connection(stream: TcpStream, served: Served) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let served = served.clone();
        async move { served.answer(request).await }
    });
    // An error is a connection that was closed, by the client or by a fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error that makes hyper close the connection without an answer.
#[derive(Debug)]
struct Hangup;

impl std::fmt::Display for Hangup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("simulated fault: connection closed")
    }
}

impl std::error::Error for Hangup {}

impl Served {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Hangup> {
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
        match target {
            Some("Kinesis_20131202.PutRecords") => self.put_records(request.into_body()).await,
            Some("secretsmanager.GetSecretValue") => Ok(response(StatusCode::OK, secret())),
            _ => Ok(response(StatusCode::BAD_REQUEST, r#"{"__type":"UnknownOperationException"}"#)),
        }
    }

    async fn put_records(self, body: Incoming) -> Result<Response<Full<Bytes>>, Hangup> {
        let fault = *self.faults.borrow();
        if fault == Fault::CloseUnread {
            return Err(Hangup);
        }
        let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
        sleep(self.delay + fault.slowness()).await;
        match self.stream.put(&body, fault) {
            Answer::Body(status, body) => Ok(response(status, body)),
            Answer::Hangup => Err(Hangup),
        }
    }
}

fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

fn secret() -> String {
    let secret = serde_json::json!({
        "ARN": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:keys",
        "Name": "keys",
        "SecretString": sealed::master_keys(),
    });
    secret.to_string()
}
