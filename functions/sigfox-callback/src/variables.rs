//! The names and values of a callback.
//!
//! There is no fixed wire format: the customer writes a JSON template in the Sigfox back end, and its `{variables}` are
//! replaced when a message comes. So numbers may stand in quotes or not, variables may be missing or unknown, and one
//! that had no value may arrive as `null`, as an empty text, as `N/A`, or as its own name in braces.

use std::str::FromStr;

use serde_json::{Map, Value};

/// What a callback says, by name.
#[derive(Debug)]
pub struct Variables(Map<String, Value>);

/// A variable, or the whole of them, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// No JSON.
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not names and values.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Not there, or there without a value.
    #[error("the variable {0} is missing")]
    Missing(&'static str),
    /// There, with another kind of value.
    #[error("the variable {name} is not {wanted}: {text:?}")]
    Wrong {
        /// Its name.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
        /// The beginning of what it is.
        text: String,
    },
}

impl Variables {
    /// Reads a JSON body.
    ///
    /// # Errors
    /// [`VariableError::Json`] and [`VariableError::NotAnObject`].
    pub fn from_json(body: &[u8]) -> Result<Self, VariableError> {
        match serde_json::from_slice(body)? {
            Value::Object(variables) => Ok(Self(variables)),
            _ => Err(VariableError::NotAnObject),
        }
    }

    /// The text of a variable, quoted or not; `None` when it has no value.
    pub fn text(&self, name: &'static str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Null => return None,
            other => other.to_string(),
        };
        let itself = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) == Some(name);
        let absent = itself || text.is_empty() || ["null", "N/A"].iter().any(|s| text.eq_ignore_ascii_case(s));
        (!absent).then_some(text)
    }

    /// A variable read as `T`, which `wanted` describes; `None` when it has no value.
    ///
    /// # Errors
    /// [`VariableError::Wrong`].
    pub fn optional<T: FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<Option<T>, VariableError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = || VariableError::Wrong { name, wanted, text: text.chars().take(40).collect() };
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// The same for a variable that nothing goes without.
    ///
    /// # Errors
    /// [`VariableError::Missing`] and [`VariableError::Wrong`].
    pub fn required<T: FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<T, VariableError> {
        self.optional(name, wanted)?.ok_or(VariableError::Missing(name))
    }
}
