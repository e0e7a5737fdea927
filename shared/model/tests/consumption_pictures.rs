//! The pictures of `docs/consumption.md`, drawn from what the code computes. `RENEW_DOCS=1` writes them.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]
#![expect(clippy::cast_precision_loss, reason = "pixels")]

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use pulsegate_model::assignment::{Assignment, Zone};
use pulsegate_model::at::At;
use pulsegate_model::consumption::calendar::Every;
use pulsegate_model::consumption::{Interval, Meter, Quality, Reading, Request, Volume};
use serde_json::{Value, json};

/// A drawing: readings of a channel and its meters, hour by hour.
struct Scene {
    title: &'static str,
    points: Vec<Reading>,
    assignments: Vec<Assignment>,
    zone: Zone,
    /// Hours after the last reading.
    hours_after: u64,
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 740.0;
/// The panel of V, from its top to its bottom; that of the hours; the line of local times.
const CURVE: (f64, f64) = (62.0, 150.0);
const BARS: (f64, f64) = (196.0, 276.0);
const TIMES: f64 = 294.0;
const HEIGHT: f64 = 344.0;

const HEAD: &str = r##"<rect width="100%" height="100%" fill="white"/>
<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="5" height="5" fill="#e3edf6"/><rect width="2" height="5" fill="#4478a8"/></pattern></defs>
"##;

fn at(text: &str) -> At {
    At::from_rfc3339(text).unwrap()
}

/// Readings on each hour from a time on: `None` is lost.
fn hourly(from: &str, bits: Option<u8>, indexes: &[Option<u64>]) -> Vec<Reading> {
    let from = at(from);
    let reading = |(hour, index): (u64, &Option<u64>)| {
        Some(Reading { at: from.checked_add(hour * 3_600)?, index: (*index)?, counter_bits: bits })
    };
    (0..).zip(indexes).filter_map(reading).collect()
}

/// A meter of 10 litres a pulse.
fn meter(more: &Value) -> Assignment {
    let mut meter = json!({"device": "sigfox:1A2345", "channel": "A", "litres_per_pulse": 10});
    meter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(meter).unwrap()
}

fn gap() -> Scene {
    let lost = [Some(100), Some(101), Some(103), None, None, None, Some(115), Some(116), Some(116), Some(118)];
    Scene {
        title: "A gap: three readings are lost. Their 120 litres are known; how they spread over four hours is not",
        points: hourly("2026-11-20T08:00:00Z", None, &lost),
        assignments: vec![meter(&json!({}))],
        zone: Zone::UTC,
        hours_after: 1,
    }
}

fn swap() -> Scene {
    let swapped = "2026-11-20T12:30:00Z";
    let mut points =
        hourly("2026-11-20T08:00:00Z", None, &[Some(5_440), Some(5_442), Some(5_445), Some(5_446), Some(5_448)]);
    points.extend(hourly("2026-11-20T13:00:00Z", None, &[Some(2), Some(5), Some(6), Some(9), Some(11)]));
    Scene {
        title: "A swap at 12:30: the old meter ends at 5,449, the new one begins at 0 and counts 1 litre a pulse",
        points,
        assignments: vec![
            meter(&json!({"to": swapped, "last_index": 5_449})),
            meter(&json!({"from": swapped, "first_index": 0, "litres_per_pulse": 1})),
        ],
        zone: Zone::UTC,
        hours_after: 0,
    }
}

fn rollover() -> Scene {
    let indexes = [65_520, 65_523, 65_527, 65_530, 65_534, 2, 5, 6, 10, 14].map(Some);
    Scene {
        title: "A rollover: a counter of 16 bits goes from 65,535 to 0. The step from 65,534 to 2 is four pulses",
        points: hourly("2026-11-20T08:00:00Z", Some(16), &indexes),
        assignments: vec![meter(&json!({}))],
        zone: Zone::UTC,
        hours_after: 0,
    }
}

fn night() -> Scene {
    let indexes = [200, 200, 201, 204, 205, 205, 206, 208, 211].map(Some);
    Scene {
        title: "A day of 25 hours: on 25 October 2026, two hours in Brussels begin at 02:00",
        points: hourly("2026-10-24T22:00:00Z", None, &indexes),
        assignments: vec![meter(&json!({"time_zone": "Europe/Brussels"}))],
        zone: "Europe/Brussels".parse().unwrap(),
        hours_after: 0,
    }
}

impl Scene {
    fn svg(&self) -> String {
        let meter = Meter { points: &self.points, assignments: &self.assignments, ..Meter::default() };
        let volume = Volume::of(&meter);
        let (first, last) = (self.points[0].at, self.points[self.points.len() - 1].at);
        let to = last.checked_add(self.hours_after * 3_600).unwrap();
        let hours = volume.consumption(&Request { from: first, to, interval: Every::Hour, zone: &self.zone }).intervals;
        let x = |at: At| LEFT + (RIGHT - LEFT) * (at.unix() - first.unix()) as f64 / (to.unix() - first.unix()) as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"#24292f\" role=\"img\">\n<title>{}</title>\n{HEAD}",
            self.title
        );
        text(&mut svg, (LEFT, 22.0), "start", &format!("<tspan font-weight=\"bold\">{}</tspan>", self.title));
        self.curve(&mut svg, &volume, &x);
        self.bars(&mut svg, &hours, &x);
        legend(&mut svg);
        svg + "</svg>\n"
    }

    /// V, with the index at each reading.
    fn curve(&self, svg: &mut String, volume: &Volume, x: &dyn Fn(At) -> f64) {
        let mut knots = vec![(self.points[0].at, 0)];
        for step in volume.steps() {
            let before = knots.last().unwrap().1;
            knots.push((step.to, before + step.volume));
        }
        let most = knots.last().unwrap().1.max(1);
        let y = |v: i64| CURVE.1 - (CURVE.1 - CURVE.0) * v as f64 / most as f64;
        text(svg, (LEFT - 22.0, CURVE.0 + 4.0), "end", &format!("{} l", litres(most)));
        text(svg, (LEFT - 22.0, CURVE.1 + 4.0), "end", "V = 0");
        let path: Vec<String> = knots.iter().map(|(at, v)| format!("{:.1},{:.1}", x(*at), y(*v))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#24292f\" stroke-width=\"1.5\"/>",
            path.join(" ")
        );
        for point in &self.points {
            let (_, v) = knots.iter().rfind(|(at, _)| *at == point.at).unwrap();
            let (x, y) = (x(point.at), y(*v));
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"#24292f\"/>");
            text(svg, (x, y - 9.0), "middle", &point.index.to_string());
        }
    }

    /// The hours, each with its value and flags.
    fn bars(&self, svg: &mut String, hours: &[Interval], x: &dyn Fn(At) -> f64) {
        let most = hours.iter().filter_map(|hour| hour.value).max().unwrap_or(1).max(1);
        let _ = writeln!(svg, "<path d=\"M{LEFT} {} H{RIGHT}\" stroke=\"#24292f\"/>", BARS.1);
        for hour in hours {
            let (left, right) = (x(hour.start) + 3.0, x(hour.end) - 3.0);
            let middle = f64::midpoint(left, right);
            let height = (BARS.1 - BARS.0) * hour.value.unwrap_or(0) as f64 / most as f64;
            let fill = match hour.quality {
                Quality::Measured => "fill=\"#4478a8\"",
                Quality::Interpolated => "fill=\"url(#hatch)\" stroke=\"#4478a8\"",
                Quality::Partial => "fill=\"white\" stroke=\"#4478a8\" stroke-dasharray=\"3\"",
                Quality::Missing => "fill=\"none\"",
            };
            let (top, width) = (BARS.1 - height, right - left);
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {fill}/>"
            );
            let value = hour.value.map_or_else(|| "×".to_owned(), |value| format!("{} l", litres(value)));
            text(svg, (middle, top - 5.0), "middle", &value);
            let start = Timestamp::from_second(hour.start.unix()).unwrap().to_zoned(self.zone.time_zone().clone());
            let form = if self.zone == Zone::UTC { "%H:%M" } else { "%H:%M%:::z" };
            text(svg, (x(hour.start), TIMES), "middle", &start.strftime(form).to_string());
            if !hour.flags.is_empty() {
                text(svg, (middle, TIMES + 16.0), "middle", &hour.flags.names());
            }
        }
    }
}

fn legend(svg: &mut String) {
    let y = HEIGHT - 12.0;
    let mut x = LEFT;
    for (fill, what) in [("#4478a8", "measured"), ("url(#hatch)", "interpolated")] {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{fill}\" stroke=\"#4478a8\"/>",
            y - 10.0
        );
        text(svg, (x + 18.0, y), "start", what);
        x += 105.0;
    }
    text(svg, (x, y), "start", "×  missing");
    text(svg, (x + 90.0, y), "start", "●  reading, with its index");
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn litres(thousandths: i64) -> i64 {
    thousandths / 1_000
}

fn same(file: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("RENEW_DOCS").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == now, "docs/{file} is not what the code computes; renew it with RENEW_DOCS=1");
}

#[test]
fn the_pictures_of_the_document_are_what_the_code_computes() {
    same("consumption-gap.svg", &gap().svg());
    same("consumption-swap.svg", &swap().svg());
    same("consumption-rollover.svg", &rollover().svg());
    same("consumption-night.svg", &night().svg());
}
