//! Queue downlinks, and see what became of them.

use std::time::Duration;

use jiff::Timestamp;
use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::downlink::{Downlink, DownlinkAdmin, DownlinkId, Entry, State};
use tokio::time::Instant;

use crate::options::{DownlinkCommand, DownlinkOptions};
use crate::{Problem, print};

/// Nobody waits longer at a prompt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The time, to the second. Here alone a clock is read: what waits for a device does not ask what time it is.
///
/// # Errors
/// [`Problem::Time`] for a clock that is centuries off.
pub fn now() -> Result<At, Problem> {
    At::from_unix(Timestamp::now().as_second()).map_err(|_| Problem::Time)
}

/// Does what the command line says, and gives what to print.
///
/// # Errors
/// [`Problem`].
pub async fn run(desk: &impl DownlinkAdmin, options: DownlinkOptions, now: At) -> Result<String, Problem> {
    let downlinks = match options.command {
        DownlinkCommand::Queue { device, data, validity, priority, name } => {
            let name = name.unwrap_or_else(|| format!("{:08x}", fastrand::u32(..)));
            let id = DownlinkId::new(priority, now, &name)?;
            vec![add(desk, Downlink::pending(device, id, data, validity.until(now)?)).await?]
        }
        DownlinkCommand::List { device, state } => {
            let mut downlinks = read(desk, device).await?;
            downlinks.retain(|downlink| state.is_empty() || state.contains(&downlink.state(now)));
            downlinks
        }
        DownlinkCommand::Cancel { device, id } => vec![cancel(desk, device, id, now).await?],
        DownlinkCommand::Requeue { device, id, validity, unconfirmed } => {
            let old = find(desk, device, id).await?;
            match old.state(now) {
                State::Refused | State::Expired => {}
                State::Answered if unconfirmed => {}
                state => return Err(Problem::NotRequeued(old.id, state)),
            }
            let id = DownlinkId::new(old.id.priority(), now, old.id.name())?;
            vec![add(desk, Downlink::pending(device, id, old.data, validity.until(now)?)).await?]
        }
    };
    Ok(print::downlinks(&downlinks, options.format, now))
}

async fn add(desk: &impl DownlinkAdmin, downlink: Downlink) -> Result<Downlink, Problem> {
    if desk.add(&downlink, deadline()).await? { Ok(downlink) } else { Err(Problem::Taken(downlink.id)) }
}

/// Takes it back, and gives it as it was.
async fn cancel(desk: &impl DownlinkAdmin, device: DeviceId, id: DownlinkId, now: At) -> Result<Downlink, Problem> {
    let downlink = find(desk, device, id).await?;
    if desk.cancel(device, &downlink.id, deadline()).await? {
        return Ok(downlink);
    }
    // The device has asked, or somebody else has taken it back.
    let downlink = find(desk, device, downlink.id).await?;
    let state = downlink.state(now);
    Err(Problem::NotWaiting(downlink.id, state))
}

async fn find(desk: &impl DownlinkAdmin, device: DeviceId, id: DownlinkId) -> Result<Downlink, Problem> {
    let downlinks = read(desk, Some(device)).await?;
    downlinks.into_iter().find(|downlink| downlink.id == id).ok_or(Problem::Absent(id))
}

/// Those of one device or of all, by device and in the order in which they go.
async fn read(desk: &impl DownlinkAdmin, device: Option<DeviceId>) -> Result<Vec<Downlink>, Problem> {
    let entries = match device {
        Some(device) => desk.of_device(device, deadline()).await?,
        None => desk.all(deadline()).await?,
    };
    let mut downlinks: Vec<Downlink> = entries.into_iter().filter_map(downlink).collect();
    downlinks.sort_by(|a, b| (a.device, &a.id).cmp(&(b.device, &b.id)));
    Ok(downlinks)
}

/// Warns about an entry that will never be sent: the person who put it may not know.
fn downlink(entry: Entry) -> Option<Downlink> {
    match entry {
        Entry::Downlink(downlink) => Some(downlink),
        Entry::Answered { .. } => None,
        Entry::Invalid { key, reason } => {
            eprintln!("pulsegate: the item {key} will never be sent, put it again: {reason}");
            None
        }
    }
}

fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}

#[cfg(test)]
mod tests;
