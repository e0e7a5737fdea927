//! The names and values of a callback.
//!
//! There is no fixed wire format: the customer writes a template in the Sigfox back end, and its `{variables}` are replaced
//! when a message comes (<https://support.sigfox.com/docs/callback-medium>). What they are called, whether numbers stand in
//! quotes, what is nested in what, and whether they come as JSON, as a form or in the query is the customer's choice.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::str::FromStr;

use pulsegate_model::profile::Callbacks;
use serde_json::value::RawValue;

use super::Content;

/// How deep the objects of a body are looked into. Templates nest once or twice.
const MAX_DEPTH: usize = 8;

/// How much of a value, and how many names, a reason quotes.
const QUOTED: usize = 40;
const QUOTED_NAMES: usize = 5;

/// A member of an object inside the body that says little by itself: `{"station": {"id": ...}}` is `stationid`.
const QUALIFIED: &str = "id";

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
const WHOLE: &[&str] = &["computedLocation", "duplicates"];

/// What a callback says, by name.
#[derive(Debug, Default)]
pub struct Variables {
    /// Of two with the same name and a value the first counts.
    values: Vec<Variable>,
    /// The profile's other names, as `(its own, Sigfox's)`.
    aliases: &'static [(&'static str, &'static str)],
}

#[derive(Debug)]
struct Variable {
    /// In [`normal`] form.
    name: String,
    value: String,
    /// Whether somebody could make something of it.
    read: Cell<bool>,
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
        let mut this = Self { values: Vec::new(), aliases: &callbacks.aliases };
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
        let mut this = Self { values: Vec::new(), aliases: &callbacks.aliases };
        values.into_iter().for_each(|(name, value)| this.add(name, value));
        this
    }

    /// The values nearest to the top come first.
    fn add_object(&mut self, body: BTreeMap<Cow<'_, str>, &RawValue>) -> Result<(), VariableError> {
        let mut level = vec![(String::new(), body)];
        for depth in 1.. {
            let mut below = Vec::new();
            // An object around everything is no name for anything.
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
                        // As it was written: a device 1E5 or data 0100 without quotes must not become a number.
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

    /// The values under any name, in the order in which they count.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|variable| variable.value.as_str())
    }

    /// Whether there is anything of this name, be it without a value.
    pub fn mentions(&self, name: &str) -> bool {
        self.names_of(name).any(|name| self.values.iter().any(|variable| variable.name == name))
    }

    /// Whether there is any of the variables that Sigfox can be told to make out of the payload, `customData#NAME`.
    pub fn has_custom_data(&self) -> bool {
        self.values.iter().any(|variable| variable.name.starts_with("customdata#"))
    }

    /// The text of a variable; `None` when it has no value.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.lookup(name, Some)
    }

    /// What `read` makes of the text of a variable, which then counts as read; `None` when it has no value, or is not that:
    /// for what is no reason to hold a message back.
    pub fn lookup<'a, T>(&'a self, name: &str, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let variable = self.find(name)?;
        let value = read(variable.value.trim())?;
        variable.read.set(true);
        Some(value)
    }

    /// The text of a variable that does not count as read by that.
    pub fn peek(&self, name: &str) -> Option<&str> {
        self.find(name).map(|variable| variable.value.trim())
    }

    fn find(&self, name: &str) -> Option<&Variable> {
        let present = |name: String| self.values.iter().find(|v| v.name == name && !is_absent(&v.value));
        self.names_of(name).find_map(present)
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
        let Some(text) = self.peek(name) else { return Ok(None) };
        let wrong = || VariableError::Wrong { name, wanted, text: text.chars().take(QUOTED).collect() };
        self.lenient(name).ok_or_else(wrong).map(Some)
    }

    /// The same for a variable that nothing goes without.
    ///
    /// # Errors
    /// [`VariableError::Missing`] and [`VariableError::Wrong`].
    pub fn required<T: FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<T, VariableError> {
        self.optional(name, wanted)?.ok_or_else(|| VariableError::Missing { name, there: self.there() })
    }

    /// The same, or `None` when it is not that.
    pub fn lenient<T: FromStr>(&self, name: &str) -> Option<T> {
        self.lookup(name, |text| text.parse().ok())
    }

    /// What nobody could make anything of, for whoever may know more: names and values. What merely repeats something that
    /// was read is left out.
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
    /// The same without anything of what was sent: for the log, which is not to have payloads.
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
    // Of nothing but hyphens and underscores, it is a name all the same.
    if normal.is_empty() { name.trim().to_owned() } else { normal }
}

/// How a variable without a value arrives: `null` (documented for `rssi`), `N/A` (for `avgSnr`), or, in case, as nothing or
/// as its own name in braces.
fn is_absent(value: &str) -> bool {
    let value = value.trim();
    let placeholder = value.starts_with('{') && value.ends_with('}') && !value.contains(':') && value.len() > 2;
    value.is_empty() || placeholder || ["null", "N/A"].iter().any(|absent| value.eq_ignore_ascii_case(absent))
}
