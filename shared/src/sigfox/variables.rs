//! The names and values of a callback.
//!
//! There is no fixed wire format: the customer writes a template in the Sigfox back end, and its `{variables}` are replaced
//! when a message comes (<https://support.sigfox.com/docs/callback-medium>). What they are called, whether numbers stand in
//! quotes, what is nested in what, and whether they come as JSON, as a form or in the query is the customer's choice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::value::RawValue;

use super::Content;
use crate::profile::Callbacks;

/// How deep the objects of a body are looked into. Templates nest once or twice.
const MAX_DEPTH: usize = 8;

/// How much of a value, and how many names, a reason quotes.
const QUOTED: usize = 40;
const QUOTED_NAMES: usize = 5;

/// Other names of Sigfox's variables, in [`normal`] form: older ones, and those of Sigfox's own samples.
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

/// Variables that expand to a whole object or list of JSON: taken as they stand, not looked into.
const WHOLE: &[&str] = &["computedlocation", "location", "duplicates"];

/// What a callback says, by name.
#[derive(Debug, Default)]
pub struct Variables {
    /// Names in [`normal`] form; of two with the same name and a value the first counts.
    values: Vec<(String, String)>,
    /// The profile's other names, as `(its own, Sigfox's)`.
    aliases: &'static [(&'static str, &'static str)],
}

/// A variable, or the whole of them, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// It begins as JSON does, and is none.
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not there, or there without a value.
    #[error("the variable {name} is missing ({there})")]
    Missing {
        /// Its name.
        name: &'static str,
        /// What is there instead.
        there: String,
    },
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
    /// Reads all parts of a request. The body counts before the query: for a form, Sigfox itself moves the query there.
    ///
    /// # Errors
    /// [`VariableError::Json`]. A form is whatever is no JSON object, so nothing is no form.
    pub fn read(content: &Content<'_>, callbacks: &'static Callbacks) -> Result<Self, VariableError> {
        let mut this = Self { values: Vec::new(), aliases: callbacks.aliases };
        if content.body.trim_ascii_start().starts_with(b"{") {
            this.add_object(serde_json::from_slice(content.body)?)?;
        } else {
            this.add_form(content.body);
        }
        this.add_form(content.query.as_bytes());
        for (name, value) in &content.also {
            this.add(name, value);
        }
        Ok(this)
    }

    /// From names and values of one line of a batch.
    pub fn of_line<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>, callbacks: &'static Callbacks) -> Self {
        let mut this = Self { values: Vec::new(), aliases: callbacks.aliases };
        values.into_iter().for_each(|(name, value)| this.add(name, value));
        this
    }

    /// The values nearest to the top come first.
    fn add_object(&mut self, object: BTreeMap<Cow<'_, str>, &RawValue>) -> Result<(), VariableError> {
        let mut level = object;
        for depth in 1.. {
            let mut below = BTreeMap::new();
            for (name, value) in level {
                let looked_into = value.get().starts_with('{') && !WHOLE.contains(&normal(&name).as_str());
                if looked_into && depth < MAX_DEPTH {
                    below.append(&mut serde_json::from_str(value.get())?);
                } else if value.get().starts_with('"') {
                    self.add(&name, &serde_json::from_str::<String>(value.get())?);
                } else {
                    // As it was written: a device 1E5 or data 0100 without quotes must not become a number.
                    self.add(&name, value.get());
                }
            }
            if below.is_empty() {
                break;
            }
            level = below;
        }
        Ok(())
    }

    fn add_form(&mut self, form: &[u8]) {
        for (name, value) in form_urlencoded::parse(form) {
            self.add(&name, &value);
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        self.values.push((normal(name), value.to_owned()));
    }

    /// The values under any name, in the order in which they count.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(_, value)| value.as_str())
    }

    /// Whether there is anything of this name, be it without a value.
    pub fn mentions(&self, name: &str) -> bool {
        self.names_of(name).any(|name| self.values.iter().any(|(there, _)| *there == name))
    }

    /// Whether there is any of the variables that Sigfox can be told to make out of the payload, `customData#NAME`.
    pub fn has_custom_data(&self) -> bool {
        self.values.iter().any(|(name, _)| name.starts_with("customdata#"))
    }

    /// The text of a variable; `None` when it has no value.
    pub fn text(&self, name: &str) -> Option<&str> {
        let present = |name: String| self.values.iter().find(|(there, value)| *there == name && !is_absent(value));
        self.names_of(name).find_map(present).map(|(_, value)| value.trim())
    }

    /// Everything that one of Sigfox's variables may be called: the profile's own name for it first.
    fn names_of(&self, name: &str) -> impl Iterator<Item = String> {
        let own = self.aliases.iter().filter(move |(_, sigfox)| *sigfox == name).map(|(own, _)| normal(own));
        let others = OTHER_NAMES.iter().filter(move |(sigfox, _)| *sigfox == name).flat_map(|(_, others)| *others);
        own.chain([normal(name)]).chain(others.map(|&other| other.to_owned()))
    }

    /// A variable read as `T`, which `wanted` describes; `None` when it has no value.
    ///
    /// # Errors
    /// [`VariableError::Wrong`].
    pub fn optional<T: FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<Option<T>, VariableError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = || VariableError::Wrong { name, wanted, text: text.chars().take(QUOTED).collect() };
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// The same for a variable that nothing goes without.
    ///
    /// # Errors
    /// [`VariableError::Missing`] and [`VariableError::Wrong`].
    pub fn required<T: FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<T, VariableError> {
        self.optional(name, wanted)?.ok_or_else(|| VariableError::Missing { name, there: self.there() })
    }

    /// A variable read as `T`, or `None` when it is not that: for what is no reason to hold a message back.
    pub fn lenient<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// What has no meaning of its own here, for whoever may know more: names and values.
    pub fn others<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let known: Vec<String> = known.iter().map(|name| normal(name)).collect();
        let others = OTHER_NAMES.iter().flat_map(|(_, others)| *others).copied();
        let others: Vec<&str> = others.collect();
        let own: Vec<String> = self.aliases.iter().map(|(own, _)| normal(own)).collect();
        let unknown =
            move |name: &String| !known.contains(name) && !others.contains(&name.as_str()) && !own.contains(name);
        let present = self.values.iter().filter(move |(name, value)| unknown(name) && !is_absent(value));
        present.map(|(name, value)| (name.as_str(), value.trim()))
    }

    fn there(&self) -> String {
        if self.values.is_empty() {
            return "there are none".to_owned();
        }
        let names =
            self.values.iter().take(QUOTED_NAMES).map(|(name, _)| name.chars().take(QUOTED).collect::<String>());
        let more = if self.values.len() > QUOTED_NAMES { ", ..." } else { "" };
        format!("there are: {}{more}", names.collect::<Vec<_>>().join(", "))
    }
}

/// Names are compared without case, hyphens and underscores: `seqNumber`, `SeqNumber` and `seq_number` are the same.
fn normal(name: &str) -> String {
    name.trim().chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_lowercase()
}

/// How a variable without a value arrives: `null` (documented for `rssi`), `N/A` (for `avgSnr`), or, in case, as nothing or
/// as its own name in braces.
fn is_absent(value: &str) -> bool {
    let value = value.trim();
    let placeholder = value.starts_with('{') && value.ends_with('}') && !value.contains(':') && value.len() > 2;
    value.is_empty() || placeholder || ["null", "N/A"].iter().any(|absent| value.eq_ignore_ascii_case(absent))
}
