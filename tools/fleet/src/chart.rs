//! Pictures of lines, as SVG and as PNG.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use kuva::plot::legend::LegendPosition;
use kuva::plot::{LegendEntry, LegendShape, LinePlot, LineStyle, ScatterPlot};
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;

use crate::Problem;

/// Lines over one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// What is along the bottom, with its unit.
    pub x: Axis,
    /// What is up the side, with its unit.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it is, with its unit.
    pub name: String,
    /// Whether each step is ten times the one before. What is not above zero is left out then.
    pub log: bool,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// Okabe and Ito's colours but for yellow, which nobody sees on white: they can be told apart by the colour-blind, too.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// When the colours have all been used once, they are used with dashes.
const STYLES: [LineStyle; 4] = [LineStyle::Solid, LineStyle::Dashed, LineStyle::Dotted, LineStyle::DashDot];

/// Up to so many points each is marked; more would hide the line.
const MARKED: usize = 24;

/// Pixels of a PNG for each of the SVG's.
const SCALE: f32 = 2.0;

impl Axis {
    /// With even steps.
    pub fn even(name: impl Into<String>) -> Self {
        Self { name: name.into(), log: false }
    }

    /// With steps of ten times.
    pub fn log(name: impl Into<String>) -> Self {
        Self { name: name.into(), log: true }
    }
}

impl Chart {
    /// As SVG, always the same text for the same chart.
    pub fn svg(&self) -> String {
        numbered_anew(&kuva::render_to_svg(self.plots(), self.layout()))
    }

    /// As PNG, twice as many pixels each way as the SVG has. The font is built in.
    ///
    /// # Errors
    /// [`Problem::Wrong`] if it cannot be drawn.
    pub fn png(&self) -> Result<Vec<u8>, Problem> {
        kuva::render_to_png(self.plots(), self.layout(), SCALE)
            .map_err(|e| Problem::Wrong(format!("the chart \"{}\" cannot be drawn: {e}", self.title)))
    }

    /// Writes it, as SVG or PNG by the ending of the file's name.
    ///
    /// # Errors
    /// [`Problem`], naming the file.
    pub fn write(&self, file: &Path) -> Result<(), Problem> {
        let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let bytes = match ending.as_str() {
            "svg" => self.svg().into_bytes(),
            "png" => self.png()?,
            _ => return Err(Problem::Wrong(format!("{} ends in neither .svg nor .png", file.display()))),
        };
        std::fs::write(file, bytes).map_err(|e| Problem::File(file.display().to_string(), e))
    }

    fn drawable(&self, line: &Line) -> Vec<(f64, f64)> {
        let fits = |axis: &Axis, value: f64| value.is_finite() && (!axis.log || value > 0.0);
        line.points.iter().copied().filter(|(x, y)| fits(&self.x, *x) && fits(&self.y, *y)).collect()
    }

    fn plots(&self) -> Vec<Plot> {
        let mut plots = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let points = self.drawable(line);
            let (colour, style) = look(index);
            if points.len() <= MARKED {
                plots.push(Plot::Scatter(
                    ScatterPlot::new().with_data(points.clone()).with_color(colour).with_size(3.0),
                ));
            }
            plots.push(Plot::Line(LinePlot::new().with_data(points).with_color(colour).with_line_style(style)));
        }
        plots
    }

    fn layout(&self) -> Layout {
        let mut layout = self
            .ranges()
            .with_title(plain(&self.title))
            .with_title_size(16)
            .with_x_label(plain(&self.x.name))
            .with_y_label(plain(&self.y.name))
            .with_tick_format(TickFormat::Custom(Arc::new(short)))
            .with_width(900.0)
            .with_height(480.0)
            .with_font_family("sans-serif")
            .with_legend_position(LegendPosition::OutsideRightTop)
            .with_legend_entries(self.legend());
        if self.x.log {
            layout = layout.with_log_x();
        }
        if self.y.log {
            layout = layout.with_log_y();
        }
        layout
    }

    /// Around all points; something to look at where there is none.
    fn ranges(&self) -> Layout {
        let points: Vec<_> = self.lines.iter().flat_map(|line| self.drawable(line)).collect();
        let range = |axis: &Axis, of: fn(&(f64, f64)) -> f64| {
            let values = points.iter().map(of);
            let (least, most) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(v), most.max(v)));
            match (least <= most, axis.log) {
                (true, true) => (least, most.max(least * 1.01)),
                // Lengths are only to be compared by eye if they begin at zero.
                (true, false) => (least.min(0.0), most.max(least.min(0.0) + f64::MIN_POSITIVE.sqrt())),
                (false, true) => (1.0, 10.0),
                (false, false) => (0.0, 1.0),
            }
        };
        Layout::new(range(&self.x, |p| p.0), range(&self.y, |p| p.1))
    }

    fn legend(&self) -> Vec<LegendEntry> {
        let entry = |(index, line): (usize, &Line)| {
            let (colour, style) = look(index);
            LegendEntry {
                label: plain(&line.name),
                color: colour.to_owned(),
                shape: LegendShape::Line,
                dasharray: style.dasharray(),
            }
        };
        self.lines.iter().enumerate().map(entry).collect()
    }
}

fn look(line: usize) -> (&'static str, LineStyle) {
    (COLOURS[line % COLOURS.len()], STYLES[(line / COLOURS.len()) % STYLES.len()].clone())
}

/// Without the meaning that a dollar sign has to the one who draws: what is between two of them would be set as a formula.
fn plain(text: &str) -> String {
    text.replace('$', "\\$")
}

/// What the name of a clip path begins with, where its number follows.
const CLIP: &str = "kuva-clip-";

/// With the clip paths counted from 0 on: kuva counts all that the process ever drew, and the same chart would be another text.
fn numbered_anew(svg: &str) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut parts = svg.split(CLIP);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let index = seen.iter().position(|s| *s == number).unwrap_or_else(|| {
            seen.push(number);
            seen.len() - 1
        });
        // Writing to a string cannot fail.
        let _ = write!(text, "clip-{index}{rest}");
    }
    text + "\n"
}

/// A number as an axis shows it: 1k, 10k, 3.6M.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 999_999_500.0 => (value / 1e9, "G"),
        v if v >= 999_999.5 => (value / 1e6, "M"),
        v if v >= 999.9995 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    // At most four digits after the point, and none that say nothing.
    let digits = if scaled.abs() < 0.01 && scaled != 0.0 { 6 } else { 3 };
    let text = format!("{scaled:.digits$}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)]) -> Chart {
        Chart {
            title: "Cost < fleet & $5".to_owned(),
            x: Axis::log("devices"),
            y: Axis::log("USD a month"),
            lines: vec![Line { name: "ours".to_owned(), points: points.to_vec() }],
        }
    }

    #[test]
    fn ticks_are_short() {
        let cases = [
            (0.0, "0"),
            (0.0005, "0.0005"),
            (0.25, "0.25"),
            (999.0, "999"),
            (1000.0, "1k"),
            (999_999.9, "1M"),
            (3_600_000.0, "3.6M"),
            (-10_000.0, "-10k"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn the_same_chart_is_the_same_text_with_its_decades_and_names() {
        let chart = chart(&[(1e3, 60.0), (1e4, 61.0), (3.6e6, 90.0), (3.6e7, 400.0)]);
        let svg = chart.svg();
        assert!(svg == chart.svg(), "drawn twice, it is two texts");
        for text in [">1k<", ">10k<", ">1M<", ">100<", "devices", "USD a month", "ours", "Cost &lt; fleet &amp; $5"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let holes = [(1e3, 60.0), (0.0, 5.0), (1e4, f64::NAN), (1e4, -1.0), (1e5, 70.0)];
        assert!(chart(&holes).svg() == chart(&[(1e3, 60.0), (1e5, 70.0)]).svg());
        for nothing in [&[][..], &[(0.0, 0.0)], &[(5.0, 5.0)]] {
            assert!(chart(nothing).svg().contains("</svg>"), "{nothing:?}");
        }
    }

    #[test]
    fn a_png_needs_no_font_of_the_machine() {
        let png = chart(&[(1e3, 60.0), (1e5, 70.0)]).png().unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let other = Chart { title: "Another".to_owned(), ..chart(&[(1e3, 60.0), (1e5, 70.0)]) };
        assert_ne!(png, other.png().unwrap(), "the title is not in the picture");
    }

    #[test]
    fn another_ending_is_refused_by_name() {
        let problem = chart(&[]).write(Path::new("cost.jpg")).unwrap_err().in_full();
        assert_eq!(problem, "cost.jpg ends in neither .svg nor .png");
    }
}
