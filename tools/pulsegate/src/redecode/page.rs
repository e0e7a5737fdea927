//! Pages that end between two uplinks: an uplink that arrived in two kinds has two raw items, and is compared once.

use pulsegate_aws::{Key, Page, Pages, Part};
use tokio::time::Instant;

use super::pace::{Pace, read_units};
use crate::Problem;

/// Reads the next page of a part, at the given pace.
pub(super) async fn next(
    table: &impl Pages,
    part: &Part,
    after: Option<&Key>,
    limit: usize,
    reading: &Pace,
    deadline: impl Fn() -> Instant,
) -> Result<Page, Problem> {
    let ask = async |after: Option<&Key>| -> Result<Page, Problem> {
        let page = table.page(part, after, limit, deadline()).await?;
        reading.pay(page.units.unwrap_or_else(|| read_units(&page.items))).await;
        Ok(page)
    };
    let mut page = ask(after).await?;
    while cut(&mut page) {
        let more = ask(page.next.as_ref()).await?;
        page.items.extend(more.items);
        page.next = more.next;
    }
    Ok(page)
}

/// Moves the last uplink to the next page if that may have more items of it. Returns `true` if the page has only this
/// uplink: then it ends on the next page.
fn cut(page: &mut Page) -> bool {
    let Some(next) = &page.next else { return false };
    let is_last = |key: Option<Key>| key.is_some_and(|key| uplink(&key) == uplink(next));
    if !is_last(page.items.last().and_then(Key::of)) {
        return false;
    }
    let Some(end) = page.items.iter().rposition(|item| !is_last(Key::of(item))) else { return true };
    page.next = Key::of(&page.items[end]);
    page.items.truncate(end + 1);
    false
}

/// Identifies the uplink of a raw item: the key without the kind at its end.
fn uplink(key: &Key) -> (&str, &str) {
    (&key.device, key.uplink.rsplit_once('#').map_or(key.uplink.as_str(), |(uplink, _kind)| uplink))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;
    use pulsegate_aws::Scope;
    use pulsegate_aws::fakes::FakeTable;
    use pulsegate_aws::items::Item;

    use super::*;

    fn item(device: u8, uplink: u8, kind: &str) -> Item {
        let uplink = format!("2026-11-20T12:00:{uplink:02}Z#-#{kind}");
        serde_dynamo::to_item(serde_json::json!({"device": format!("sigfox:{device}"), "uplink": uplink})).unwrap()
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_page_and_none_of_an_uplink_is_in_another(
            uplinks in proptest::collection::btree_set((0..3_u8, 0..20_u8), 0..30),
            advanced in proptest::collection::btree_set((0..3_u8, 0..20_u8), 0..30),
            limit in 1..5_usize, from in 0..20_u32, segments in 1..3_u32,
        ) {
            let data = uplinks.iter().map(|(device, uplink)| item(*device, *uplink, "data"));
            let again = advanced.iter().map(|(device, uplink)| item(*device, *uplink, "data-advanced"));
            let table = FakeTable::of(data.chain(again));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let mut seen: Vec<Key> = Vec::new();
            for number in 0..segments {
                let from = format!("2026-11-20T12:00:{from:02}Z").parse().ok();
                let part = Part { scope: Scope::Segment { number, of: segments }, from, to: None };
                let mut after: Option<Key> = None;
                loop {
                    let page = runtime.block_on(async {
                        let (pace, deadline) = (Pace::new(1_000), || Instant::now() + Duration::from_secs(1));
                        next(&table, &part, after.as_ref(), limit, &pace, deadline).await.unwrap()
                    });
                    let keys: Vec<Key> = page.items.iter().filter_map(Key::of).collect();
                    prop_assert!(keys.iter().all(|key| seen.iter().all(|seen| uplink(seen) != uplink(key))));
                    seen.extend(keys);
                    let Some(next) = page.next else { break };
                    prop_assert!(after.is_none_or(|after| after < next));
                    after = Some(next);
                }
            }
            let in_time = |(device, uplink): &(u8, u8)| (u32::from(*uplink) >= from).then_some((*device, *uplink));
            let expected = uplinks.iter().filter_map(in_time).count() + advanced.iter().filter_map(in_time).count();
            prop_assert_eq!(seen.len(), expected);
            prop_assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), expected);
        }
    }
}
