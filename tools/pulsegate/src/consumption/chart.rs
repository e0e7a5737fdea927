//! A bar for each interval, beside its row of the table.

use pulsegate_model::consumption::{Interval, Quality};

use crate::print::Picture;

/// The columns of a terminal.
const COLUMNS: usize = 80;

/// The widest bar, in columns.
const MAX: usize = 32;

/// The narrowest bar. A table that leaves less is wider than a terminal.
const MIN: usize = 6;

/// Parts of a solid column: eighths.
const EIGHTHS: [&str; 9] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// Bars of one scale.
pub(super) struct Chart {
    width: usize,
    /// The value of a bar of the full width.
    most: u64,
    is_coloured: bool,
}

impl Chart {
    /// A chart beside a table that is so wide; `None` if none is wanted.
    pub(super) fn of(intervals: &[Interval], table: usize, picture: Picture) -> Option<Self> {
        let is_coloured = match picture {
            Picture::None => return None,
            Picture::Plain => false,
            Picture::Colour => true,
        };
        let values = intervals.iter().filter_map(|interval| interval.value);
        let most = values.map(i64::unsigned_abs).max().unwrap_or_default().max(1);
        Some(Self { width: COLUMNS.saturating_sub(table).clamp(MIN, MAX), most, is_coloured })
    }

    /// The bar of an interval: solid if it is measured, hatched if it is not, and a cross if there is no value.
    pub(super) fn bar(&self, interval: &Interval) -> String {
        let Some(value) = interval.value else { return self.painted("×", Some(RED)) };
        let eighths = u128::from(value.unsigned_abs()) * 8 * self.width as u128 / u128::from(self.most);
        // A volume that is not zero is visible.
        let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(value != 0));
        let hatched = |hatch: &str| hatch.repeat(eighths.div_ceil(8));
        let bar = match interval.quality {
            Quality::Interpolated => self.painted(&hatched("░"), Some(YELLOW)),
            Quality::Partial => self.painted(&hatched("▒"), Some(YELLOW)),
            Quality::Measured | Quality::Missing => {
                self.painted(&format!("{}{}", EIGHTHS[8].repeat(eighths / 8), EIGHTHS[eighths % 8]), None)
            }
        };
        if value < 0 { format!("-{bar}") } else { bar }
    }

    /// A piece of the bars of a quality, with a space, to explain them.
    pub(super) fn key(&self, quality: Quality) -> String {
        let piece = match quality {
            Quality::Measured => self.painted(EIGHTHS[8], None),
            Quality::Interpolated => self.painted("░", Some(YELLOW)),
            Quality::Partial => self.painted("▒", Some(YELLOW)),
            Quality::Missing => self.painted("×", Some(RED)),
        };
        format!("{piece} ")
    }

    fn painted(&self, text: &str, colour: Option<u8>) -> String {
        match colour {
            Some(colour) if self.is_coloured && !text.is_empty() => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Colours of ECMA-48.
const RED: u8 = 31;
const YELLOW: u8 = 33;
