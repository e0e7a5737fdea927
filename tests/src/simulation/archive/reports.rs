//! Checks the reports of the final state against the set of messages.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_model::at::At;
use pulsegate_model::day::ReportKind;
use pulsegate_model::device::DeviceId;
use pulsegate_model::pulse;
use pulsegate_model::uplink::{Kind, Uplink};
use pulsegate_pipeline::archive::place::Day;
use pulsegate_pipeline::archive::reports::{REPORTS, file, key_of};
use pulsegate_pipeline::archive::row::{self, Row};

use super::activity::Activity;

/// The reports of each file, as far as they do not depend on codecs.
type Files = BTreeMap<String, BTreeSet<(DeviceId, At, Option<u32>, ReportKind)>>;

/// Returns the errors in files of reports, of which there must be no other ones.
pub(super) fn wrong(activity: &Activity) -> Vec<String> {
    let (mut found, mut wrong) = (Files::new(), Vec::new());
    for (key, content) in activity.objects.all().into_iter().filter(|(key, _)| key.starts_with(REPORTS)) {
        match file::read(content) {
            Ok(devices) => {
                let of_device = |(device, reports): (DeviceId, Vec<_>)| {
                    reports.into_iter().map(move |report: pulsegate_model::day::Report| {
                        (device, report.at, report.number, report.kind)
                    })
                };
                let all: Vec<_> = devices.into_iter().flat_map(of_device).collect();
                if !all.is_sorted_by(|one, next| one < next) {
                    wrong.push(format!("at the end, {key} is not in order, or has a report twice"));
                }
                found.insert(key, all.into_iter().collect());
            }
            Err(error) => wrong.push(format!("at the end, {key} cannot be read: {error}")),
        }
    }
    found.retain(|_, reports| !reports.is_empty());
    let expected = expected(activity);
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let other = keys.into_iter().filter(|key| expected.get(*key) != found.get(*key));
    wrong.extend(other.map(|key| format!("at the end, {key} has other reports")));
    wrong
}

fn expected(activity: &Activity) -> Files {
    let messages = &activity.messages;
    let kept = messages.uplinks.iter().filter(|uplink| activity.erasing != Some(uplink.device));
    let dated = kept.filter(|uplink| Day::of(uplink) != Day::Odd);
    let rows: BTreeSet<Row> = dated.map(Row::from).collect();
    let mut files = Files::new();
    let uplink = |row: &Row| row.uplink().unwrap_or_else(|e| panic!("{e}"));
    let valid: Vec<Uplink> = row::valid(rows).iter().map(uplink).collect();
    for uplink in &valid {
        let same = |other: &&Uplink| other.key() == uplink.key() && other.kind != Kind::Event;
        let kind = match uplink.kind {
            Kind::Event => ReportKind::Event,
            // Of an uplink in two kinds it suffices that one is read.
            _ if valid.iter().filter(same).any(|same| pulse::decode(same).is_ok()) => ReportKind::Uplink,
            _ => ReportKind::Undecodable,
        };
        let report = (uplink.device, uplink.at, uplink.sequence, kind);
        files.entry(key_of(messages.bits.place(uplink))).or_default().insert(report);
    }
    files
}
