//! Results of the product for the stored uplinks of a meter: rows of days, and steps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;
use jiff::civil::Date;
use pulsegate_model::assignment::{Assignment, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::{Count, Meter, Reading, Rules, Step, Volume, calendar};
use pulsegate_model::day::{self, Dates, DayRow, History, Readings, Report, ReportKind};
use pulsegate_model::device::DeviceId;
use pulsegate_model::merge;
use pulsegate_model::profile;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::SortKey;

use super::super::expected_run::UplinkPosition;

/// The results for a meter.
pub(super) struct Computed {
    pub(super) channels: BTreeMap<Channel, Readings>,
    pub(super) rows: Vec<DayRow>,
    /// Seconds from one log to the next, where uplinks have it.
    pub(super) period: Option<u32>,
    pub(super) steps: BTreeMap<Channel, Vec<Step>>,
}

impl Computed {
    /// Computes them; `None` if nothing is dated.
    ///
    /// # Errors
    /// The reason why the items cannot be merged.
    pub(super) fn of(
        device: DeviceId,
        items: &[(UplinkPosition, PulseItem)],
        statuses: &BTreeSet<(At, u32)>,
        assignments: &BTreeMap<Channel, Vec<Assignment>>,
    ) -> Result<Option<Self>, String> {
        let merged = merge::merge(items.iter().map(|(_, item)| item.clone())).map_err(|e| e.to_string())?;
        let readings = |points: &merge::Points| Readings {
            points: points.points.iter().map(Reading::from).collect(),
            counted: points.counted.iter().map(Count::from).collect(),
        };
        let channels: BTreeMap<Channel, Readings> =
            merged.iter().map(|(channel, points)| (channel.clone(), readings(points))).collect();
        let of_items = items.iter().filter_map(|(_, item)| report(item));
        let reports: Vec<Report> = of_items.chain(statuses.iter().map(status)).collect();
        let times = channels.values().flat_map(times).chain(reports.iter().map(|report| report.at));
        let Some((first, last)) = times.clone().min().zip(times.max()) else { return Ok(None) };
        let days =
            |at: At, days: i64| -> Option<Date> { calendar::date_of(at, &Zone::UTC).checked_add(days.days()).ok() };
        let Some((from, until)) = days(first, -1).zip(days(last, 2)) else { return Ok(None) };
        let period = reports.iter().find_map(|report| report.period);
        let steps = channels.iter().map(|(channel, readings)| {
            let assignments = assignments.get(channel).map_or(&[][..], Vec::as_slice);
            let Readings { points, counted } = readings;
            let meter = Meter { points, counted, period, assignments, rules: Rules::default(), ..Meter::default() };
            (channel.clone(), Volume::of(&meter).steps().collect())
        });
        let steps = steps.collect();
        let of_channels = assignments.iter().map(|(channel, of)| (channel, of.as_slice())).collect();
        let history = History { channels: channels.clone(), reports, assignments: of_channels, ..History::default() };
        let rows = day::days(device, &history, from, &|_| until, &mut Dates::default());
        Ok(Some(Self { channels, rows, period, steps }))
    }
}

fn times(readings: &Readings) -> impl Iterator<Item = At> + Clone {
    let counted = readings.counted.iter().map(|count| count.at);
    readings.points.iter().map(|point| point.at).chain(counted)
}

fn report(item: &PulseItem) -> Option<Report> {
    let key: SortKey = item.uplink.parse().ok()?;
    let profile = profile::find(item.device.network(), item.profile.as_str())?;
    let of_item = item
        .channels
        .values()
        .find_map(|counts| counts.log_period.or_else(|| counts.every.and_then(|every| every.try_into().ok())));
    Some(Report {
        at: key.at,
        number: key.sequence,
        kind: ReportKind::Uplink,
        period: profile.settings.log_period.or(of_item),
        counted_at: profile.settings.counted_at,
        battery_mv: item.battery_mv,
        flags: BTreeSet::new(),
    })
}

fn status(&(at, number): &(At, u32)) -> Report {
    Report {
        at,
        number: Some(number),
        kind: ReportKind::Event,
        period: None,
        counted_at: pulsegate_model::consumption::PeriodEnd::default(),
        battery_mv: None,
        flags: BTreeSet::new(),
    }
}
