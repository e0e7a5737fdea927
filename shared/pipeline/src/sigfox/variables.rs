//! The names and values of a callback.
//!
//! There is no fixed wire format: the customer writes a template in the Sigfox back end, and Sigfox replaces its
//! `{variables}` for each message (<https://support.sigfox.com/docs/callback-medium>). The customer chooses the names,
//! the quoting of numbers, the nesting, and whether the variables arrive as JSON, as a form or in the query.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use pulsegate_model::profile::Callbacks;
use serde_json::value::RawValue;

use super::Content;
use super::body;
use super::body::Body;
use super::error::VariableError;
use super::names::{OTHER_NAMES, is_name, normal};
use super::value::{Value, is_absent, is_empty, is_unsaid, plain};

/// The depth to which nested objects of a body are searched. Templates nest once or twice.
const MAX_DEPTH: usize = 8;

/// How many characters of a value or name, and how many names, an error message quotes.
const QUOTED: usize = 40;
const QUOTED_NAMES: usize = 5;

/// A member name that is qualified with the name of its object: `{"station": {"id": ...}}` is `stationid`.
const QUALIFIED: &str = "id";

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

impl Variables {
    /// Parses all parts of a request. The body takes precedence over the query: for a form, Sigfox itself moves the
    /// query into the body.
    ///
    /// # Errors
    /// [`VariableError::Json`], in a nested object.
    pub(super) fn read(
        body: &Body,
        content: &Content<'_>,
        callbacks: &'static Callbacks,
    ) -> Result<Self, VariableError> {
        let mut this = Self::of_object(body.object().unwrap_or("{}"), "", callbacks)?;
        if let Body::Text(text) = body {
            this.add_text(text);
        }
        this.add_form(content.query.as_bytes());
        this.open_inner_objects()?;
        for (name, value) in &content.extra {
            this.add(name, value);
        }
        Ok(this)
    }

    /// Builds the variables of a JSON object, and of a query.
    ///
    /// # Errors
    /// [`VariableError::Json`], in a nested object.
    pub(super) fn of_object(object: &str, query: &str, callbacks: &'static Callbacks) -> Result<Self, VariableError> {
        let mut this = Self { values: Vec::new(), aliases: &callbacks.aliases };
        this.add_object(serde_json::from_str(object)?)?;
        this.add_form(query.as_bytes());
        Ok(this)
    }

    /// Builds the variables of one line of a batch.
    pub fn of_line<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>, callbacks: &'static Callbacks) -> Self {
        let mut this = Self { values: Vec::new(), aliases: &callbacks.aliases };
        values.into_iter().for_each(|(name, value)| this.add(name, value));
        this
    }

    /// Replaces the values whose text is a JSON object by its members, in front: if nothing else names the device, they
    /// are the callback, and the rest is what a relay put around it, such as `{"Message": "{...}"}`.
    fn open_inner_objects(&mut self) -> Result<(), VariableError> {
        if self.names_a_device() {
            return Ok(());
        }
        let mut outer = Vec::new();
        for variable in std::mem::take(&mut self.values) {
            let inner = variable.value.trim_start().starts_with('{') && !self.is_whole(&variable.name);
            match inner.then(|| Body::open(variable.value.as_bytes())) {
                Some(Ok(Body::Object(object))) => self.add_object(serde_json::from_str(&object)?)?,
                _ => outer.push(variable),
            }
        }
        self.values.extend(outer);
        Ok(())
    }

    /// Returns `true` if there is a device, or another source of an event.
    pub(super) fn names_a_device(&self) -> bool {
        self.find("device").or_else(|| self.find("sourceId")).is_some()
    }

    /// Adds a text: pairs if one of them names the device, a form otherwise.
    fn add_text(&mut self, text: &[u8]) {
        let pairs = std::str::from_utf8(text).ok().and_then(body::pairs).unwrap_or_default();
        if pairs.iter().any(|(name, _)| self.names_of("device").any(|device| device == normal(name))) {
            for (name, value) in pairs {
                self.add(name, value);
            }
        } else {
            self.add_form(text);
        }
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
        let value = read(plain(&variable.value))?;
        variable.read.set(true);
        Some(value)
    }

    /// Returns the text of a variable without marking it as read.
    pub fn peek(&self, name: &str) -> Option<&str> {
        self.find(name).map(|variable| plain(&variable.value))
    }

    /// Returns all values of a variable, however often and under whichever name it is there.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all_named(name).map(|variable| plain(&variable.value)).filter(|value| !is_absent(value))
    }

    /// Returns `true` if the variable has no value in Sigfox's own spelling of that.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.find(name).is_none() && self.all_named(name).any(|variable| is_empty(&variable.value))
    }

    /// The first with a value. One without a value counts as read.
    fn find(&self, name: &str) -> Option<&Variable> {
        self.all_named(name).find(|variable| {
            let absent = is_absent(&variable.value);
            variable.read.set(absent || variable.read.get());
            !absent
        })
    }

    fn all_named(&self, name: &str) -> impl Iterator<Item = &Variable> {
        self.names_of(name).flat_map(|name| self.values.iter().filter(move |variable| variable.name == name))
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
    pub fn optional<T: Value>(&self, name: &'static str, wanted: &'static str) -> Result<Option<T>, VariableError> {
        let Some(text) = self.peek(name) else { return Ok(None) };
        let wrong = || VariableError::Wrong { name, wanted, text: text.chars().take(QUOTED).collect() };
        self.lenient(name).ok_or_else(wrong).map(Some)
    }

    /// Parses a required variable as `T`.
    ///
    /// # Errors
    /// [`VariableError::Missing`] and [`VariableError::Wrong`].
    pub fn required<T: Value>(&self, name: &'static str, wanted: &'static str) -> Result<T, VariableError> {
        self.optional(name, wanted)?.ok_or_else(|| self.missing(name))
    }

    /// The error for a variable without a value.
    pub(super) fn missing(&self, name: &'static str) -> VariableError {
        let value = self.all_named(name).next().map(|v| v.value.chars().take(QUOTED).collect::<String>());
        let there = value.map_or_else(|| self.there(), |value| format!("its value is {value:?}"));
        VariableError::Missing { name, there }
    }

    /// Parses a variable as `T`. Returns `None` if it has no value or is invalid.
    pub fn lenient<T: Value>(&self, name: &str) -> Option<T> {
        self.lookup(name, T::read)
    }

    /// Names and values of the variables that were not read, for users that know more. Omits variables that repeat one
    /// that was read.
    pub fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        let (read, unread): (Vec<_>, Vec<_>) = self.values.iter().partition(|variable| variable.read.get());
        let repeats = move |v: &Variable| read.iter().any(|read| (&read.name, &read.value) == (&v.name, &v.value));
        let unread = unread.into_iter().filter(move |variable| !is_unsaid(&variable.value) && !repeats(variable));
        unread.map(|variable| (variable.name.as_str(), variable.value.trim()))
    }

    fn there(&self) -> String {
        if self.values.is_empty() {
            return "there are none".to_owned();
        }
        // A body of another form is one long "name" without a value.
        let names: Vec<&str> = self.values.iter().map(|v| v.name.as_str()).filter(|name| is_name(name)).collect();
        if names.is_empty() {
            return "the body is not JSON, a form, name:value pairs, or lines of the profile's pattern".to_owned();
        }
        let more = if names.len() > QUOTED_NAMES { ", ..." } else { "" };
        let quoted = names.iter().take(QUOTED_NAMES).map(|name| name.chars().take(QUOTED).collect::<String>());
        format!("there are: {}{more}", quoted.collect::<Vec<_>>().join(", "))
    }
}
