//! Authenticates callbacks: they carry a shared secret in a header, and come from Sigfox's own addresses.

use std::fmt;
use std::net::IpAddr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ipnet::IpNet;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::{Choice, ConstantTimeEq as _};

use crate::request::Request;

/// The secrets that callbacks may carry; two during a rotation. Never printed.
pub struct Secrets(Vec<Digest>);

/// Compared instead of the secrets, so that a comparison takes the same time for any length.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// The secret is empty, which would admit every request.
#[derive(Debug, thiserror::Error)]
#[error("the secret for callbacks is empty")]
pub struct EmptySecret;

/// How a request must authenticate.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// A header that may carry the plain secret, besides `Authorization`.
    pub secret_header: Option<String>,
    /// Allowed source addresses; all if empty.
    pub sources: Vec<IpNet>,
}

/// Why a request is not authenticated. Only for the log: the response does not contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// The source address is not allowed.
    #[error("it does not come from Sigfox's addresses")]
    Source,
    /// The secret is missing or wrong.
    #[error("its secret is wrong or missing")]
    Secret,
}

/// An authenticated request.
pub struct Authenticated<'a>(&'a Request);

impl Secrets {
    /// Hashes the secrets, given as typed into the Sigfox back end.
    ///
    /// # Errors
    /// [`EmptySecret`] if a secret is empty or there is none.
    pub fn new(texts: &[String]) -> Result<Self, EmptySecret> {
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(EmptySecret);
        }
        Ok(Self(texts.iter().map(|text| digest_of(text.as_bytes())).collect()))
    }

    /// Returns `true` if a text is one of the secrets.
    pub(crate) fn contain(&self, text: &str) -> bool {
        self.admit(&[text.as_bytes().to_vec()])
    }

    /// Returns `true` if a presented value is one of the secrets. Always compares all with all, to take constant time.
    fn admit<const N: usize>(&self, presented: &[Vec<u8>; N]) -> bool {
        let digests = presented.each_ref().map(|candidate| digest_of(candidate));
        let equal = digests.iter().flat_map(|digest| self.0.iter().map(move |secret| equal(secret, digest)));
        equal.fold(Choice::from(0), |any, equal| any | equal).into()
    }
}

fn equal(a: &Digest, b: &Digest) -> Choice {
    #[cfg(test)]
    work::count(|(_, comparisons)| *comparisons += 1);
    a.ct_eq(b)
}

fn digest_of(text: &[u8]) -> Digest {
    #[cfg(test)]
    work::count(|(digests, _)| *digests += 1);
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, text).as_ref());
    bytes
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Rules {
    /// Authenticates a request. Always makes both checks: the response time must not reveal which of them failed.
    ///
    /// # Errors
    /// [`Unauthenticated`].
    pub fn check<'a>(&self, request: &'a Request, secrets: &Secrets) -> Result<Authenticated<'a>, Unauthenticated> {
        let secret = secrets.admit(&self.presented(request));
        let source = self.sources.is_empty()
            || request.source_ip().parse().is_ok_and(|ip: IpAddr| self.sources.iter().any(|range| range.contains(&ip)));
        match (source, secret) {
            (false, _) => Err(Unauthenticated::Source),
            (true, false) => Err(Unauthenticated::Secret),
            (true, true) => Ok(Authenticated(request)),
        }
    }

    /// Returns the presented secrets, from `Authorization` and from the separate header; empty if absent.
    ///
    /// Accepts in `Authorization`, schemes in any case:
    /// - `Bearer SECRET` and `Token SECRET`;
    /// - the secret alone, as callbacks for other platforms have it;
    /// - `Basic` with the secret as the password of any user: the back end builds it from `https://user:SECRET@host/`,
    ///   and is known to garble the user name (`@` arrives as `%40`).
    fn presented(&self, request: &Request) -> [Vec<u8>; 2] {
        let authorization = request.header("authorization").unwrap_or_default().trim();
        let (scheme, credentials) = authorization.split_once(char::is_whitespace).unwrap_or_default();
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        let authorization = if is("bearer") || is("token") {
            credentials.trim().as_bytes().to_vec()
        } else if is("basic") {
            let pair = BASE64_STANDARD.decode(credentials.trim()).unwrap_or_default();
            let colon = pair.iter().position(|&byte| byte == b':');
            colon.map(|colon| pair[colon + 1..].to_vec()).unwrap_or_default()
        } else {
            authorization.as_bytes().to_vec()
        };
        let named = self.secret_header.as_deref().and_then(|name| request.header(name)).unwrap_or_default();
        [authorization, named.trim().as_bytes().to_vec()]
    }
}

impl<'a> Authenticated<'a> {
    /// The request.
    pub fn request(self) -> &'a Request {
        self.0
    }
}

/// Counts the work of a check, so that a test can require the same work for all refusals.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local!(static DONE: Cell<(u32, u32)> = const { Cell::new((0, 0)) });

    pub(super) fn count(add: impl FnOnce(&mut (u32, u32))) {
        let mut done = DONE.get();
        add(&mut done);
        DONE.set(done);
    }

    /// Resets the counts.
    pub(crate) fn reset() {
        DONE.set((0, 0));
    }

    /// The numbers of digests and comparisons.
    pub(crate) fn done() -> (u32, u32) {
        DONE.get()
    }
}
