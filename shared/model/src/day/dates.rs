//! Local days in time: computed once for all devices of a time zone.

use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::assignment::{Assignment, Zone};
use crate::at::At;
use crate::consumption::calendar::{self, Every};

/// Local days that were asked for.
#[derive(Debug, Default)]
pub struct Dates {
    by_zone: BTreeMap<Zone, BTreeMap<Date, Rc<Day>>>,
}

/// A local day in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) date: Date,
    pub(super) zone: Zone,
    pub(super) start: At,
    pub(super) end: At,
    /// Boundaries of its hours.
    pub(super) hours: Vec<At>,
    /// From 02:00 to 05:00, as far as these times exist.
    pub(super) night: (At, At),
}

impl Dates {
    /// A day of a channel. Where its assignments change the time zone, the day ends when the next one begins, so that no time
    /// is in two days or in none. `None` outside of the times that [`At`] holds.
    pub(super) fn day(&mut self, date: Date, assignments: &[Assignment]) -> Option<Rc<Day>> {
        let zone = zone_of(date, assignments);
        let tomorrow = date.checked_add(1.day()).ok()?;
        if zone_of(tomorrow, assignments) == zone {
            let of_zone = self.by_zone.entry(zone.clone()).or_default();
            if let Some(day) = of_zone.get(&date) {
                return Some(day.clone());
            }
            let day = Rc::new(Day::new(date, zone.clone(), calendar::start_of(tomorrow, zone)?)?);
            of_zone.insert(date, day.clone());
            return Some(day);
        }
        let end = calendar::start_of(tomorrow, zone_of(tomorrow, assignments))?;
        Some(Rc::new(Day::new(date, zone.clone(), end)?))
    }

    /// The beginning of a day of a channel.
    pub(super) fn start(&mut self, date: Date, assignments: &[Assignment]) -> Option<At> {
        self.day(date, assignments).map(|day| day.start)
    }

    /// The date of the day of a channel that has this time.
    pub(super) fn containing(&mut self, at: At, assignments: &[Assignment]) -> Option<Date> {
        let utc = calendar::date_of(at, &Zone::UTC);
        let dates = [utc.yesterday(), Ok(utc), utc.tomorrow()].into_iter().flatten();
        let mut days = dates.filter_map(|date| self.day(date, assignments));
        days.find(|day| (day.start..day.end).contains(&at)).map(|day| day.date)
    }
}

impl Day {
    fn new(date: Date, zone: Zone, end: At) -> Option<Self> {
        let start = calendar::start_of(date, &zone)?;
        let end = end.max(start);
        let time = |hour: i8| {
            let time = date.at(hour, 0, 0, 0).to_zoned(zone.time_zone().clone()).ok()?;
            At::from_unix(time.timestamp().as_second()).ok()
        };
        let night = (time(2)?, time(5)?);
        Some(Self { date, hours: calendar::boundaries(start, end, Every::Hour, &zone), night, start, end, zone })
    }
}

/// The time zone of a day: that of the assignment at noon UTC; without one then, of the last before; else of the first.
pub(super) fn zone_of(date: Date, assignments: &[Assignment]) -> &Zone {
    const UTC: &Zone = &Zone::UTC;
    let noon = date.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |noon| noon.timestamp().as_second());
    let noon = At::from_unix(noon).unwrap_or(At::EPOCH);
    let begun = assignments.iter().filter(|assignment| assignment.from.is_none_or(|from| from <= noon));
    let last = begun.max_by_key(|assignment| assignment.from);
    let first = || assignments.iter().min_by_key(|assignment| assignment.from);
    last.or_else(first).map_or(UTC, |assignment| &assignment.time_zone)
}
