//! Pictures of lines, as SVG and as PNG.

use std::path::Path;

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
    /// Whether each step is ten times the one before.
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

impl Chart {
    /// As SVG, always the same text for the same chart.
    pub fn svg(&self) -> String {
        unimplemented!()
    }

    /// Writes it, as SVG or PNG by the ending of the file's name.
    ///
    /// # Errors
    /// [`Problem`], naming the file.
    pub fn write(&self, _file: &Path) -> Result<(), Problem> {
        unimplemented!()
    }
}
