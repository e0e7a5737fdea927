//! A chart of latency and CPU time over the rate, as SVG.

use std::fmt::Write as _;

use super::report::milliseconds;
use super::sample::Sample;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 55.0;

/// A line with one value for each sample.
struct Line {
    name: &'static str,
    color: &'static str,
    values: Vec<f64>,
}

/// Draws both panels.
pub fn svg(samples: &[Sample]) -> String {
    let rates: Vec<f64> = samples.iter().map(|sample| f64::from(sample.rate)).collect();
    let line =
        |name, color, of: &dyn Fn(&Sample) -> f64| Line { name, color, values: samples.iter().map(of).collect() };
    let latency = [
        line("p50", "#1b7f5c", &|sample| milliseconds(&sample.report.latency, 0.5)),
        line("p99", "#b3541e", &|sample| milliseconds(&sample.report.latency, 0.99)),
    ];
    let cost = [
        line("user", "#2b5fa8", &|sample| sample.per_million(sample.used.user)),
        line("user + system", "#7a3b8f", &Sample::cost),
    ];
    let panel_width = WIDTH + 2.0 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}{}</svg>\n",
        2.0 * panel_width,
        HEIGHT + 2.0 * MARGIN,
        panel(0.0, "acknowledgement, ms", &rates, &latency),
        panel(panel_width, "CPU seconds per million datagrams", &rates, &cost),
    )
}

fn panel(left: f64, title: &str, rates: &[f64], lines: &[Line]) -> String {
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN_POSITIVE, f64::max);
    let widest = most(&mut rates.iter().copied());
    let highest = 4.0 * round_step(most(&mut lines.iter().flat_map(|line| line.values.iter().copied())) / 4.0);
    let x = |rate: f64| left + MARGIN + rate / widest * WIDTH;
    let y = |value: f64| MARGIN + HEIGHT * (1.0 - value / highest);
    let (x0, x1, y0) = (x(0.0), x(widest), y(0.0));

    let mut svg = format!("<text x=\"{x0}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>\n", MARGIN - 30.0);
    for step in 0..=4 {
        let value = highest * f64::from(step) / 4.0;
        let _ = writeln!(svg, "<path d=\"M{x0} {0:.1}H{x1}\" stroke=\"#ddd\"/>", y(value));
        let _ =
            writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", x0 - 6.0, y(value) + 4.0);
    }
    for rate in rates {
        let below = y0 + 18.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{below:.1}\" text-anchor=\"middle\">{}k/s</text>",
            x(*rate),
            rate / 1e3
        );
    }
    for (position, line) in (0_u32..).zip(lines) {
        let mut points: Vec<(f64, f64)> = rates.iter().copied().zip(line.values.iter().copied()).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let path: Vec<String> = points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        let (color, name) = (line.color, line.name);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (rate, value) in points {
            let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>", x(rate), y(value));
        }
        let at = x0 + 120.0 * f64::from(position);
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\" fill=\"{color}\">{name}</text>", MARGIN - 12.0);
    }
    svg
}

/// The next larger 1, 2 or 5 times a power of ten, for readable axis labels.
fn round_step(step: f64) -> f64 {
    let zeros = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * zeros).find(|&round| round >= step).unwrap_or(10.0 * zeros)
}
