//! Commands over a store in memory, as they are typed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser as _;
use pulsegate_model::assignment::Assignment;
use pulsegate_pipeline::archive::assignments::ASSIGNMENTS;
use pulsegate_pipeline::archive::tombstones;
use pulsegate_pipeline::fakes::FakeObjects;
use serde_json::{Value, json};

use super::*;
use crate::options::{Command, Options};

const HEADER: &str = "device,channel,from,to,litres_per_pulse,serial,first_index,last_index,time_zone,q3,max_per_hour,can_reverse,label,site";

/// A file that is deleted at the end of the test.
struct Csv(PathBuf);

impl Csv {
    fn new(content: impl AsRef<[u8]>) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("meters-{}-{}.csv", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for Csv {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn command(store: &FakeObjects, words: &[&str]) -> Result<CommandOutput, Problem> {
    let words = ["pulsegate", "meters", "--archive-bucket", "b"].iter().chain(words);
    let Command::Meters(options) = Options::try_parse_from(words).unwrap().command else { panic!("another command") };
    run(store, &options.command, &Stop::default()).await
}

/// The output of a command that succeeds.
async fn done(store: &FakeObjects, words: &[&str]) -> String {
    let CommandOutput { text, problem } = command(store, words).await.unwrap();
    assert!(problem.is_none(), "{words:?}: {text}");
    text
}

/// Imports a file. The counts of a dry run must be those of the run that writes.
async fn import(store: &FakeObjects, content: impl AsRef<[u8]>) -> Value {
    let file = Csv::new(content);
    let path = file.0.to_str().unwrap();
    let before = store.all();
    let shown: Value = serde_json::from_str(&done(store, &["import", path, "--format", "json"]).await).unwrap();
    assert_eq!(store.all(), before, "a dry run writes nothing");
    let line = ["import", path, "--format", "json", "--write"];
    let mut written: Value = serde_json::from_str(&done(store, &line).await).unwrap();
    assert_eq!(written["written"].take(), json!(true));
    let mut shown = shown;
    assert_eq!(shown["written"].take(), json!(false));
    assert_eq!(shown, written);
    written
}

/// The errors of a file that is refused, as they are printed, without the file's name. Nothing is written.
async fn refused(store: &FakeObjects, content: impl AsRef<[u8]>) -> Vec<String> {
    let file = Csv::new(content);
    let path = file.0.to_str().unwrap();
    let before = store.all();
    let CommandOutput { text, problem } = command(store, &["import", path, "--write"]).await.unwrap();
    assert_eq!(store.all(), before, "a file with errors writes nothing");
    let errors: Vec<String> = text.lines().map(|line| line.strip_prefix(path).unwrap()[1..].to_owned()).collect();
    let problem = problem.unwrap().in_full();
    let expected =
        format!("{path}: nothing was written; errors: {}. Correct them and run the command again", errors.len());
    assert_eq!(problem, expected);
    errors
}

fn counts(of: &Value) -> [u64; 3] {
    ["added", "changed", "unchanged"].map(|count| of[count].as_u64().unwrap())
}

async fn stored(store: &FakeObjects) -> Vec<Assignment> {
    assignments::load(store, deadline()).await.unwrap().iter().cloned().collect()
}

#[tokio::test]
async fn a_file_is_imported_with_all_columns_and_importing_it_again_changes_nothing() {
    let store = FakeObjects::default();
    let content = format!(
        "{HEADER}\n\
         sigfox:1A2345,A,2026-01-01,2026-06-01T12:00:00+02:00,10,8ZRI1,0,500,Europe/Brussels,2500,,false,\"Loi 16, \"\"B\"\"\",Loi\n\
         1A2345,A,2026-06-01T12:00:00+02:00,,0.25,8ZRI2,3,,Europe/Brussels,,400,TRUE,,\n\
         nbiot:490154203237518,1,,,1,,,,,,,,,\n"
    );
    assert_eq!(counts(&import(&store, &content).await), [3, 0, 0]);
    let [first, second, bare] = <[Assignment; 3]>::try_from(stored(&store).await).unwrap();
    let time = |text: &str| Some(text.parse().unwrap());
    // Midnight in Brussels.
    assert_eq!((first.from, first.to), (time("2025-12-31T23:00:00Z"), time("2026-06-01T10:00:00Z")));
    assert_eq!((first.first_index, first.last_index, first.q3), (Some(0), Some(500), Some(2_500)));
    assert_eq!(first.label.unwrap().as_str(), "Loi 16, \"B\"");
    assert_eq!((second.from, second.to, second.can_reverse, second.max_per_hour), (first.to, None, true, Some(400)));
    assert_eq!(second.litres_per_pulse.thousandths(), 250);
    assert_eq!((bare.from, bare.serial, bare.time_zone.name()), (None, None, "UTC"));
    let before = store.ever().len();
    assert_eq!(counts(&import(&store, &content).await), [0, 0, 3]);
    assert_eq!(store.ever().len(), before, "no file is written again");
}

#[tokio::test]
async fn the_example_of_the_document_is_imported() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/meters.md")).unwrap();
    let example = document.split("A file `meters.csv`:\n\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let store = FakeObjects::default();
    let imported = import(&store, example.replace("    ", "")).await;
    assert_eq!(counts(&imported), [5, 0, 0]);
    assert_eq!(COLUMNS.iter().filter(|column| !document.contains(&format!("`{column}`"))).count(), 0);
}

#[tokio::test]
async fn a_row_with_device_channel_and_from_of_another_assignment_replaces_it() {
    let store = FakeObjects::default();
    let header = "device,channel,from,to,litres_per_pulse,label";
    import(&store, format!("{header}\n1,A,2026-01-01,,10,Kitchen\n1,B,,,1,\n")).await;
    // The first one ends where a new one begins.
    let changed = import(&store, format!("{header}\n1,A,2026-06-01,,1,\n1,A,2026-01-01,2026-06-01,10,Bath\n")).await;
    assert_eq!(counts(&changed), [1, 1, 0]);
    assert_eq!(stored(&store).await.len(), 3, "what the file does not have stays");
    let file = Csv::new(format!("{header}\n1,A,2026-01-01,2026-06-01,2.5,\n1,C,,,1,\n"));
    let text = done(&store, &["import", file.0.to_str().unwrap()]).await;
    let rows: Vec<Vec<&str>> = text.lines().skip(2).take(2).map(|line| line.split("  ").collect()).collect();
    assert_eq!(rows[0].last(), Some(&"litres_per_pulse 10.0 -> 2.5, label \"Bath\" -> -"), "{text}");
    assert!(text.contains("2     changed  sigfox:1 A from 2026-01-01T00:00:00Z to 2026-06-01T00:00:00Z"), "{text}");
    let end = "1 added, 1 changed, 0 unchanged, none removed\nnothing was written; --write writes it\n";
    assert!(text.ends_with(end), "{text}");
}

#[tokio::test]
async fn files_of_spreadsheets_are_read() {
    let plain = "litres_per_pulse,device,label,channel\n10,1A2345,\"a, b\",A\n1,1A2346,,B\n";
    let expected = FakeObjects::default();
    import(&expected, plain).await;
    for content in [
        format!("\u{feff}{plain}").replace('\n', "\r\n"),
        format!("\n\n{plain}\n,,,\n \n").replace("\n1,", "\n\r\n1,"),
        "\u{feff}litres_per_pulse; device ;\"label\";channel\r\n10;1A2345;a, b;A\r\n 1 ;1A2346;;B\r\n;;;\r\n"
            .to_owned(),
        plain.trim_end().to_owned(),
    ] {
        let store = FakeObjects::default();
        assert_eq!(counts(&import(&store, &content).await), [2, 0, 0], "{content}");
        assert_eq!(store.all(), expected.all(), "{content}");
    }
}

#[tokio::test]
async fn every_error_of_a_file_is_named_by_line_and_column_in_one_run_and_nothing_is_written() {
    let store = FakeObjects::default();
    let header = "device,channel,from,to,litres_per_pulse,serial,time_zone";
    import(&store, format!("{header}\n1A2345,A,2026-01-01,2026-06-01,10,S1,\n2,A,,,1,S2,\n")).await;
    tombstones::bury(&store, "sigfox:E".parse().unwrap(), "2026-05-01T00:00:00Z".parse().unwrap(), deadline())
        .await
        .unwrap();
    let mut content = format!("{HEADER},colour\n").into_bytes();
    for row in [
        "lora:1,,2026-13-01,yesterday,0,,-1,x,Europe/Brussel,2.5,1e3,perhaps,,",
        "1,A,2026-06-01,2026-01-01,1,,,,,,,,,",
        "1,B,,,1,,5,,,,,,,",
        "1,C,,,1,,,5,,,,,,",
        "1A2345,A,2026-05-31,,10,,,,,,,,,",
        "3,A,2026-01-01,2026-07-01,1,,,,,,,,,",
        "3,A,2026-06-30,,1,,,,,,,,,",
        "3,A,2026-06-30,,1,,,,,,,,,",
        "4,A,,,1,S2,,,,,,,,",
        "5,A,2026-02-01,,1,S1,,,,,,,,",
        "6,A,,2026-01-01,1,S3,,,,,,,,",
        "6,B,2026-01-01,,1,S3,,,,,,,,",
        "7,A,2025-12-31,2026-02-01,1,S3,,,,,,,,",
        "E,A,,,1,,,,,,,,,",
        "8,A,2026-01-01T00:00:00,1969-12-31,1,,,,,,,,,",
    ] {
        content.extend(format!("{row},\n").bytes());
    }
    content.extend(b"9,A,,,1,,,,,,,,K\xfcche,,\n");
    content.extend(b"9,B,,,1\n");
    content.extend(b"9,\"C\",,,1,,,,,,,,\"two\nlines\",,\n");
    content.extend(b"9,D,,,,,,,,,,,,,\n");
    let errors = refused(&store, &content).await;
    let expected = [
        "1: colour: there is no such column",
        "2: device: \"lora:1\"",
        "2: channel: it is empty",
        "2: litres_per_pulse: \"0\" is not a number of litres",
        "2: time_zone: \"Europe/Brussel\" is not the name of a time zone",
        "2: from: \"2026-13-01\" is neither a date",
        "2: to: \"yesterday\" is neither a date",
        "2: first_index: \"-1\" is not a whole number from 0 to 2^64 - 1",
        "2: last_index: \"x\" is not a whole number",
        "2: q3: \"2.5\" is not a whole number from 0 to 2^32 - 1",
        "2: max_per_hour: \"1e3\" is not a whole number",
        "2: can_reverse: \"perhaps\" is neither true nor false",
        "3: to: `to` (2026-01-01T00:00:00Z) is not after `from` (2026-06-01T00:00:00Z)",
        "4: first_index: `first_index` needs `from`",
        "5: last_index: `last_index` needs `to`",
        "6: from: overlaps with the assignment sigfox:1A2345 A from 2026-01-01T00:00:00Z to 2026-06-01T00:00:00Z, serial S1, \
         which is stored",
        "8: from: overlaps with the assignment sigfox:3 A from 2026-01-01T00:00:00Z to 2026-07-01T00:00:00Z, of line 7",
        "9: from: the same device, channel and from as in line 8",
        "10: serial: the meter is at the same time in the assignment sigfox:2 A from the first reading to now, serial S2, which \
         is stored",
        "11: serial: the meter is at the same time in the assignment sigfox:1A2345 A",
        "14: serial: the meter is at the same time in the assignment sigfox:6 A from the first reading to \
         2026-01-01T00:00:00Z, serial S3, of line 12",
        "14: serial: the meter is at the same time in the assignment sigfox:6 B",
        "15: device: sigfox:E was erased on 2026-05-01T00:00:00Z",
        "16: from: \"2026-01-01T00:00:00\" is neither",
        "16: to: \"1969-12-31\" is neither a date from 1970 on",
        "17: label: \"K\u{fffd}che\" is not UTF-8",
        "18: the row has 5 values, and the header 15",
        "19: label: \"two\\nlines\" is not a text",
        "21: litres_per_pulse: it is empty, and required",
    ];
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}\n  instead of\n{expected}");
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

#[tokio::test]
async fn what_a_row_with_an_error_would_replace_contradicts_no_other_row() {
    let store = FakeObjects::default();
    let header = "device,channel,from,to,litres_per_pulse,last_index";
    import(&store, format!("{header}\n1,A,2026-01-01,,10,\n1,B,,,10,\n")).await;
    let rows = "1,A,2026-01-01,2026-06-01,10,x\n1,A,2026-06-01,,10,\n1,B,,2026-06-01,ten,\n1,B,2026-06-01,,10,\n";
    let errors = refused(&store, format!("{header}\n{rows}")).await;
    assert_eq!(errors.len(), 2, "{errors:#?}");
}

#[tokio::test]
async fn a_file_without_the_columns_of_a_meter_is_refused() {
    let store = FakeObjects::default();
    for content in ["", "\n\n", "\u{feff}", "\u{feff},,\n,,"] {
        let errors = refused(&store, content).await;
        assert!(
            errors[0].starts_with("1: the file is empty: its first line names the columns, of device, channel"),
            "{errors:?}"
        );
    }
    let errors = refused(&store, "device,Channel,device,time_zone\n1,A,1,x\n").await;
    let columns: Vec<&str> = errors.iter().map(|error| error.split(": ").nth(1).unwrap()).collect();
    assert_eq!(columns, ["Channel", "device", "channel", "litres_per_pulse", "time_zone"]);
    let file = Csv::new("device,channel\n1,A");
    let path = file.0.to_str().unwrap();
    let CommandOutput { text, problem } = command(&store, &["import", path, "--format", "json"]).await.unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let error = json!([{"line": 1, "column": "litres_per_pulse", "error": "the column is missing"}]);
    assert_eq!((&report["errors"], &report["written"], problem.is_some()), (&error, &json!(false), true));
    assert!(matches!(command(&store, &["import", "/nowhere.csv"]).await, Err(Problem::File(..))));
}

#[tokio::test]
async fn an_export_is_imported_without_a_change() {
    let store = FakeObjects::default();
    let rows = "sigfox:1A2345,A,2026-01-01,2026-06-01,10,8ZRI1,0,500,Europe/Brussels,2500,,false,\"Loi 16, \"\"B\"\"\",Loi\n\
                1A2345,B,2026-06-01T12:00:00+02:00,,0.25,8ZRI2,18446744073709551615,,Asia/Kathmandu,,400,true,Küche,\n\
                nbiot:490154203237518,1,,,1,,,,,,,,,Loi\n";
    import(&store, format!("{HEADER}\n{rows}")).await;
    let text = done(&store, &["export"]).await;
    assert_eq!(text.lines().next(), Some(HEADER));
    assert_eq!(counts(&import(&store, &text).await), [0, 0, 3]);
    let other = FakeObjects::default();
    import(&other, &text).await;
    assert_eq!(other.all(), store.all());
    assert_eq!(done(&store, &["export", "--site", "Loi"]).await.lines().count(), 3);
    let list = done(&store, &["export", "--format", "json"]).await;
    assert_eq!(serde_json::from_str::<Vec<Assignment>>(&list).unwrap(), stored(&store).await);
    assert_eq!(done(&FakeObjects::default(), &["export"]).await, format!("{HEADER}\r\n"));
}

#[tokio::test]
async fn the_assignments_of_a_device_are_shown_all_or_of_one_channel() {
    let store = FakeObjects::default();
    let header = "device,channel,from,to,litres_per_pulse,q3,label,site";
    import(
        &store,
        format!("{header}\n1,A,,2026-01-01,10,2500,Kitchen,Loi\n1,A,2026-01-01,,1,,,\n1,B,,,1,,,\n2,A,,,1,,,\n"),
    )
    .await;
    let text = done(&store, &["show", "1"]).await;
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.lines().nth(2).unwrap().contains("  313      Kitchen, Loi"), "{text}");
    assert_eq!(done(&store, &["show", "sigfox:1", "A"]).await.lines().count(), 4);
    let list: Vec<Assignment> =
        serde_json::from_str(&done(&store, &["show", "1", "B", "--format", "json"]).await).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(done(&store, &["show", "1", "C"]).await, "");
    assert_eq!(done(&store, &["show", "3", "--format", "json"]).await, "[]\n");
}

const SWAP: [&str; 8] = ["swap", "1", "A", "--at", "2026-06-01", "--last-index", "500", "--first-index"];

#[tokio::test]
async fn a_swap_ends_an_assignment_and_begins_one_that_inherits_everything_but_the_serial_number() {
    let store = FakeObjects::default();
    let header = "device,channel,from,litres_per_pulse,serial,time_zone,q3,can_reverse,label,site";
    import(&store, format!("{header}\n1,A,2026-01-01,10,S1,Europe/Brussels,2500,true,Kitchen,Loi\n1,B,,1,S9,,,,,\n"))
        .await;
    let before = store.all();
    let text = done(&store, &[&SWAP[..], &["3", "--serial", "S2"]].concat()).await;
    let end = "1 added, 1 changed, 0 unchanged, none removed\nnothing was written; --write writes it\n";
    assert!(text.ends_with(end) && store.all() == before, "{text}");
    done(&store, &[&SWAP[..], &["3", "--serial", "S2", "--write"]].concat()).await;
    let [old, new, _] = <[Assignment; 3]>::try_from(stored(&store).await).unwrap();
    // Midnight in Brussels.
    let at = Some("2026-05-31T22:00:00Z".parse().unwrap());
    assert_eq!((old.to, old.last_index, old.first_index), (at, Some(500), None));
    let expected = Assignment {
        from: at,
        first_index: Some(3),
        serial: Some("S2".parse().unwrap()),
        to: None,
        last_index: None,
        ..old.clone()
    };
    assert_eq!(new, expected);
    assert_eq!(old.serial.as_ref().unwrap().as_str(), "S1");

    // Again, then with another index and another meter, then the next swap.
    let text = done(&store, &[&SWAP[..], &["3", "--write"]].concat()).await;
    assert_eq!(text, "0 added, 0 changed, 2 unchanged, none removed\n");
    done(&store, &[&SWAP[..], &["4", "--litres-per-pulse", "1", "--write"]].concat()).await;
    let corrected = stored(&store).await.remove(1);
    assert_eq!((corrected.first_index, corrected.litres_per_pulse.thousandths()), (Some(4), 1_000));
    assert_eq!(corrected.serial, expected.serial);
    let next = ["swap", "1", "A", "--at", "2026-07-01T10:00:00Z", "--last-index", "9", "--first-index", "9", "--write"];
    done(&store, &next).await;
    let serials: Vec<_> = stored(&store).await.into_iter().map(|of| of.serial.map(|text| text.to_string())).collect();
    assert_eq!(serials, [Some("S1".to_owned()), Some("S2".to_owned()), None, Some("S9".to_owned())]);
}

#[tokio::test]
async fn a_swap_without_a_meter_at_that_time_or_with_one_of_elsewhere_is_refused() {
    let store = FakeObjects::default();
    let failed = async |words: &[&str]| command(&store, words).await.unwrap_err().in_full();
    let swap = |at: &'static str| ["swap", "1", "A", "--at", at, "--last-index", "1", "--first-index", "1", "--write"];
    assert!(
        failed(&swap("2026-06-01")).await.starts_with("no assignment of sigfox:1 A at 2026-06-01T00:00:00Z continues")
    );
    import(&store, "device,channel,from,to,litres_per_pulse,serial\n1,A,2026-01-01,2026-05-01,1,\n2,A,,,1,S2\n").await;
    assert!(failed(&swap("2026-04-01")).await.starts_with("no assignment of"), "it ends already");
    assert!(failed(&swap("June")).await.starts_with("--at: \"June\" is neither a date"));
    import(&store, "device,channel,from,litres_per_pulse\n1,A,2026-05-01,1\n").await;
    assert!(failed(&swap("2026-04-01")).await.starts_with("no assignment of"), "another one follows");
    let before = store.all();
    let line = [&SWAP[..], &["500", "--serial", "S2", "--write"]].concat();
    let CommandOutput { text, problem } = command(&store, &line).await.unwrap();
    assert!(
        text.starts_with("swap: serial: the meter is at the same time in the assignment sigfox:2 A from the first"),
        "{text}"
    );
    assert!(problem.is_some() && store.all() == before);
}

#[tokio::test]
async fn a_run_that_is_stopped_is_continued_by_the_next() {
    let store = FakeObjects::default();
    let rows: Vec<String> = (1..200).map(|n| format!("{n:X},A,1")).collect();
    let file = Csv::new(format!("device,channel,litres_per_pulse\n{}", rows.join("\n")));
    let options = ImportOptions { file: file.0.clone(), write: true, format: Format::Table };
    let stop = Stop::default();
    stop.request();
    assert!(matches!(super::import(&store, &options, &stop).await, Err(Problem::Stopped(_))));
    assert_eq!(store.keys(ASSIGNMENTS).len(), 0);
    super::import(&store, &options, &Stop::default()).await.unwrap();
    assert_eq!(stored(&store).await.len(), 199);
}

#[test]
fn the_columns_are_the_fields_of_an_assignment() {
    let assignment = json!({
        "device": "sigfox:1", "channel": "A", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z",
        "litres_per_pulse": 1, "serial": "s", "first_index": 1, "last_index": 1, "time_zone": "UTC", "q3": 1,
        "max_per_hour": 1, "can_reverse": true, "label": "l", "site": "s",
    });
    let assignment: Assignment = serde_json::from_value(assignment).unwrap();
    let json = json!(assignment);
    let fields: std::collections::BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, COLUMNS.into_iter().collect());
}
