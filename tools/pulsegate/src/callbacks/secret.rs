//! What callbacks carry to show whose they are. It is never on the command line, which others on the machine can read.

use std::fmt;
use std::path::Path;

use crate::Problem;

/// Stands where the secret has to be filled in.
pub const PLACEHOLDER: &str = "SECRET-OF-OUTPUT-CallbackSecretId";

/// The secret, or word that it is to be filled in. Printed only into what is set up at Sigfox.
pub struct Secret(Option<String>);

impl Secret {
    /// Out of a file or an environment variable, without the line end that a file may have.
    ///
    /// # Errors
    /// [`Problem::Secret`] or [`Problem::SecretText`], which names the place.
    pub fn read(file: Option<&Path>, variable: Option<&str>) -> Result<Self, Problem> {
        let (place, text) = match (file, variable) {
            (Some(file), _) => (file.display().to_string(), std::fs::read_to_string(file)),
            (None, Some(variable)) => (variable.to_owned(), std::env::var(variable).map_err(std::io::Error::other)),
            (None, None) => return Ok(Self(None)),
        };
        let text = text.map_err(|e| Problem::Secret(place.clone(), e))?.trim().to_owned();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Problem::SecretText(place));
        }
        Ok(Self(Some(text)))
    }

    /// Whether there is one.
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The value of the header `Authorization`.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.text())
    }

    /// An address with it as the password of a user whose name is of no matter.
    pub fn in_address(&self, url: &str) -> String {
        url.replacen("https://", &format!("https://sigfox:{}@", percent_encoded(self.text())), 1)
    }

    fn text(&self) -> &str {
        self.0.as_deref().unwrap_or(PLACEHOLDER)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// All but what means the same everywhere in an address (RFC 3986, 2.3).
pub(super) fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}
