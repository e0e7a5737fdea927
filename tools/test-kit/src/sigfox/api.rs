//! A stand-in for the Sigfox API: serves `GET /device-types/{id}/callbacks-not-delivered` on a free port of this machine, and
//! fails on request. `POST` of items to the same path adds to the list, so that another process can do it; the real API has
//! no such request. `tools/sigfox_api.py` is the same for a local stack, which must start without a build of the tests.

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::get;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::sender::Sent;

/// The most items of a page.
const LIMIT: usize = 100;

/// The device type that a stack is deployed with (in `tools/stack.py` as well).
pub const DEVICE_TYPE: &str = "628fd74fb3cabb6565ae81bb";

/// The API user as the secret has it (in `tools/stack.py` as well).
pub const USER: &str = r#"{"login": "5f0c6e1b2a", "password": "correct-horse"}"#;
const LOGIN_AND_PASSWORD: &str = "5f0c6e1b2a:correct-horse";

/// The fault of one answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 429, with the seconds to wait if there are any.
    TooManyRequests(Option<u64>),
    /// Another status.
    Status(u16),
    /// A redirect to this URL.
    Redirect(String),
    /// The connection closes in the middle of the page.
    CutOff,
    /// No answer.
    Silence,
    /// 200 with a body that is not JSON.
    Garbage,
    /// 200 with JSON that is not a page.
    NoPage,
    /// The page, with this URL as its next page.
    NextElsewhere(String),
}

/// A request with the right credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The device type.
    pub device_type: String,
    /// `since`.
    pub since: u64,
    /// `before`.
    pub before: u64,
    /// `offset`.
    pub offset: usize,
}

/// The API. Dropping it stops the server.
#[derive(Debug)]
pub struct Api {
    url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    url: String,
    state: Mutex<ApiState>,
}

#[derive(Debug, Default)]
struct ApiState {
    lists: BTreeMap<String, Vec<Value>>,
    faults: VecDeque<Fault>,
    broken: BTreeMap<String, Fault>,
    asked: Vec<Asked>,
    unauthorized: usize,
}

impl Api {
    /// Starts a server without device types.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/v2", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { url: url.clone(), state: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let router = Router::new().route("/v2/device-types/{id}/callbacks-not-delivered", get(answer).post(add));
        let router = router.layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        // A runtime of its own: the clock of a test may be paused.
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { url, shared, stop: Some(stop), serving: Some(serving) }
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds items to the list of a device type, and makes the device type known.
    pub fn list(&self, device_type: &str, items: impl IntoIterator<Item = Value>) {
        self.shared.state().lists.entry(device_type.to_owned()).or_default().extend(items);
    }

    /// Sets the faults of the next answers, in this order.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.state().faults.extend(faults);
    }

    /// Sets the fault of every answer for a device type.
    pub fn fail_for(&self, device_type: &str, fault: Fault) {
        self.shared.state().broken.insert(device_type.to_owned(), fault);
    }

    /// The requests with the right credentials so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.clone()
    }

    /// The number of requests without the right credentials.
    pub fn unauthorized(&self) -> usize {
        self.shared.state().unauthorized
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, ApiState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the callbacks that were not delivered to the list of the API at this URL.
pub fn list_undelivered<'a>(url: &str, device_type: &str, sent: impl IntoIterator<Item = &'a Sent>) {
    let undelivered = sent.into_iter().filter(|sent| !sent.delivered());
    let items: Value = undelivered.map(|sent| sent.callback.item(device_type, sent.status)).collect();
    let url = format!("{url}/device-types/{device_type}/callbacks-not-delivered");
    ureq::post(url).send(items.to_string()).unwrap();
}

async fn add(State(shared): State<Arc<Shared>>, Path(device_type): Path<String>, body: Bytes) -> StatusCode {
    let Ok(items) = serde_json::from_slice::<Vec<Value>>(&body) else { return StatusCode::BAD_REQUEST };
    shared.state().lists.entry(device_type).or_default().extend(items);
    StatusCode::NO_CONTENT
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(device_type): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let expected = format!("Basic {}", BASE64_STANDARD.encode(LOGIN_AND_PASSWORD));
    if headers.get(header::AUTHORIZATION).is_none_or(|value| *value != *expected) {
        shared.state().unauthorized += 1;
        return status(StatusCode::UNAUTHORIZED);
    }
    let query = query.unwrap_or_default();
    let number = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let index = |name| number(name).and_then(|number| usize::try_from(number).ok());
    let (since, before) = (number("since").unwrap_or(0), number("before").unwrap_or(u64::MAX));
    let (limit, offset) = (index("limit").unwrap_or(LIMIT), index("offset").unwrap_or(0));
    let asked = Asked { device_type, since, before, offset };
    let fault = {
        let mut state = shared.state();
        state.asked.push(asked.clone());
        state.broken.get(&asked.device_type).cloned().or_else(|| state.faults.pop_front())
    };
    if limit > LIMIT {
        return status(StatusCode::BAD_REQUEST);
    }
    let Some(page) = shared.page(&asked, limit) else { return status(StatusCode::NOT_FOUND) };
    match fault {
        None => json_answer(page.to_string()),
        Some(fault) => faulty(fault, page).await,
    }
}

impl Shared {
    /// Newest first.
    fn page(&self, asked: &Asked, limit: usize) -> Option<Value> {
        let state = self.state();
        let time = |item: &Value| item["time"].as_u64().unwrap_or(asked.since);
        let mut items: Vec<&Value> = state.lists.get(&asked.device_type)?.iter().collect();
        items.retain(|item| (asked.since..asked.before).contains(&time(item)));
        items.sort_by_key(|item| std::cmp::Reverse(time(item)));
        let end = asked.offset.saturating_add(limit);
        let data: Vec<&Value> = items.iter().skip(asked.offset).take(limit).copied().collect();
        let Asked { device_type, since, before, .. } = asked;
        let next = format!(
            "{}/device-types/{device_type}/callbacks-not-delivered?since={since}&before={before}&limit={limit}&offset={end}",
            self.url
        );
        let paging = if end < items.len() { json!({ "next": next }) } else { json!({}) };
        Some(json!({"data": data, "paging": paging}))
    }
}

async fn faulty(fault: Fault, mut page: Value) -> Response<Body> {
    match fault {
        Fault::TooManyRequests(seconds) => {
            let mut answer = status(StatusCode::TOO_MANY_REQUESTS);
            if let Some(seconds) = seconds {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            answer
        }
        Fault::Status(code) => status(StatusCode::from_u16(code).unwrap()),
        Fault::Redirect(to) => {
            let mut answer = status(StatusCode::FOUND);
            answer.headers_mut().insert(header::LOCATION, to.parse().unwrap());
            answer
        }
        Fault::CutOff => {
            let text = page.to_string();
            let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
            let pieces = [Ok(half), Err("the connection closes")];
            Response::new(Body::from_stream(futures_util::stream::iter(pieces)))
        }
        Fault::Silence => std::future::pending().await,
        Fault::Garbage => json_answer("<html>maintenance</html>".to_owned()),
        Fault::NoPage => json_answer(r#"{"message": "maintenance"}"#.to_owned()),
        Fault::NextElsewhere(url) => {
            page["paging"] = json!({ "next": url });
            json_answer(page.to_string())
        }
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

fn json_answer(text: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    answer
}
