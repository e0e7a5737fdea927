//! Is it Sigfox? Callbacks carry a shared secret in a header, and come from Sigfox's own addresses.

use std::fmt;
use std::net::IpAddr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ipnet::IpNet;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::{Choice, ConstantTimeEq as _};

use crate::request::Request;

/// What callbacks may carry: while the secret is being changed, two of them. Never printed.
pub struct Secrets(Vec<Digest>);

/// Compared instead of the secrets, so that a comparison takes the same time whatever their lengths.
type Digest = [u8; SHA256_OUTPUT_LEN];

/// A secret that would let everybody in.
#[derive(Debug, thiserror::Error)]
#[error("the secret for callbacks is empty")]
pub struct EmptySecret;

/// How a request shows that it is Sigfox's.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// A header that may carry the secret as it is, beside `Authorization`.
    pub secret_header: Option<String>,
    /// Where it has to come from; from anywhere if there are none.
    pub sources: Vec<IpNet>,
}

/// Why a request is a stranger's. For the log alone: the sender is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// From somewhere else.
    #[error("it does not come from Sigfox's addresses")]
    Source,
    /// Without a secret, or with a wrong one.
    #[error("its secret is wrong or missing")]
    Secret,
}

/// A request that has shown it.
pub struct Authenticated<'a>(&'a Request);

impl Secrets {
    /// The secrets, as they are typed into the Sigfox back end.
    ///
    /// # Errors
    /// [`EmptySecret`], also where there is none at all.
    pub fn new(texts: &[String]) -> Result<Self, EmptySecret> {
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(EmptySecret);
        }
        Ok(Self(texts.iter().map(|text| digest_of(text.as_bytes())).collect()))
    }

    /// Whether one of what was presented is one of them. All are compared with all, whatever comes of it.
    fn admit(&self, presented: &[Vec<u8>; 2]) -> bool {
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
    /// Both checks are made of every request, the same way: how long an answer takes must not tell which of them failed.
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

    /// What stands where the secret should: in `Authorization` and in the header of its own; nothing where there is nothing.
    ///
    /// `Authorization: Bearer SECRET`, or `Authorization: Basic` with the secret as the password of any user: the back end
    /// makes the latter out of `https://user:SECRET@host/`, and is known to garble the user's name (`@` arrives as `%40`).
    fn presented(&self, request: &Request) -> [Vec<u8>; 2] {
        let authorization = request.header("authorization").unwrap_or_default().trim();
        let (scheme, credentials) = authorization.split_once(' ').unwrap_or_default();
        let authorization = if scheme.eq_ignore_ascii_case("bearer") {
            credentials.trim().as_bytes().to_vec()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = BASE64_STANDARD.decode(credentials.trim()).unwrap_or_default();
            let colon = pair.iter().position(|&byte| byte == b':');
            colon.map(|colon| pair[colon + 1..].to_vec()).unwrap_or_default()
        } else {
            Vec::new()
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

/// How much work a check was, so that a test can hold all refusals to the same.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local!(static DONE: Cell<(u32, u32)> = const { Cell::new((0, 0)) });

    pub(super) fn count(add: impl FnOnce(&mut (u32, u32))) {
        let mut done = DONE.get();
        add(&mut done);
        DONE.set(done);
    }

    /// Begins anew.
    pub(crate) fn reset() {
        DONE.set((0, 0));
    }

    /// Digests and comparisons.
    pub(crate) fn done() -> (u32, u32) {
        DONE.get()
    }
}
