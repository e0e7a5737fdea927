//! The contract of an object store.

use bytes::Bytes;
use pulsegate_pipeline::archive::store::{
    Condition, ETag, Get, Got, Listed, MAX_LISTED, Object, ObjectStore, Part, Put,
};

use super::soon;

/// A key as hostile as a key may be: S3 encodes some of these in URLs, others in XML.
const ODD_KEY: &str = "contract/odd/a b+c%2F&d=e?f#g'\"<h>~\u{e9}\u{1F6B0}.parquet";

/// Conditional writes, reads of parts, lists and deletions keep the port's contract. The store has no key that begins with
/// `contract/` at the start, and none at the end.
pub async fn an_object_store_keeps_its_promises(store: &(impl ObjectStore + Sync)) {
    writes_are_conditional(store, "contract/one").await;
    writes_are_conditional(store, ODD_KEY).await;
    parts_are_read(store).await;
    lists_have_every_key_once(store).await;
    let left = all(store, "contract/").await;
    assert!(left.is_empty(), "{left:?}");
}

async fn put(store: &impl ObjectStore, key: &str, content: &str, condition: Condition<'_>) -> Option<ETag> {
    match store.put(key, Bytes::copy_from_slice(content.as_bytes()), condition, soon()).await.unwrap() {
        Put::Done(etag) => Some(etag),
        Put::Conflict => None,
    }
}

async fn whole(store: &impl ObjectStore, key: &str) -> Option<Object> {
    match store.get(Get::whole(key), soon()).await.unwrap() {
        Got::Object(object) => Some(object),
        Got::Absent => None,
        Got::Changed => panic!("no version was requested"),
    }
}

async fn writes_are_conditional(store: &impl ObjectStore, key: &str) {
    assert_eq!(whole(store, key).await, None);
    let unknown = ETag("\"00000000000000000000000000000000\"".to_owned());
    assert_eq!(put(store, key, "swapped", Condition::Version(&unknown)).await, None, "a swap of an absent object");

    let first = put(store, key, "first", Condition::Absent).await.unwrap();
    assert_eq!(put(store, key, "again", Condition::Absent).await, None, "there is one already");
    let read = Object { content: "first".into(), size: 5, etag: first.clone() };
    assert_eq!(whole(store, key).await, Some(read));

    let second = put(store, key, "second", Condition::Version(&first)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(put(store, key, "third", Condition::Version(&first)).await, None, "it has changed");
    for (version, expected) in [(&first, None), (&second, Some("second"))] {
        let got = store.get(Get { version: Some(version), ..Get::whole(key) }, soon()).await.unwrap();
        match got {
            Got::Object(object) => assert_eq!(Some(&object.content[..]), expected.map(str::as_bytes)),
            other => assert_eq!((other, expected), (Got::Changed, None)),
        }
    }
    let third = put(store, key, "third", Condition::Always).await.unwrap();
    let listed = all(store, key).await;
    let Listed { key: name, size, etag, .. } = &listed[0];
    assert_eq!((listed.len(), name.as_str(), *size, etag), (1, key, 5, &third));

    assert!(store.delete(&[key.to_owned()], soon()).await.is_empty());
    assert_eq!(whole(store, key).await, None);
    assert_eq!(put(store, key, "late", Condition::Version(&third)).await, None, "it is gone");
}

async fn parts_are_read(store: &impl ObjectStore) {
    let key = "contract/parts";
    let etag = put(store, key, "0123456789", Condition::Absent).await.unwrap();
    for (part, expected) in [
        (Part::Whole, "0123456789"),
        (Part::Range(0..1), "0"),
        (Part::Range(3..7), "3456"),
        (Part::Range(8..20), "89"),
        (Part::Last(4), "6789"),
        (Part::Last(20), "0123456789"),
    ] {
        for version in [None, Some(&etag)] {
            let got = store.get(Get { key, part: part.clone(), version }, soon()).await.unwrap();
            let object = Object { content: Bytes::from_static(expected.as_bytes()), size: 10, etag: etag.clone() };
            assert_eq!(got, Got::Object(object), "{part:?}");
        }
    }
    let other = put(store, key, "9876543210", Condition::Always).await.unwrap();
    for part in [Part::Whole, Part::Range(3..7), Part::Last(4)] {
        let got = store.get(Get { key, part, version: Some(&etag) }, soon()).await.unwrap();
        assert_eq!(got, Got::Changed);
    }
    let absent = Get { key: "contract/absent", part: Part::Last(4), version: Some(&other) };
    assert_eq!(store.get(absent, soon()).await.unwrap(), Got::Absent);
    assert!(store.delete(&[key.to_owned()], soon()).await.is_empty());
}

/// Returns what is listed, page by page.
async fn all(store: &impl ObjectStore, prefix: &str) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    loop {
        let after = all.last().map(|listed| listed.key.clone());
        let page = store.list(prefix, after.as_deref(), soon()).await.unwrap();
        assert!(page.objects.len() <= MAX_LISTED && (!page.truncated || !page.objects.is_empty()));
        all.extend(page.objects);
        if !page.truncated {
            return all;
        }
    }
}

async fn lists_have_every_key_once(store: &impl ObjectStore) {
    assert!(store.delete(&[], soon()).await.is_empty());
    // More than a page, a neighbour that begins alike, and one with characters that have to be encoded.
    let mut keys: Vec<String> = (0..=MAX_LISTED).map(|n| format!("contract/list/{n:04}")).collect();
    keys.push("contract/list/a b+c%2F&'\u{e9}".to_owned());
    for key in keys.iter().chain([&"contract/list".to_owned()]) {
        put(store, key, "x", Condition::Absent).await.unwrap();
    }
    let listed: Vec<String> = all(store, "contract/list/").await.into_iter().map(|listed| listed.key).collect();
    assert_eq!(listed, keys);
    let page = store.list("contract/list/", Some("contract/list/0998"), soon()).await.unwrap();
    assert_eq!(page.objects[0].key, "contract/list/0999", "after the key, which need not exist");
    assert!(all(store, "contract/other/").await.is_empty());

    keys.extend(["contract/list".to_owned(), "contract/never-there".to_owned()]);
    for _ in 0..2 {
        for part in keys.chunks(MAX_LISTED) {
            assert!(store.delete(part, soon()).await.is_empty(), "an absent object counts as deleted");
        }
        assert!(all(store, "contract/list").await.is_empty());
    }
}
