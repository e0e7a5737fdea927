//! Is it Sigfox? Callbacks carry a shared secret in their `Authorization` header.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use lambda_http::Request;
use lambda_http::http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;

/// What callbacks carry. Never printed.
pub struct Secret(String);

/// A request that carried the secret.
pub struct Authenticated<'a>(&'a Request);

/// A secret that would let everybody in.
#[derive(Debug, thiserror::Error)]
#[error("the secret for callbacks is empty")]
pub struct EmptySecret;

impl Secret {
    /// The secret, as it is typed into the Sigfox back end.
    ///
    /// # Errors
    /// [`EmptySecret`].
    pub fn new(text: String) -> Result<Self, EmptySecret> {
        if text.is_empty() { Err(EmptySecret) } else { Ok(Self(text)) }
    }

    /// In a time that depends on the candidate's length alone, never on how much of it is right.
    fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'a> Authenticated<'a> {
    /// Checks `Authorization: Bearer SECRET`, or `Authorization: Basic` with the secret as the password of any user:
    /// the back end makes the latter out of `https://user:SECRET@host/`, and is known to garble the user's name
    /// (`@` arrives as `%40`).
    pub fn check(request: &'a Request, secret: &Secret) -> Option<Self> {
        let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, credentials) = header.trim().split_once(' ')?;
        let credentials = credentials.trim();
        let admitted = if scheme.eq_ignore_ascii_case("bearer") {
            secret.matches(credentials.as_bytes())
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = BASE64_STANDARD.decode(credentials).ok()?;
            let colon = pair.iter().position(|&byte| byte == b':')?;
            secret.matches(&pair[colon + 1..])
        } else {
            false
        };
        admitted.then_some(Self(request))
    }

    /// The request.
    pub fn request(self) -> &'a Request {
        self.0
    }
}
