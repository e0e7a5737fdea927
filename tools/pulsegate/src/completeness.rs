//! `pulsegate completeness`: shows which readings there are, and how much of the volume is known for certain.
//!
//! # Layout
//!
//! - `device`: the days of a device, computed from the uplinks in the archive, with a picture of them.
//! - `fleet`: a day of all devices, from the files of days. `worst`: the devices that need someone, with the reason.
//! - `summary`: the figures of many rows, for both.

use jiff::civil::Date;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::store::ObjectStore;

use crate::options::{CompletenessOptions, DataFormat};
use crate::print::Picture;
use crate::{CommandOutput, Problem};

mod device;
mod fleet;
mod summary;
#[cfg(test)]
mod tests;
mod worst;

/// The request of the command line.
#[derive(Debug, Clone)]
pub struct Order {
    /// The device, or the day of the fleet.
    pub of: Of,
    /// The format.
    pub format: DataFormat,
    /// The time of the command.
    pub now: At,
}

/// Whose completeness.
#[derive(Debug, Clone)]
pub enum Of {
    /// That of a device.
    Device {
        /// The device.
        device: DeviceId,
        /// The first day.
        from: Option<Date>,
        /// The day after the last.
        to: Option<Date>,
        /// The picture above the table.
        picture: Picture,
    },
    /// That of all devices.
    Fleet {
        /// The day.
        day: Date,
        /// The number of worst devices to name.
        worst: usize,
    },
}

impl Order {
    /// Converts the options of a command line, which has a device or a day.
    pub fn of(options: &CompletenessOptions, now: At, picture: Picture) -> Self {
        let CompletenessOptions { device, from, to, day, worst, format, .. } = *options;
        let of = match (device, day) {
            (Some(device), _) => Of::Device { device, from, to, picture },
            (None, day) => Of::Fleet { day: day.unwrap_or_default(), worst },
        };
        Self { of, format, now }
    }
}

/// Shows completeness. Notes are on standard error.
///
/// # Errors
/// [`Problem`] if the question is wrong, or the archive cannot be read.
pub async fn run<S: ObjectStore>(archive: &Archive<S>, order: &Order) -> Result<CommandOutput, Problem> {
    let text = match order.of {
        Of::Device { device, from, to, picture } => {
            let question = device::Question { device, from, to, now: order.now };
            let (text, notes) = device::shown(archive, &question, order.format, picture).await?;
            for note in notes {
                eprintln!("pulsegate: {note}");
            }
            text
        }
        Of::Fleet { day, worst } => fleet::shown(archive, day, worst, order.format).await?,
    };
    Ok(text.into())
}
