//! The names and values of a callback.
//!
//! There is no fixed wire format: the customer writes a template in the Sigfox back end, and Sigfox replaces its
//! `{variables}` for each message (<https://support.sigfox.com/docs/callback-medium>). The customer chooses the names,
//! the quoting of numbers, the nesting, and whether the variables arrive as JSON, as a form or in the query.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::str::FromStr;

use pulsegate_model::profile::Callbacks;
use serde_json::value::RawValue;

use super::Content;

/// The depth to which nested objects of a body are searched. Templates nest once or twice.
const MAX_DEPTH: usize = 8;

/// How many characters of a value or name, and how many names, an error message quotes.
const QUOTED: usize = 40;
const QUOTED_NAMES: usize = 5;

/// A member name that is qualified with the name of its object: `{"station": {"id": ...}}` is `stationid`.
const QUALIFIED: &str = "id";

/// Other names of Sigfox's variables, in [`normal`] form: older names, and names in Sigfox's own samples.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    ("device", &["id", "deviceid", "devices"]),
    ("time", &["timestamp"]),
    ("data", &["payload"]),
    ("seqNumber", &["seq", "seqno", "sequence", "sequencenumber"]),
    ("snr", &["signal"]),
    ("avgSnr", &["avgsignal"]),
    ("batt", &["battery"]),
    ("temp", &["temperature"]),
    ("computedLocation", &["location"]),
];

/// Variables that expand to a whole JSON object or list: their text is kept, not searched.
const WHOLE: &[&str] = &["computedLocation", "duplicates"];

/// The variables of a callback, by name.
#[derive(Debug, Default)]
pub struct Variables {
    /// Of several with the same name, the first with a value counts.
    values: Vec<Variable>,
    /// The profile's own names, as `(own, Sigfox's)`.
    aliases: &'static [(&'static str, &'static str)],
}

#[derive(Debug)]
struct Variable {
    /// In [`normal`] form.
    name: String,
    value: String,
    /// True if it has been parsed successfully.
    read: Cell<bool>,
}

/// A variable, or the whole body, cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// The body begins like JSON, but is not JSON.
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Absent, or present without a value.
    #[error("the variable {name} is missing ({there})")]
    Missing {
        /// Its name.
        name: &'static str,
        /// The variables that are present.
        there: String,
    },
    /// Present, but invalid.
    #[error("the variable {name} is not {wanted}: {text:?}")]
    Wrong {
        /// Its name.
        name: &'static str,
        /// The expected kind of value.
        wanted: &'static str,
        /// The beginning of its value.
        text: String,
    },
}

impl Variables {
    /// Parses all parts of a request. The body takes precedence over the query: for a form, Sigfox itself moves the
    /// query into the body.
    ///
    /// # Errors
    /// [`VariableError::Json`]. Any body that does not begin like a JSON object is parsed as a form, which cannot fail.
    pub fn read(content: &Content<'_>, callbacks: &'static Callbacks) -> Result<Self, VariableError> {
        let mut this = Self { values: Vec::new(), aliases: &callbacks.aliases };
        if content.body.trim_ascii_start().starts_with(b"{") {
            this.add_object(serde_json::from_slice(content.body)?)?;
        } else {
            this.add_form(content.body);
        }
        this.add_form(content.query.as_bytes());
        for (name, value) in &content.extra {
            this.add(name, value);
        }
        Ok(this)
    }

    /// Builds the variables of one line of a batch.
    pub fn of_line<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>, callbacks: &'static Callbacks) -> Self {
        let mut this = Self { values: Vec::new(), aliases: &callbacks.aliases };
        values.into_iter().for_each(|(name, value)| this.add(name, value));
        this
    }

    /// Adds the members of nested objects, outer levels first.
    fn add_object(&mut self, body: BTreeMap<Cow<'_, str>, &RawValue>) -> Result<(), VariableError> {
        let mut level = vec![(String::new(), body)];
        for depth in 1.. {
            let mut below = Vec::new();
            // The name of an object that wraps everything does not qualify its members.
            let wrapper = matches!(level.as_slice(), [(parent, only)] if parent.is_empty() && only.len() == 1);
            for (parent, object) in level {
                for (name, value) in object {
                    let normal = if normal(&name) == QUALIFIED { parent.clone() + QUALIFIED } else { normal(&name) };
                    if value.get().starts_with('{') && depth < MAX_DEPTH && !self.is_whole(&normal) {
                        let parent = if wrapper { String::new() } else { normal };
                        below.push((parent, serde_json::from_str(value.get())?));
                    } else if value.get().starts_with('"') {
                        self.push(normal, serde_json::from_str::<String>(value.get())?);
                    } else {
                        // Keep the text as written: an unquoted device 1E5 or data 0100 must not become a number.
                        self.push(normal, value.get().to_owned());
                    }
                }
            }
            if below.is_empty() {
                break;
            }
            level = below;
        }
        Ok(())
    }

    fn is_whole(&self, name: &str) -> bool {
        WHOLE.iter().any(|whole| self.names_of(whole).any(|of_it| of_it == name))
    }

    fn add_form(&mut self, form: &[u8]) {
        for (name, value) in form_urlencoded::parse(form) {
            self.add(&name, &value);
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        self.push(normal(name), value.to_owned());
    }

    fn push(&mut self, name: String, value: String) {
        self.values.push(Variable { name, value, read: Cell::new(false) });
    }

    /// The values of all variables, in order of precedence.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|variable| variable.value.as_str())
    }

    /// Returns `true` if the variable is present, even without a value.
    pub fn mentions(&self, name: &str) -> bool {
        self.names_of(name).any(|name| self.values.iter().any(|variable| variable.name == name))
    }

    /// Returns `true` if there is any `customData#NAME`, a variable that Sigfox can be configured to decode from the
    /// payload.
    pub fn has_custom_data(&self) -> bool {
        self.values.iter().any(|variable| variable.name.starts_with("customdata#"))
    }

    /// Returns the text of a variable; `None` if it has no value.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.lookup(name, Some)
    }

    /// Parses a variable with `read`, and marks it as read on success. Returns `None` if it has no value or is invalid:
    /// use it for variables that must not hold back a message.
    pub fn lookup<'a, T>(&'a self, name: &str, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let variable = self.find(name)?;
        let value = read(variable.value.trim())?;
        variable.read.set(true);
        Some(value)
    }

    /// Returns the text of a variable without marking it as read.
    pub fn peek(&self, name: &str) -> Option<&str> {
        self.find(name).map(|variable| variable.value.trim())
    }

    fn find(&self, name: &str) -> Option<&Variable> {
        let present = |name: String| self.values.iter().find(|v| v.name == name && !is_absent(&v.value));
        self.names_of(name).find_map(present)
    }

    /// All names of one of Sigfox's variables, the profile's own name first.
    fn names_of(&self, name: &str) -> impl Iterator<Item = String> {
        let own = self.aliases.iter().filter(move |(_, sigfox)| *sigfox == name).map(|(own, _)| normal(own));
        let others = OTHER_NAMES.iter().filter(move |(sigfox, _)| *sigfox == name).flat_map(|(_, others)| *others);
        own.chain([normal(name)]).chain(others.map(|&other| other.to_owned()))
    }

    /// Parses a variable as `T`, which `wanted` describes. Returns `None` if it has no value.
    ///
    /// # Errors
    /// [`VariableError::Wrong`].
    pub fn optional<T: FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<Option<T>, VariableError> {
        let Some(text) = self.peek(name) else { return Ok(None) };
        let wrong = || VariableError::Wrong { name, wanted, text: text.chars().take(QUOTED).collect() };
        self.lenient(name).ok_or_else(wrong).map(Some)
    }

    /// Parses a required variable as `T`.
    ///
    /// # Errors
    /// [`VariableError::Missing`] and [`VariableError::Wrong`].
    pub fn required<T: FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<T, VariableError> {
        self.optional(name, wanted)?.ok_or_else(|| VariableError::Missing { name, there: self.there() })
    }

    /// Parses a variable as `T`. Returns `None` if it has no value or is invalid.
    pub fn lenient<T: FromStr>(&self, name: &str) -> Option<T> {
        self.lookup(name, |text| text.parse().ok())
    }

    /// Names and values of the variables that were not read, for users that know more. Omits variables that repeat one
    /// that was read.
    pub fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        let (read, unread): (Vec<_>, Vec<_>) = self.values.iter().partition(|variable| variable.read.get());
        let repeats = move |v: &Variable| read.iter().any(|read| (&read.name, &read.value) == (&v.name, &v.value));
        let unread = unread.into_iter().filter(move |variable| !is_absent(&variable.value) && !repeats(variable));
        unread.map(|variable| (variable.name.as_str(), variable.value.trim()))
    }

    fn there(&self) -> String {
        if self.values.is_empty() {
            return "there are none".to_owned();
        }
        let names = self.values.iter().take(QUOTED_NAMES).map(|v| v.name.chars().take(QUOTED).collect::<String>());
        let more = if self.values.len() > QUOTED_NAMES { ", ..." } else { "" };
        format!("there are: {}{more}", names.collect::<Vec<_>>().join(", "))
    }
}

impl VariableError {
    /// The same message without any content of the callback, for the log, which must not contain payloads.
    pub fn without_quotes(&self) -> String {
        match self {
            Self::Json(e) => format!("the body is not JSON (line {}, column {})", e.line(), e.column()),
            Self::Missing { name, .. } => format!("the variable {name} is missing"),
            Self::Wrong { name, wanted, .. } => format!("the variable {name} is not {wanted}"),
        }
    }
}

/// Names are compared without case, hyphens and underscores: `seqNumber`, `SeqNumber` and `seq_number` are the same.
fn normal(name: &str) -> String {
    let normal = name.trim().chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_lowercase();
    // A name of only hyphens and underscores stays as it is, since an empty name is invalid.
    if normal.is_empty() { name.trim().to_owned() } else { normal }
}

/// Returns `true` for the forms of a variable without a value: `null` (documented for `rssi`), `N/A` (for `avgSnr`),
/// and as a precaution the empty text and a name in braces.
fn is_absent(value: &str) -> bool {
    let value = value.trim();
    let placeholder = value.starts_with('{') && value.ends_with('}') && !value.contains(':') && value.len() > 2;
    value.is_empty() || placeholder || ["null", "N/A"].iter().any(|absent| value.eq_ignore_ascii_case(absent))
}
