//! The errors of bodies and variables.

/// A variable, or the whole body, cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// The body is JSON in another encoding, or begins with the mark of UTF-16 without being UTF-16.
    #[error("the body is neither UTF-8 nor UTF-16; send it as UTF-8")]
    Encoding,
    /// The body begins like JSON, but is not JSON.
    #[error("the body is not JSON: {0}; quote each variable in the template")]
    Json(#[from] serde_json::Error),
    /// Absent, or present without a value.
    #[error("the variable {name} is missing ({there}); add {{{name}}} to the template")]
    Missing {
        /// Its name.
        name: &'static str,
        /// The variables that are present.
        there: String,
    },
    /// Present, but invalid.
    #[error("the variable {name} is not {wanted}: {text:?}; send Sigfox's {{{name}}} unchanged")]
    Wrong {
        /// Its name.
        name: &'static str,
        /// The expected kind of value.
        wanted: &'static str,
        /// The beginning of its value.
        text: String,
    },
}

impl VariableError {
    /// The same message without any content of the callback, for the log, which must not contain payloads.
    pub fn without_quotes(&self) -> String {
        match self {
            Self::Encoding => self.to_string(),
            Self::Json(e) => format!("the body is not JSON (line {}, column {})", e.line(), e.column()),
            Self::Missing { name, .. } => format!("the variable {name} is missing"),
            Self::Wrong { name, wanted, .. } => format!("the variable {name} is not {wanted}"),
        }
    }
}
