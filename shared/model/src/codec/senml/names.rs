//! The names of the records of a pack, and the meters that they belong to.
//!
//! A meter is named by a base name or by a whole name, base name and own name joined. A record whose name begins with
//! no meter belongs to the meter that was named last; before the first, to the first.

use super::meter::{self, Named};
use super::record::Record;
use crate::device::{DeviceId, DeviceIdError};

/// The names of a pack.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// One for each record, in order.
    pub(super) records: Vec<Name>,
    /// The meters that have records, in the order in which they are first named. If the pack has base fields only, the
    /// meters that these name.
    pub(super) meters: Vec<DeviceId>,
    /// The first name that is spelled like a meter's, but has no valid ID.
    pub(super) invalid: Option<DeviceIdError>,
    /// One for each meter that is named, in that order, and one for records that no meter is named for.
    stems: Vec<Stem>,
}

/// The name of a record.
#[derive(Debug)]
pub(super) struct Name {
    /// Base name and own name.
    pub(super) full: String,
    /// Its meter; `None` if the pack names none.
    pub(super) meter: Option<DeviceId>,
    /// The rest of the name after the meter, if the name begins with it.
    rest: Option<String>,
}

/// The common part of the names of a meter.
#[derive(Debug)]
struct Stem {
    meter: Option<DeviceId>,
    /// The first base name that names the meter, as it is written; empty if none does.
    base_name: String,
    /// The rest after the meter in it; without a base name, the separator.
    rest: String,
}

impl Names {
    /// Resolves the names of these records. Names that are a bare number are a meter's only if no other name is.
    pub(super) fn of(records: &[Record]) -> Self {
        let names = Self::resolve(records, |_| None);
        if names.meters.is_empty() { Self::resolve(records, meter::bare) } else { names }
    }

    fn resolve(records: &[Record], unprefixed: fn(&str) -> Option<Named<'_>>) -> Self {
        let mut names = Self::default();
        let (mut base, mut last, mut of_first) = ("", None, None);
        for record in records {
            base = record.base_name.as_deref().unwrap_or(base);
            if !record.is_base_only() {
                of_first.get_or_insert(base);
            }
            let own = record.name.as_deref().unwrap_or_default();
            let full = base.to_owned() + own;
            let rest = match names.valid(base).or_else(|| unprefixed(base)) {
                Some((meter, rest)) => {
                    names.add_stem(Some(meter), base, rest);
                    last = Some(meter);
                    Some(rest.to_owned() + own)
                }
                None => names.valid(&full).map(|(meter, rest)| {
                    names.add_stem(Some(meter), "", rest.get(..1).unwrap_or_default());
                    last = Some(meter);
                    rest.to_owned()
                }),
            };
            names.records.push(Name { full, meter: last, rest });
        }
        let first = names.stems.first().and_then(|stem| stem.meter);
        names.records.iter_mut().for_each(|name| name.meter = name.meter.or(first));
        names.meters = names.with_records(records);
        if names.meters.is_empty() {
            names.meters = names.stems.iter().filter_map(|stem| stem.meter).collect();
        }
        names.add_stem(None, of_first.unwrap_or_default(), "");
        names
    }

    fn valid<'a>(&mut self, name: &'a str) -> Option<Named<'a>> {
        match meter::named(name)? {
            Ok(named) => Some(named),
            Err(invalid) => {
                self.invalid.get_or_insert(invalid);
                None
            }
        }
    }

    fn add_stem(&mut self, meter: Option<DeviceId>, base_name: &str, rest: &str) {
        match self.stems.iter_mut().find(|stem| stem.meter == meter) {
            Some(stem) if stem.base_name.is_empty() && stem.rest.is_empty() => rest.clone_into(&mut stem.rest),
            Some(_) => {}
            None => self.stems.push(Stem { meter, base_name: base_name.to_owned(), rest: rest.to_owned() }),
        }
    }

    fn stem(&self, meter: Option<DeviceId>) -> Option<&Stem> {
        self.stems.iter().find(|stem| stem.meter == meter)
    }

    fn with_records(&self, records: &[Record]) -> Vec<DeviceId> {
        let mut meters = Vec::new();
        for (name, _) in self.records.iter().zip(records).filter(|(_, record)| !record.is_base_only()) {
            meters.extend(name.meter.filter(|meter| !meters.contains(meter)));
        }
        meters
    }

    /// The first name that is not empty.
    pub(super) fn first(&self) -> &str {
        self.records.iter().map(|name| name.full.as_str()).find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// The meter's base name; if the pack names no meter, that of its first measurement.
    pub(super) fn base_name(&self, meter: Option<DeviceId>) -> &str {
        self.stem(meter).map_or("", |stem| &stem.base_name)
    }

    /// A name without the base name of its meter, however the meter is spelled in it.
    pub(super) fn short<'a>(&self, name: &'a Name) -> &'a str {
        let short = self.stem(name.meter).and_then(|stem| match (&name.rest, name.meter) {
            (Some(rest), _) => rest.strip_prefix(stem.rest.as_str()),
            (None, Some(_)) => None,
            (None, None) => name.full.strip_prefix(stem.base_name.as_str()),
        });
        short.unwrap_or(&name.full)
    }
}

impl Name {
    /// The part that section 4.5.1 limits to certain characters: all of it but the meter, which may have parameters.
    pub(super) fn checked(&self) -> &str {
        self.rest.as_ref().unwrap_or(&self.full)
    }
}
