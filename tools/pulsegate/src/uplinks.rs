//! `pulsegate uplinks`: shows the uplinks of a device in the archive, as they came and decoded.

use std::time::Duration;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::decoded::Decoded;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::ports::ReadError;
use tokio::time::Instant;

use crate::options::{UplinksFormat, UplinksOptions};
use crate::{CommandOutput, Problem};

mod format;
mod points;
mod raw;
#[cfg(test)]
mod tests;

/// A year has 366 files, at three requests each.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Uplinks to show, and the format.
#[derive(Debug, Clone)]
pub struct Order {
    /// The device.
    pub device: DeviceId,
    /// Start of the span, inclusive.
    pub from: At,
    /// End of the span, exclusive.
    pub to: At,
    /// Only so many, the newest.
    pub limit: Option<u32>,
    /// True to show merged points.
    pub points: bool,
    /// Output format.
    pub format: UplinksFormat,
}

impl Order {
    /// Converts the options of a command line.
    ///
    /// # Errors
    /// [`Problem::NoSpan`].
    pub fn of(options: &UplinksOptions, now: At) -> Result<Self, Problem> {
        let (from, to) = options.span(now)?;
        let UplinksOptions { device, limit, points, format, .. } = *options;
        Ok(Self { device, from, to, limit, points, format })
    }
}

/// Shows uplinks or points. Notes, such as that there are none, are on standard error.
///
/// # Errors
/// [`Problem::Read`] if the archive cannot be read, [`Problem::Output`] if the output cannot be written.
pub async fn run<S: ObjectStore>(archive: &Archive<S>, order: &Order) -> Result<CommandOutput, Problem> {
    let (text, notes) = shown(archive, order).await?;
    for note in notes {
        eprintln!("pulsegate: {note}");
    }
    Ok(text.into())
}

/// The output, and notes for people.
async fn shown<S: ObjectStore>(archive: &Archive<S>, order: &Order) -> Result<(String, Vec<String>), Problem> {
    let Order { device, from, to, .. } = *order;
    let mut uplinks = match to.checked_sub(1) {
        Some(last) => read(archive, device, from, last).await?,
        None => Vec::new(),
    };
    if uplinks.is_empty() {
        return Ok((nothing(order)?, vec![format!("no uplinks of {device} between {from} and {to}")]));
    }
    if let Some(limit) = order.limit {
        uplinks.drain(..uplinks.len().saturating_sub(limit as usize));
    }
    if order.points {
        return points::shown(Decoded::of(uplinks), order.format);
    }
    Ok((raw::shown(&uplinks, order.format)?, Vec::new()))
}

async fn read<S: ObjectStore>(
    archive: &Archive<S>,
    device: DeviceId,
    from: At,
    last: At,
) -> Result<Vec<Uplink>, Problem> {
    let uplinks = archive.uplinks(device, from, last, Instant::now() + TIMEOUT).await;
    Ok(uplinks.map_err(|e| ReadError { what: "the archive".to_owned(), source: e.into() })?)
}

/// Nothing, in a form that programs read.
fn nothing(order: &Order) -> Result<String, Problem> {
    match order.format {
        UplinksFormat::Table => Ok(String::new()),
        _ if order.points => points::shown(Decoded::default(), order.format).map(|(text, _)| text),
        format => raw::shown(&[], format),
    }
}
