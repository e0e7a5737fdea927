//! HTTP clients for the callbacks' endpoint and the bridge's metrics.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::{HeaderMap, Request as HttpRequest, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::callback::Request;
use super::sigfox::{Answered, Channel, Endpoint};
use crate::Problem;

/// Maximum size of an answer, larger than any expected one.
const MAX_ANSWER: usize = 1024 * 1024;

/// Idle time-out: shorter than that of API Gateway and of load balancers, so that no connection is reused while the
/// server closes it.
const IDLE: Duration = Duration::from_secs(15);

/// API of a stack, for callbacks.
pub(super) struct Api {
    client: Web,
    url: String,
    secret: String,
}

/// HTTP client with a connection pool. Plain HTTP needs no root certificates.
#[derive(Debug, Clone)]
pub(super) enum Web {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Web {
    /// A client for the scheme of this URL, with at most `idle` idle connections.
    ///
    /// # Errors
    /// [`Problem::Cause`] if the URL needs TLS and the system has no root certificates.
    pub(super) fn new(url: &str, idle: usize) -> Result<Self, Problem> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(idle).pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        if !url.starts_with("https:") {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            return Ok(Self::Plain(builder.build(connector)));
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|e| Problem::Cause("this system's root certificates cannot be read".to_owned(), e.into()))?;
        Ok(Self::Tls(builder.build(connector.https_or_http().enable_http1().build())))
    }

    /// Status, headers and body of the answer; `None` without one.
    async fn ask(&self, request: HttpRequest<Full<Bytes>>) -> Option<(u16, HeaderMap, Bytes)> {
        let answer = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        let answer = answer.ok()?;
        let (head, body) = answer.into_parts();
        // Read to its end, so that the connection can be used again.
        let body = Limited::new(body, MAX_ANSWER).collect().await.ok()?;
        Some((head.status.as_u16(), head.headers, body.to_bytes()))
    }

    /// Body of a 200 answer.
    pub(super) async fn get(&self, url: &str) -> Option<String> {
        let request = HttpRequest::get(url).body(Full::default()).ok()?;
        let (status, _, body) = self.ask(request).await?;
        (status == 200).then(|| String::from_utf8_lossy(&body).into_owned())
    }
}

impl Api {
    /// The API at a URL, with the callbacks' secret.
    ///
    /// # Errors
    /// [`Problem::Wrong`] if the URL is invalid.
    pub(super) fn new(url: &str, secret: &str, connections: usize) -> Result<Self, Problem> {
        let url = url.trim_end_matches('/').to_owned();
        let address: Option<Uri> = url.parse().ok().filter(|uri: &Uri| uri.host().is_some() && uri.scheme().is_some());
        // The local cloud's address has a path of its own.
        let is_base = |uri: Uri| uri.query().is_none() && !uri.path().split('/').any(|segment| segment == "sigfox");
        if !address.is_some_and(is_base) {
            return Err(Problem::Wrong(format!(
                "API_URL is {url:?}, which is not a base address of the form https://HOST, the stack's output ApiUrl"
            )));
        }
        Ok(Self { client: Web::new(&url, connections)?, url, secret: secret.to_owned() })
    }

    /// The request as Sigfox's back end sends it.
    fn request(&self, request: &Request, channel: Channel) -> Option<HttpRequest<Full<Bytes>>> {
        let channel = if request.is_status() { Channel::Single } else { channel };
        let (content, body, authorization) = match channel {
            Channel::Single => ("application/json", request.single(), format!("Bearer {}", self.secret)),
            Channel::Batch => {
                let user = BASE64_STANDARD.encode(format!("sigfox:{}", self.secret));
                ("application/x-www-form-urlencoded", request.batch(), format!("Basic {user}"))
            }
        };
        HttpRequest::post(format!("{}/sigfox/{}/{}", self.url, request.profile(), request.kind()))
            .header("Content-Type", content)
            .header("Authorization", authorization)
            .body(Full::from(body))
            .ok()
    }
}

impl Endpoint for Api {
    async fn post(&self, request: &Request, channel: Channel) -> Option<Answered> {
        let request = self.request(request, channel)?;
        let asked = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
        let (status, headers, body) = self.client.ask(request).await?;
        Some(Answered { status, bytes: head_bytes(&headers) + body.len(), asked })
    }
}

/// Bytes of an answer's status line and headers in HTTP/1.1.
fn head_bytes(headers: &HeaderMap) -> usize {
    const STATUS_LINE: usize = "HTTP/1.1 200 OK\r\n".len();
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    STATUS_LINE + lines.sum::<usize>() + "\r\n".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_given_by_its_base_address() {
        for url in ["https://a1.execute-api.eu-west-1.amazonaws.com/", "http://127.0.0.1:1/_aws/execute-api/a1"] {
            assert!(Api::new(url, "secret", 1).is_ok(), "{url}");
        }
        for url in [
            "a1.execute-api.eu-west-1.amazonaws.com",
            "http://127.0.0.1:1/sigfox/adeunis-pulse-v4/uplink",
            "http://127.0.0.1:1/sigfox/{profile}/{kind}",
            "http://127.0.0.1:1?a=b",
            "ApiUrl",
        ] {
            let problem = Api::new(url, "secret", 1).err().map(|problem| problem.in_full()).unwrap_or_default();
            assert!(problem.contains("ApiUrl"), "{url}: {problem}");
        }
    }
}
