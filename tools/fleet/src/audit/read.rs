//! Reads the items of the pulses table into the accounts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{TryStreamExt as _, stream};
use pulsegate_aws::items::Item;
use pulsegate_aws::{Key, Lookup, MAX_KEYS, Pages, Part, Scope};
use pulsegate_model::device::DeviceId;
use tokio::time::Instant;

use super::accounts::Accounts;
use super::expected_run::{ExpectedRun, key};
use super::progress::AuditProgress;
use crate::Problem;

/// How long failed or throttled reads are retried.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// Maximum items of a page: more than fit into the 1 MB limit.
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.Pagination>)
const PAGE: usize = 10_000;

/// Concurrent lookups. Each makes several requests.
const AT_ONCE: usize = 2;

pub(super) fn soon() -> Instant {
    Instant::now() + READ_TIMEOUT
}

/// Scans the table.
pub(super) async fn whole(
    accounts: &mut Accounts,
    table: &impl Pages,
    segments: u32,
    progress: &AuditProgress,
) -> Result<(), Problem> {
    let accounts = Mutex::new(accounts);
    let walk = async |number: u32| -> Result<(), Problem> {
        let part = Part { scope: Scope::Segment { number, of: segments }, from: None, to: None };
        let (mut next, mut device): (Option<Key>, Vec<Item>) = (None, Vec::new());
        loop {
            let page = table.page(&part, next.as_ref(), PAGE, soon()).await?;
            progress.add(page.items.len());
            let mut accounts = lock(&accounts);
            page.items.into_iter().try_for_each(|item| gather(&mut accounts, &mut device, item))?;
            next = page.next;
            if next.is_none() {
                return shown(&mut accounts, &mut device, None);
            }
        }
    };
    try_join_all((0..segments).map(walk)).await?;
    Ok(())
}

/// Gathers the items of a device, until the first item of another one.
fn gather(accounts: &mut Accounts, together: &mut Vec<Item>, item: Item) -> Result<(), Problem> {
    if together.last().is_some_and(|last| device(last) != device(&item)) {
        shown(accounts, together, None)?;
    }
    together.push(item);
    Ok(())
}

fn shown(accounts: &mut Accounts, together: &mut Vec<Item>, only: Option<usize>) -> Result<(), Problem> {
    let items = std::mem::take(together);
    match items.first().map(|item| device(item).into_owned()) {
        Some(device) => accounts.pulses(&device, items, only),
        None => Ok(()),
    }
}

fn device(item: &Item) -> Cow<'_, str> {
    match item.inner().get("device") {
        Some(serde_dynamo::AttributeValue::S(device)) => device.into(),
        _ => "".into(),
    }
}

/// Looks up the pulses of the sent uplinks in the table.
pub(super) async fn by_key(
    accounts: &mut Accounts,
    table: &(impl Lookup + Pages),
    progress: &AuditProgress,
) -> Result<(), Problem> {
    for number in 0..accounts.runs.len() {
        let (meters, some) = some_meters(&accounts.runs[number]);
        let accounts = Mutex::new(&mut *accounts);
        let ask = async |meters: &[u32]| -> Result<(), Problem> {
            let keys = keys(&lock(&accounts).runs[number], meters)?;
            let mut items = Vec::with_capacity(keys.len());
            for some in keys.chunks(MAX_KEYS) {
                items.extend(table.get(some, soon()).await?.items);
            }
            let devices = dated_by_arrival(&lock(&accounts).runs[number], meters);
            for device in devices {
                let of_device = items_of(table, device).await?;
                let is_sent =
                    |item: &Item| Key::of(item).is_some_and(|key| lock(&accounts).runs[number].has_sent(&key));
                items.extend(of_device.into_iter().filter(is_sent));
            }
            progress.add(items.len());
            take(&mut lock(&accounts), items, number)
        };
        stream::iter(meters.chunks(some).map(Ok)).try_for_each_concurrent(AT_ONCE, ask).await?;
    }
    Ok(())
}

/// The meters that have sent anything, and the number of meters per lookup.
fn some_meters(run: &ExpectedRun) -> (Vec<u32>, usize) {
    let hours = run.fleet.hours();
    let has_sent = |&meter: &u32| (0..hours).any(|hour| run.sessions.is_sent(meter, hour));
    let meters = (0..run.fleet.spec().devices).filter(has_sent).collect();
    (meters, (MAX_KEYS / hours.max(1) as usize).max(1))
}

/// Keys of everything that these meters have sent.
fn keys(run: &ExpectedRun, meters: &[u32]) -> Result<Vec<Key>, Problem> {
    let mut keys = Vec::new();
    for &meter in meters.iter().filter(|&&meter| !run.is_dated_by_arrival(meter)) {
        let known = run.fleet.meter(meter);
        for hour in (0..run.fleet.hours()).filter(|&hour| run.sessions.is_sent(meter, hour)) {
            for uplink in run.session((meter, hour)).uplinks.iter().filter(|uplink| !uplink.is_status) {
                keys.push(key(&known, uplink)?);
            }
        }
    }
    Ok(keys)
}

/// Those of these meters whose items have keys that cannot be computed.
fn dated_by_arrival(run: &ExpectedRun, meters: &[u32]) -> Vec<DeviceId> {
    let meters = meters.iter().filter(|&&meter| run.is_dated_by_arrival(meter));
    meters.map(|&meter| run.fleet.meter(meter).device).collect()
}

/// All items of a device.
async fn items_of(table: &impl Pages, device: DeviceId) -> Result<Vec<Item>, Problem> {
    let part = Part { scope: Scope::Device(device), from: None, to: None };
    let (mut next, mut items) = (None, Vec::new());
    loop {
        let page = table.page(&part, next.as_ref(), PAGE, soon()).await?;
        items.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(items);
        }
    }
}

/// Records the items that were found for one run; they are in no order.
fn take(accounts: &mut Accounts, items: Vec<Item>, number: usize) -> Result<(), Problem> {
    let mut devices: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for item in items {
        devices.entry(device(&item).into_owned()).or_default().push(item);
    }
    devices.into_values().try_for_each(|mut items| shown(accounts, &mut items, Some(number)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
