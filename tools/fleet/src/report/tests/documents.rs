//! Tests of the documents for recorded runs.

use super::*;

#[tokio::test]
async fn the_document_has_each_run_by_size_with_a_chart_beside_its_files() {
    let scratch = Scratch::new("document");
    let larger = scratch.recorded("b-larger", 360_000);
    let smaller = scratch.recorded("smaller", 180_000);
    fs::create_dir(scratch.0.join("docs")).unwrap();
    let output = scratch.0.join("docs/load-test.md");
    // A shell's `*` also names the document.
    fs::write(&output, "").unwrap();
    let report = Options { output: Some(output.clone()), ..options(&[larger.clone(), output.clone(), smaller]) };
    super::super::run(report).await.unwrap();
    let text = fs::read_to_string(&output).unwrap();
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| smaller") || line.starts_with("| b-larger")).collect();
    let expected = "| smaller | 180000 | 50 % | 25 | 24000 | 1234 | 600000 | 599998 | 2 | 600000 | yes |";
    assert_eq!(rows[0], expected, "{text}");
    assert!(rows[1].starts_with("| b-larger | 360000 |"), "{text}");
    assert!(text.contains("| smaller | raw-nbiot | 1000 | 180.0 | 12.3 | 11.1 | 45.6 | 78.9 | 420 |"), "{text}");
    // The bridge's 3 s of processor time, divided by 600 s and by 300,000 datagrams.
    assert!(text.contains("| smaller | 0.5 | 10.00 | 12.3 | 90.0 | - |"), "{text}");
    assert!(text.contains("| smaller | NB-IoT, acknowledged | 100.0 | 150.0 | 200.5 | 250.0 | 300.0 |"), "{text}");
    assert_eq!(text.matches("on 2 cores of Some Processor, 25 GB of memory, Linux 6.18").count(), 1, "{text}");
    assert!(text.contains("(../b-larger/rate.svg)") && larger.join("rate.svg").exists(), "{text}");
    assert!(text.contains("1,758,356 (half lost)"), "the study's, beside ours");
}

#[test]
fn a_burst_has_a_table_and_pictures_of_its_own() {
    let scratch = Scratch::new("burst");
    let directory = scratch.run("burst", 3_600_000);
    let mut run = Run::read(&directory).unwrap();
    let second = |sent, in_stream| Second { sent, in_stream, ..Second::default() };
    let seconds = vec![second(500, 400), second(100, 700), second(0, 0)];
    run.measured.burst = Some(Burst {
        acknowledged: 600,
        durable: 599,
        lost: 1,
        strangers: 2,
        unstored: 3,
        seconds,
        ..Burst::default()
    });
    run.write(&directory).unwrap();
    let runs = Recorded::read_all(&[directory]).unwrap();
    let charts = pictures::files(&runs, None);
    let text = document::text(&runs, &charts, &scratch.0);
    assert!(text.contains("| burst | 3600000 | 1234 | 600000 | 600 | 599 | 1 | 0 | 700 | 2 |"), "{text}");
    assert!(text.contains("(burst/burst.svg)") && text.contains("(burst/backlog.svg)"), "{text}");
    assert!(!text.contains("## Messages") && !text.contains("rate.svg"), "{text}");
}

/// An audit covers only messages that were sent before it.
#[test]
fn a_run_that_was_gone_on_with_after_its_audit_is_not_accounted_for() {
    let scratch = Scratch::new("stale");
    let directory = scratch.recorded("run", 1_000);
    let accounted = || Recorded::read_all(std::slice::from_ref(&directory)).unwrap()[0].is_accounted_for();
    assert_eq!(accounted(), Some(true));
    let mut run = Run::read(&directory).unwrap();
    run.measured.sent += 1;
    run.write(&directory).unwrap();
    assert_eq!(accounted(), Some(false));
}

#[test]
fn measurements_of_callbacks_one_by_one_are_refused() {
    let scratch = Scratch::new("single");
    let directory = scratch.recorded("run", 1_000);
    let mut run = Run::read(&directory).unwrap();
    run.options.insert("callbacks".to_owned(), "single".into());
    run.write(&directory).unwrap();
    let problem = measured::measurement(&Recorded::read_all(&[directory]).unwrap()).unwrap_err().in_full();
    assert!(problem.contains("--callbacks batch"), "{problem}");
}

#[tokio::test]
async fn what_was_not_recorded_is_left_out_and_not_made_up() {
    let scratch = Scratch::new("bare");
    let bare = scratch.run("bare", 1_000);
    let mut run = Run::read(&bare).unwrap();
    run.options = serde_json::Map::new();
    (run.measured.cpu_seconds, run.measured.rss) = Default::default();
    run.measured.nbiot_ack_ms = None;
    run.write(&bare).unwrap();
    let runs = Recorded::read_all(&[bare]).unwrap();
    let text = document::text(&runs, &[], Path::new(""));
    assert!(text.contains("| bare | 1000 | 50 % | 25 | 24000 | 1234 | 600000 | - | - | - | - |"), "{text}");
    assert!(!text.contains("Measured on") && !text.contains("## Functions") && !text.contains("NB-IoT, ack"), "{text}");
    assert!(text.contains("| bare | - | - | - | - | - | - | - |"), "{text}");
}

#[tokio::test]
async fn measurements_are_of_the_run_with_the_highest_rate_and_are_what_costs_are_reckoned_from() {
    let scratch = Scratch::new("measurement");
    let slow = scratch.recorded("slow", 1_000);
    let mut run = Run::read(&slow).unwrap();
    run.measured.seconds_sent = vec![100; 6_000];
    run.measured.traffic.clear();
    run.write(&slow).unwrap();
    let fast = scratch.recorded("fast", 500_000);
    let file = scratch.0.join("measured.json");
    let report = Options { measurement: Some(file.clone()), ..options(&[slow, fast]) };
    super::super::run(report).await.unwrap();
    let measured = Measurement::read(Some(&file)).unwrap();
    let raw = &measured.functions.raw_nbiot;
    assert!((raw.uplinks_per_invocation - 500.0).abs() < 1e-9 && (raw.billed_ms - 14.0).abs() < 1e-9, "{raw:?}");
    assert!((raw.fixed_ms - 3.0).abs() < 1e-6 && (raw.per_uplink_ms - 0.1).abs() < 1e-9, "{raw:?}");
    let stream = &measured.stream;
    assert!(
        (stream.uplinks_per_record - 40.0).abs() < 1e-9 && (stream.record_bytes - 4_000.0).abs() < 1e-9,
        "{stream:?}"
    );
    assert!((measured.tables.pulse_bytes - 300.0).abs() < 1e-9, "{:?}", measured.tables);
    assert!((measured.queues.pulse_nbiot.uplink_bytes - 250.0).abs() < 1e-9, "{:?}", measured.queues);
    assert_eq!((measured.metrics, measured.provisional, measured.runs.len()), (3, false, 2));
    assert!(measured.source.contains("the run fast") && !measured.source.contains("Not measured"), "{measured:?}");
    let sizes = (measured.bridge.datagram_bytes, measured.bridge.acknowledgement_bytes, measured.callbacks.line_bytes);
    assert_eq!(sizes, (70.0, 26.0, 45.0), "{measured:?}");
}

#[tokio::test]
async fn a_measurement_of_which_a_part_was_not_measured_is_provisional_and_says_which() {
    let scratch = Scratch::new("part");
    let recorded = scratch.recorded("run", 1_000);
    let mut run = Run::read(&recorded).unwrap();
    run.measured.traffic.clear();
    run.write(&recorded).unwrap();
    let file = scratch.0.join("measured.json");
    super::super::run(Options { measurement: Some(file.clone()), ..options(&[recorded]) }).await.unwrap();
    let measured = Measurement::read(Some(&file)).unwrap();
    assert!(measured.provisional && measured.source.contains("elsewhere: bytes of datagrams"), "{measured:?}");
}

#[tokio::test]
async fn a_measurement_of_a_stack_without_a_pulses_table_says_so() {
    let scratch = Scratch::new("archive-only");
    let recorded = scratch.recorded("run", 1_000);
    let mut without = functions(1_000);
    without.functions.retain(|name, _| !PULSE_FUNCTIONS.contains(&name.as_str()));
    without.write(&recorded).unwrap();
    let measured = measured::measurement(&Recorded::read_all(&[recorded]).unwrap()).unwrap();
    assert!(measured.source.contains("the functions behind the pulse queues"), "{measured:?}");
    assert_eq!(measured.functions.pulse_nbiot, Measurement::built_in().unwrap().functions.pulse_nbiot);
}

#[tokio::test]
async fn measurements_of_runs_of_which_nothing_is_recorded_are_refused() {
    let scratch = Scratch::new("refused");
    let bare = scratch.run("bare", 1_000);
    let file = scratch.0.join("measured.json");
    let report = Options { measurement: Some(file.clone()), ..options(&[bare]) };
    let problem = super::super::run(report).await.unwrap_err().in_full();
    assert!(problem.contains("fleet report --record") && !file.exists(), "{problem}");
}

#[test]
fn a_file_of_another_version_is_named() {
    let scratch = Scratch::new("version");
    let run = scratch.run("run", 10);
    fs::write(run.join("audit.json"), "{}").unwrap();
    let problem = Recorded::read_all(&[run]).unwrap_err().in_full();
    assert!(problem.contains("audit.json") && problem.contains("create it again"), "{problem}");
    let problem = Recorded::read_all(&[PathBuf::from("/nowhere/at/all")]).unwrap_err().in_full();
    assert!(problem.contains("/nowhere/at/all"), "{problem}");
}
