//! `cost plan`: the capacity that a fleet needs, and the time in which a burst drains.
//!
//! # Layout
//!
//! - [`options`]: the command line.
//! - [`requirements`]: what the fleet needs, from [`crate::capacity`], and how a burst drains.
//! - [`settling`]: partitions of the archive, and time and memory of the runs that merge it.
//! - [`show`]: the plan as tables, and as the parameters of `template.yaml` for `samconfig.toml`.

pub mod options;
pub mod requirements;
pub mod settling;
pub mod show;

pub use self::options::Options;
use crate::measurement::Measurement;
use crate::{Error, print};

/// Prints the plan.
///
/// # Errors
/// [`Error`] if the measurements cannot be read, or the fleet needs more than AWS offers.
pub fn run(options: &Options) -> Result<(), Error> {
    print!("{}", text(options)?);
    Ok(())
}

/// Returns the text to print.
///
/// # Errors
/// As [`run`].
pub fn text(options: &Options) -> Result<String, Error> {
    let measured = Measurement::read(options.measured.as_deref())?;
    let requirements = requirements::Requirements::of(options, &measured)?;
    if options.samconfig {
        return Ok(show::samconfig(options, &requirements));
    }
    let tables = [
        show::parameters(options, &requirements),
        show::burst(options, &requirements),
        show::archive(&requirements),
        show::inputs(options, &measured),
    ];
    Ok(print::several(&tables, options.format))
}
