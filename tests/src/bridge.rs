//! A bridge in this process, on free ports, in front of a stream that fails on purpose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared::config::Settings;
use shared::fakes::FakeStream;
use shared::uplink::Uplink;
use shared::{aggregate, envelope};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use udp_bridge::config::Config;
use udp_bridge::protocol::Protocol;
use udp_bridge::protocol::sealed::MasterKeys;
use udp_bridge::server::{self, Sockets};

use crate::document;

/// Longer than anything here takes; a test that waits for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The profile of every listener.
pub const PROFILE: &str = "adeunis-pulse4-nbiot";

/// A running bridge. Its master key is the worked example's.
#[derive(Debug)]
pub struct Bridge {
    /// Where it puts what it has received.
    pub stream: Arc<FakeStream>,
    /// Takes sealed datagrams.
    pub sealed: SocketAddr,
    coap: Option<SocketAddr>,
    coap_trusted: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Bridge {
    /// Starts one.
    pub async fn start() -> Self {
        let config = Config::from_settings(&Settings::new(&setting)).unwrap();
        let keys: MasterKeys = serde_json::json!({ "1": document::text("master key 1") }).to_string().parse().unwrap();
        let sockets = Sockets::bind(&config, Some(&keys)).await.unwrap();
        let sealed = sockets.udp.iter().find(|at| matches!(at.protocol, Protocol::Sealed(_))).unwrap();
        let sealed = sealed.socket.local_addr().unwrap();
        let (coap, coap_trusted) = (None, None);
        let (stop, stopped) = oneshot::channel();
        let stream = Arc::new(FakeStream::default());
        let running = tokio::spawn(server::run(sockets, Arc::clone(&stream), config.pace, async {
            let _ = stopped.await;
        }));
        Self { stream, sealed, coap, coap_trusted, stop, running }
    }

    /// Takes sealed payloads in CoAP.
    pub fn coap(&self) -> SocketAddr {
        self.coap.expect("the bridge listens for CoAP")
    }

    /// Takes vendors' payloads in CoAP.
    pub fn coap_trusted(&self) -> SocketAddr {
        self.coap_trusted.expect("the bridge listens for trusted CoAP")
    }

    /// Stops it and gives what has become durable.
    pub async fn stop(self) -> Vec<Uplink> {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.running).await.expect("the bridge ends").unwrap();
        let records = self.stream.records().into_iter();
        let envelopes = records.flat_map(|record| aggregate::user_records(&record.data).expect("an aggregated record"));
        envelopes.flat_map(|envelope| envelope::unpack(&envelope).unwrap().uplinks).collect()
    }
}

fn setting(name: &str) -> Option<String> {
    let value = match name {
        "STREAM_NAME" | "MASTER_KEYS_SECRET_ID" => "unused",
        "SEALED_LISTENERS" => return Some(format!("{PROFILE}=127.0.0.1:0")),
        "COAP_LISTENERS" | "COAP_TRUSTED_LISTENERS" | "HEALTH_ADDR" => "127.0.0.1:0",
        "LINGER_MS" => "5",
        _ => return None,
    };
    Some(value.to_owned())
}
