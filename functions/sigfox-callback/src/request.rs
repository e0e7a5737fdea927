//! The request and response of API Gateway: HTTP API, payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
//!
//! `lambda_http` is not used: it builds a URI from every request, and panics on a character in the query that URIs do
//! not allow (such as a plain `<`). Anyone could then cause 5xx responses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use form_urlencoded::Serializer;
use serde::{Deserialize, Serialize};

/// Prefix of headers that carry variables; the rest of the header's name is the variable's name.
const VARIABLE_HEADERS: &str = "x-sigfox-";

/// A request, not yet authenticated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    raw_path: String,
    /// Absent, or `null` in local stand-ins, where the route has none.
    path_parameters: Option<BTreeMap<String, String>>,
    raw_query_string: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    is_base64_encoded: bool,
    #[serde(rename = "requestContext")]
    context: RequestContext,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RequestContext {
    http: Http,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Http {
    method: String,
    source_ip: String,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The status.
    pub status_code: u16,
    headers: BTreeMap<&'static str, &'static str>,
    /// The body; often empty.
    pub body: String,
}

impl Request {
    /// Returns the method.
    pub fn method(&self) -> &str {
        &self.context.http.method
    }

    /// Returns the whole path, decoded, without the query.
    pub fn path(&self) -> &str {
        &self.raw_path
    }

    /// Returns a part of the path, by its name in the route.
    pub fn path_parameter(&self, name: &str) -> &str {
        self.path_parameters.as_ref().and_then(|all| all.get(name)).map_or("", String::as_str)
    }

    /// Returns a header. API Gateway writes header names in lower case; local stand-ins may not.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the source address that API Gateway saw, not one from a header.
    pub fn source_ip(&self) -> &str {
        &self.context.http.source_ip
    }

    /// Returns the body's bytes.
    pub fn body(&self) -> Cow<'_, [u8]> {
        let text = self.body.as_deref().unwrap_or_default();
        let decoded = self.is_base64_encoded.then(|| BASE64_STANDARD.decode(text).ok()).flatten();
        decoded.map_or(Cow::Borrowed(text.as_bytes()), Cow::Owned)
    }

    /// Returns the query, followed by the variables from headers, except the header with the secret.
    pub fn query(&self, secret_header: Option<&str>) -> Cow<'_, str> {
        let is_secret = |name: &str| secret_header.is_some_and(|secret| name.eq_ignore_ascii_case(secret));
        let headers = self.headers.iter().filter(|(name, _)| !is_secret(name));
        let mut variables = headers
            .filter_map(|(name, value)| Some((name.to_lowercase().strip_prefix(VARIABLE_HEADERS)?.to_owned(), value)));
        match variables.next() {
            None => Cow::Borrowed(&self.raw_query_string),
            Some(first) => {
                let query = self.raw_query_string.clone();
                let start = query.len();
                let mut encoded = Serializer::for_suffix(query, start);
                Cow::Owned(encoded.append_pair(&first.0, first.1).extend_pairs(variables).finish())
            }
        }
    }
}

impl Response {
    /// A response without a body.
    pub fn empty(status_code: u16) -> Self {
        Self { status_code, headers: BTreeMap::new(), body: String::new() }
    }

    /// A 405 response, which has to name the allowed methods (RFC 9110, 15.5.6).
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        Self { headers: BTreeMap::from([("allow", allowed)]), ..Self::empty(405) }
    }

    /// A 200 response with JSON.
    pub fn json(body: String) -> Self {
        Self { status_code: 200, headers: BTreeMap::from([("content-type", "application/json")]), body }
    }
}
