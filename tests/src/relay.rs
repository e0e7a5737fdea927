//! A UDP relay between a client and the bridge, which records the datagrams and drops some of them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than any step takes: a test that waits this long has failed.
const RELAY_TIMEOUT: Duration = Duration::from_secs(30);

/// Datagrams that reached the relay, in order, dropped or not.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// From the client.
    pub up: Vec<Vec<u8>>,
    /// From the bridge.
    pub down: Vec<Vec<u8>>,
}

/// A relay for one client. Dropping it stops it.
#[derive(Debug)]
pub struct Relay {
    /// The address that the client sends to.
    pub addr: SocketAddr,
    seen: watch::Receiver<Seen>,
    carrying: JoinHandle<()>,
}

impl Relay {
    /// Relays datagrams in both directions, but drops the bridge's first `lost` ones.
    pub async fn start(bridge: SocketAddr, lost: usize) -> Self {
        let client_side = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let bridge_side = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        bridge_side.connect(bridge).await.unwrap();
        let addr = client_side.local_addr().unwrap();
        let (sender, seen) = watch::channel(Seen::default());
        let carrying = tokio::spawn(carry(client_side, bridge_side, lost, sender));
        Self { addr, seen, carrying }
    }

    /// Returns the datagrams so far.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until the datagrams fulfil a condition.
    pub async fn until(&self, condition: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        timeout(RELAY_TIMEOUT, seen.wait_for(condition)).await.expect("the expected datagrams arrive").unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(client_side: UdpSocket, bridge_side: UdpSocket, lost: usize, seen: watch::Sender<Seen>) {
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    let mut client = None;
    loop {
        tokio::select! {
            received = client_side.recv_from(&mut up) => {
                let (len, from) = received.unwrap();
                client = Some(from);
                seen.send_modify(|seen| seen.up.push(up[..len].to_vec()));
                bridge_side.send(&up[..len]).await.unwrap();
            }
            received = bridge_side.recv(&mut down) => {
                let len = received.unwrap();
                seen.send_modify(|seen| seen.down.push(down[..len].to_vec()));
                if let Some(client) = client && seen.borrow().down.len() > lost {
                    client_side.send_to(&down[..len], client).await.unwrap();
                }
            }
        }
    }
}
