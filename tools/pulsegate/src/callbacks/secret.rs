//! The secret that authenticates callbacks. It is never on the command line, which other users of the machine can read.

use std::env::VarError;
use std::fmt;
use std::path::Path;

use crate::Problem;

/// Placeholder for a secret that was not given.
pub const PLACEHOLDER: &str = "SECRET-OF-OUTPUT-CallbackSecretId";

/// The variable's name in messages.
const VARIABLE: &str = "the environment variable that --secret-env names";

/// The secret, or `None` for the placeholder. It is printed only in callback definitions.
pub struct Secret(Option<String>);

impl Secret {
    /// Reads it from a file or an environment variable, without the line end that a file may have.
    ///
    /// # Errors
    /// [`Problem::Secret`] or [`Problem::SecretText`], which name the file, or the option with the variable.
    pub fn read(file: Option<&Path>, variable: Option<&str>) -> Result<Self, Problem> {
        let (place, text) = match (file, variable) {
            (Some(file), _) => (file.display().to_string(), std::fs::read_to_string(file)),
            // The name is not repeated: it may be the secret, typed in its place.
            (None, Some(variable)) => (VARIABLE.to_owned(), std::env::var(variable).map_err(|e| absent(&e))),
            (None, None) => return Ok(Self(None)),
        };
        let text = text.map_err(|e| Problem::Secret(place.clone(), e))?.trim().to_owned();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Problem::SecretText(place));
        }
        Ok(Self(Some(text)))
    }

    /// True if a secret was given.
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The value of the header `Authorization`.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.text())
    }

    /// The address with the secret as password. The user name has no meaning.
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

/// Not the error itself, because it quotes a value that is not Unicode.
fn absent(error: &VarError) -> std::io::Error {
    match error {
        VarError::NotPresent => std::io::Error::other("it is not set; give the variable's name, not its value"),
        VarError::NotUnicode(_) => std::io::Error::other("it is not Unicode"),
    }
}

/// Percent-encodes all characters except the unreserved ones (RFC 3986, 2.3).
pub(super) fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}
