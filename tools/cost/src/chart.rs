//! Line charts, as SVG and PNG.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use kuva::plot::legend::LegendPosition;
use kuva::plot::{LegendEntry, LegendShape, LinePlot, LineStyle, ScatterPlot};
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;

use crate::Error;

/// A chart of lines over a common axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Title above the chart.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Quantity and unit.
    pub name: String,
    /// True if the axis is logarithmic. It omits values that are not above zero.
    pub log: bool,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Name in the legend.
    pub name: String,
    /// Points, (x, y).
    pub points: Vec<(f64, f64)>,
}

/// Okabe and Ito's colours, which colour-blind readers can distinguish; without yellow, which is invisible on white.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// Line styles: after one use of all colours, the next style is taken.
const STYLES: [LineStyle; 4] = [LineStyle::Solid, LineStyle::Dashed, LineStyle::Dotted, LineStyle::DashDot];

/// Maximum number of points that are marked; more marks would hide the line.
const MARKED: usize = 24;

/// Width of the plot without the legend, and of a letter in the legend, pixels.
const PLOT: f64 = 760.0;
const LETTER: f64 = 7.0;

/// Pixels of a PNG for each pixel of the SVG.
const SCALE: f32 = 2.0;

impl Axis {
    /// A linear axis.
    pub fn even(name: impl Into<String>) -> Self {
        Self { name: name.into(), log: false }
    }

    /// A logarithmic axis.
    pub fn log(name: impl Into<String>) -> Self {
        Self { name: name.into(), log: true }
    }
}

impl Chart {
    /// Returns the SVG; the same chart always has the same text.
    pub fn svg(&self) -> String {
        renumbered(&kuva::render_to_svg(self.plots(), self.layout()))
    }

    /// Returns the PNG, with twice the width and height of the SVG. The font is built in.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it cannot be drawn.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        kuva::render_to_png(self.plots(), self.layout(), SCALE)
            .map_err(|e| Error::Invalid(format!("the chart \"{}\" cannot be drawn: {e}", self.title)))
    }

    /// Writes the chart as SVG or PNG, by the extension of the file.
    ///
    /// # Errors
    /// [`Error`], naming the file.
    pub fn write(&self, file: &Path) -> Result<(), Error> {
        let ending = file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let bytes = match ending.as_str() {
            "svg" => self.svg().into_bytes(),
            "png" => self.png()?,
            _ => return Err(Error::Invalid(format!("{} ends in neither .svg nor .png", file.display()))),
        };
        std::fs::write(file, bytes).map_err(|e| Error::File(file.display().to_string(), e))
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
            .with_width(PLOT + LETTER * self.longest_name())
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

    /// Ranges of the axes that include all points; a default range if there are none.
    fn ranges(&self) -> Layout {
        let points: Vec<_> = self.lines.iter().flat_map(|line| self.drawable(line)).collect();
        let range = |axis: &Axis, of: fn(&(f64, f64)) -> f64| {
            let values = points.iter().map(of);
            let (least, most) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(v), most.max(v)));
            match (least <= most, axis.log) {
                (true, true) => (least, most.max(least * 1.01)),
                // Starts at zero, so that heights can be compared.
                (true, false) => (least.min(0.0), most.max(least.min(0.0) + f64::MIN_POSITIVE.sqrt())),
                (false, true) => (1.0, 10.0),
                (false, false) => (0.0, 1.0),
            }
        };
        Layout::new(range(&self.x, |p| p.0), range(&self.y, |p| p.1))
    }

    fn longest_name(&self) -> f64 {
        let letters = self.lines.iter().map(|line| line.name.chars().count()).max().unwrap_or_default();
        u32::try_from(letters).map_or(0.0, f64::from)
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

/// Escapes dollar signs, between which kuva would typeset a formula.
fn plain(text: &str) -> String {
    text.replace('$', "\\$")
}

/// Prefix of the name of a clip path; its number follows.
const CLIP: &str = "kuva-clip-";

/// Numbers the clip paths from 0. kuva counts over the whole process, so that the same chart would have different texts.
fn renumbered(svg: &str) -> String {
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

/// Formats a number for an axis: 1k, 10k, 3.6M.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 999_999_500.0 => (value / 1e9, "G"),
        v if v >= 999_999.5 => (value / 1e6, "M"),
        v if v >= 999.9995 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    // Up to three digits after the point, six for small numbers, without trailing zeros.
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
