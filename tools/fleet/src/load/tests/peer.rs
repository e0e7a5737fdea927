//! A bridge and an API for tests, which acknowledge valid uplinks and record them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coap_lite::{MessageClass, MessageType, Packet, ResponseType};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pulsegate_model::device::{DeviceId, Imei, Network};
use pulsegate_model::profile;
use pulsegate_pipeline::sigfox::{CallbackKind, Content, read};
use test_kit::sealed::MasterKey;

use crate::load::sigfox::lock;

pub(super) const SECRET: &str = "a secret of callbacks";

/// A listener of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Sealed,
    Coap,
    Efento,
}

/// Number of arrivals of each uplink, by device, time and sequence.
pub(super) type Came = BTreeMap<(String, i64, u32), u32>;

/// Received uplinks, and the settings of the answers.
#[derive(Default)]
pub(super) struct CoapAnswer {
    pub(super) came: Mutex<Came>,
    /// Number of datagrams from each address.
    pub(super) from: Mutex<BTreeMap<SocketAddr, u32>>,
    /// If set, no datagram is answered.
    pub(super) silent: AtomicBool,
    /// Every n-th datagram is not answered; 0 to answer all.
    pub(super) deaf_to: AtomicU32,
    /// Seconds by which the clock of the answers is behind.
    pub(super) behind: AtomicU32,
    /// If set, CoAP is answered by separate responses.
    pub(super) late: AtomicBool,
    /// Number of ACKs for separate responses.
    pub(super) confirmed: AtomicU32,
    /// HTTP status of the answers to requests; 0 for 204.
    pub(super) status: AtomicU16,
    /// Number of requests with a batch.
    pub(super) batches: AtomicU32,
    count: AtomicU32,
}

impl CoapAnswer {
    pub(super) fn came(&self) -> Came {
        lock(&self.came).clone()
    }

    fn take(&self, device: String, at: i64, sequence: u32) {
        *lock(&self.came).entry((device, at, sequence)).or_default() += 1;
    }

    fn is_deaf(&self) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let every = self.deaf_to.load(Ordering::Relaxed);
        self.silent.load(Ordering::Relaxed) || (every > 0 && count.is_multiple_of(every))
    }

    /// Records a sealed datagram and returns its acknowledgement.
    fn sealed(&self, datagram: &[u8]) -> Vec<u8> {
        let now = u32::try_from(jiff::Timestamp::now().as_second()).unwrap();
        let time = now - self.behind.load(Ordering::Relaxed);
        let answer = MasterKey::default().acknowledgement(datagram, time).expect("every datagram is sealed");
        let word = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().unwrap());
        let imei = Imei::from_packed(datagram[2..10].try_into().unwrap()).unwrap();
        self.take(DeviceId::Nbiot(imei).to_string(), word(14).into(), word(10));
        answer.to_vec()
    }
}

/// The bridge and the API. The bridge's listeners stop when this is dropped.
pub(super) struct Peer {
    pub(super) heard: Arc<CoapAnswer>,
    pub(super) to: BTreeMap<Way, SocketAddrV4>,
    pub(super) api: String,
    over: Arc<AtomicBool>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Peer {
    pub(super) async fn start() -> Self {
        let (heard, over) = (Arc::<CoapAnswer>::default(), Arc::<AtomicBool>::default());
        let mut to = BTreeMap::new();
        for way in [Way::Sealed, Way::Coap, Way::Efento] {
            let socket = bridge_load::net::udp_socket(0, false).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let SocketAddr::V4(addr) = socket.local_addr().unwrap() else { unreachable!() };
            to.insert(way, addr);
            let (heard, over) = (Arc::clone(&heard), Arc::clone(&over));
            std::thread::spawn(move || listen(way, &socket, &heard, &over));
        }
        let api = serve(Arc::clone(&heard)).await;
        Self { heard, to, api, over }
    }
}

fn listen(way: Way, socket: &UdpSocket, heard: &CoapAnswer, over: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !over.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        *lock(&heard.from).entry(from).or_default() += 1;
        let answers = match way {
            Way::Sealed => vec![heard.sealed(&buffer[..len])],
            _ => coap(way, &buffer[..len], heard),
        };
        if !answers.is_empty() && !heard.is_deaf() {
            for answer in &answers {
                socket.send_to(answer, from).unwrap();
            }
        }
    }
}

fn coap(way: Way, datagram: &[u8], heard: &CoapAnswer) -> Vec<Vec<u8>> {
    let request = Packet::from_bytes(datagram).unwrap();
    if request.header.get_type() == MessageType::Acknowledgement {
        heard.confirmed.fetch_add(1, Ordering::Relaxed);
        return vec![];
    }
    let mut answer = Packet::new();
    answer.header.message_id = request.header.message_id;
    answer.header.set_type(MessageType::Acknowledgement);
    let mut promise = answer.clone();
    promise.header.code = MessageClass::Empty;
    answer.set_token(request.get_token().to_vec());
    if way == Way::Efento {
        answer.header.code = MessageClass::Response(ResponseType::Created);
        let efento = pulsegate_model::codec::efento::MessageHead::of_measurements(&request.payload).unwrap();
        let checksum = u32::from_be_bytes(request.get_token()[4..].try_into().unwrap());
        heard.take(DeviceId::NbiotSerial(efento.serial).to_string(), efento.newest.unwrap().unix(), checksum);
        return vec![answer.to_bytes().unwrap()];
    }
    answer.header.code = MessageClass::Response(ResponseType::Changed);
    answer.payload = heard.sealed(&request.payload);
    if !heard.late.load(Ordering::Relaxed) {
        return vec![answer.to_bytes().unwrap()];
    }
    answer.header.set_type(MessageType::Confirmable);
    answer.header.message_id = !request.header.message_id;
    vec![promise.to_bytes().unwrap(), answer.to_bytes().unwrap()]
}

async fn serve(heard: Arc<CoapAnswer>) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let api = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = Arc::clone(&heard);
            let service = service_fn(move |request| answer(request, Arc::clone(&heard)));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    api
}

async fn answer(request: Request<Incoming>, heard: Arc<CoapAnswer>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let ["", "api", "sigfox", name, kind] = path.split('/').collect::<Vec<_>>()[..] else { panic!("{path}") };
    let authorization = request.headers()["Authorization"].to_str().unwrap().to_owned();
    let is_batch = authorization == "Basic c2lnZm94OmEgc2VjcmV0IG9mIGNhbGxiYWNrcw==";
    assert!(is_batch || authorization == format!("Bearer {SECRET}"), "{authorization}");
    heard.batches.fetch_add(u32::from(is_batch), Ordering::Relaxed);
    let kind: CallbackKind = kind.parse().unwrap();
    let body = request.into_body().collect().await?.to_bytes();
    let content = Content { body: &body, ..Content::default() };
    let messages = read("test", kind, profile::find(Network::Sigfox, name).unwrap(), &content);
    assert!(messages.unreadable.is_empty(), "{:?}", messages.unreadable);
    let events = messages.events.iter().filter_map(pulsegate_model::event::DeviceEvent::numbered);
    for uplink in messages.uplinks.into_iter().chain(events) {
        heard.take(uplink.device.to_string(), uplink.at.unix(), uplink.sequence.unwrap());
    }
    let status = match heard.status.load(Ordering::Relaxed) {
        0 => 204,
        status => status,
    };
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}
