//! `pulsegate downlinks`: queues downlinks, and shows their states.

use std::time::Duration;

use jiff::Timestamp;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::downlink::{Downlink, DownlinkAdmin, DownlinkId, Entry, State};
use tokio::time::Instant;

use crate::options::{DownlinkCommand, DownlinkOptions};
use crate::{Problem, print};

/// The longest that an operator should wait at a prompt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the time, to the second. Only this function reads the clock; all others take the time as an argument.
///
/// # Errors
/// [`Problem::Time`] for a clock that is centuries off.
pub fn now() -> Result<At, Problem> {
    At::from_unix(Timestamp::now().as_second()).map_err(|_| Problem::Time)
}

/// Runs the command, and returns the text to print.
///
/// # Errors
/// [`Problem`].
pub async fn run(admin: &impl DownlinkAdmin, options: DownlinkOptions, now: At) -> Result<String, Problem> {
    let downlinks = match options.command {
        DownlinkCommand::Queue { device, data, validity, priority, name } => {
            let name = name.unwrap_or_else(|| format!("{:08x}", fastrand::u32(..)));
            let id = DownlinkId::new(priority, now, &name)?;
            vec![add(admin, Downlink::pending(device, id, data, validity.until(now)?)).await?]
        }
        DownlinkCommand::List { device, state } => {
            let mut downlinks = read(admin, device).await?;
            downlinks.retain(|downlink| state.is_empty() || state.contains(&downlink.state(now)));
            downlinks
        }
        DownlinkCommand::Cancel { device, id } => vec![cancel(admin, device, id, now).await?],
        DownlinkCommand::Requeue { device, id, validity, unconfirmed } => {
            let old = find(admin, device, id).await?;
            match old.state(now) {
                State::Refused | State::Expired => {}
                State::Answered if unconfirmed => {}
                state => return Err(Problem::NotRequeued(old.id, state)),
            }
            let id = DownlinkId::new(old.id.priority(), now, old.id.name())?;
            vec![add(admin, Downlink::pending(device, id, old.data, validity.until(now)?)).await?]
        }
    };
    Ok(print::downlinks(&downlinks, options.format, now))
}

async fn add(admin: &impl DownlinkAdmin, downlink: Downlink) -> Result<Downlink, Problem> {
    if admin.add(&downlink, deadline()).await? { Ok(downlink) } else { Err(Problem::Taken(downlink.id)) }
}

/// Cancels a downlink, and returns it as it was.
async fn cancel(admin: &impl DownlinkAdmin, device: DeviceId, id: DownlinkId, now: At) -> Result<Downlink, Problem> {
    let downlink = find(admin, device, id).await?;
    if admin.cancel(device, &downlink.id, deadline()).await? {
        return Ok(downlink);
    }
    // Meanwhile the device got it, or another operator cancelled it.
    let downlink = find(admin, device, downlink.id).await?;
    let state = downlink.state(now);
    Err(Problem::NotWaiting(downlink.id, state))
}

async fn find(admin: &impl DownlinkAdmin, device: DeviceId, id: DownlinkId) -> Result<Downlink, Problem> {
    let downlinks = read(admin, Some(device)).await?;
    downlinks.into_iter().find(|downlink| downlink.id == id).ok_or(Problem::Absent(id))
}

/// Returns the downlinks of one device or of all, sorted by device and by the order in which they are sent.
async fn read(admin: &impl DownlinkAdmin, device: Option<DeviceId>) -> Result<Vec<Downlink>, Problem> {
    let entries = match device {
        Some(device) => admin.of_device(device, deadline()).await?,
        None => admin.all(deadline()).await?,
    };
    let mut downlinks: Vec<Downlink> = entries.into_iter().filter_map(downlink).collect();
    downlinks.sort_by(|a, b| (a.device, &a.id).cmp(&(b.device, &b.id)));
    Ok(downlinks)
}

/// Converts an entry. Warns about an invalid one, which will never be sent: its author may not know.
fn downlink(entry: Entry) -> Option<Downlink> {
    match entry {
        Entry::Downlink(downlink) => Some(downlink),
        Entry::Answered { .. } => None,
        Entry::Invalid { key, reason } => {
            eprintln!("pulsegate: the item {key} is invalid and will never be sent; correct it: {reason}");
            None
        }
    }
}

fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}

#[cfg(test)]
mod tests;
