//! Tests of the sums over the functions' logs.

use super::*;

/// Log lines of one function, and the periods that were queried.
#[derive(Clone, Default)]
struct Lines(Arc<Vec<LogLine>>, Arc<Mutex<Vec<Range<u64>>>>);

impl Log for Lines {
    async fn lines(&self, between: Range<u64>, _: Instant) -> Result<Vec<LogLine>, ReadError> {
        self.1.lock().unwrap().push(between.clone());
        Ok(self.0.iter().filter(|line| between.contains(&line.at)).cloned().collect())
    }
}

/// 2026-11-20T12:00:00Z: the start of the runs in these tests.
const BEGAN: u64 = 1_795_176_000_000;

fn line(at: u64, text: impl Into<String>) -> LogLine {
    LogLine { at: BEGAN + at, text: text.into() }
}

/// Log line of an invocation, as a function writes it.
fn invocation(at: u64, uplinks: u64, ms: f64) -> LogLine {
    let metrics: Vec<_> = ["received", "stored"].iter().map(|name| json!({"Name": name, "Unit": "Count"})).collect();
    let line_of = json!({
        "part": "raw-nbiot", "records": 2, "ms": ms, "received": uplinks, "stored": uplinks, "quarantined": 0,
        "given_back": 0, "refused": 0,
        "_aws": {"Timestamp": BEGAN + at, "CloudWatchMetrics": [{"Namespace": "Pulsegate", "Metrics": metrics}]},
    });
    line(at, line_of.to_string())
}

fn until(seconds: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(BEGAN.cast_signed() + seconds * 1_000).ok()
}

async fn recorded(lines: Vec<LogLine>, seconds: i64, bridge: Option<&Path>) -> Result<Functions, Problem> {
    let scratch = Scratch::new(&format!("logs-{}", fastrand::u64(..)));
    let run = scratch.run("run", 10);
    let lines = Lines(Arc::new(lines), Arc::default());
    let log = |function: &str| if function == "raw-nbiot" { lines.clone() } else { Lines::default() };
    let functions = record(&run, until(seconds), &FUNCTIONS, log, bridge).await;
    // Each millisecond is queried once.
    let mut asked = lines.1.lock().unwrap().clone();
    asked.sort_by_key(|asked| asked.start);
    assert!(asked.windows(2).all(|pair| pair[0].end == pair[1].start), "{asked:?}");
    functions
}

#[tokio::test]
async fn a_functions_lines_come_to_how_often_it_ran_and_how_long() {
    let mut lines: Vec<LogLine> = (0..99).map(|n| invocation(n * 1_000, 100, 9.5)).collect();
    lines.push(invocation(150_000, 1_000, 99.5));
    lines.push(invocation(200_001, 7, 7.0));
    let functions = recorded(lines, 200, None).await.unwrap();
    let raw = &functions.functions["raw-nbiot"];
    assert_eq!((raw.invocations, raw.records, raw.uplinks), (100, 200, 10_900), "what came after the run is not of it");
    assert!((raw.mean_ms - 10.4).abs() < 1e-9 && (raw.seconds - 150.0).abs() < 1e-9, "{raw:?}");
    assert!(
        (raw.p50_ms - 9.5).abs() < 0.01 && (raw.p99_ms - 9.5).abs() < 0.01 && (raw.max_ms - 99.5).abs() < 0.1,
        "{raw:?}"
    );
    // The runtime adds 1 ms, and the sum is rounded up to whole milliseconds: 11 and 101.
    assert!((raw.billed_ms - (99.0 * 11.0 + 101.0) / 100.0).abs() < 1e-9, "{raw:?}");
    let line = raw.billed_sums.line().unwrap();
    assert!((line.fixed - 1.0).abs() < 1e-6 && (line.each - 0.1).abs() < 1e-6, "{line:?}");
    assert_eq!(functions.metrics, ["raw-nbiot received", "raw-nbiot stored"].map(str::to_owned).into());
    assert_eq!(functions.functions["settle"].invocations, 0);
}

#[tokio::test]
async fn the_bytes_of_a_log_are_those_that_the_deployed_function_writes() {
    let mut lines = vec![invocation(0, 1, 1.0), line(1, r#"{"level":"WARN","message":"odd"}"#)];
    let bytes: usize = lines.iter().map(|line| line.text.len() + 26).sum();
    lines.push(line(2, "START RequestId: 7 Version: $LATEST"));
    lines.push(line(3, "REPORT RequestId: 7\tDuration: 12 ms"));
    let functions = recorded(lines, 10, None).await.unwrap();
    let expected = f64::from(u32::try_from(bytes).unwrap());
    assert!((functions.functions["raw-nbiot"].log_bytes - expected).abs() < 1e-9);
}

#[tokio::test]
async fn the_bridges_log_is_told_by_the_minute_and_only_that_of_the_run() {
    let scratch = Scratch::new("bridge");
    let file = scratch.0.join("bridge.log");
    let minute = invocation(0, 1, 1.0).text.replace("raw-nbiot", "udp-bridge");
    let after = invocation(10_000, 1, 1.0).text.replace("raw-nbiot", "udp-bridge");
    let before = r#"{"timestamp":"2026-11-20T11:59:59.999Z","message":"listening"}"#;
    let lines = [before, r#"{"message":"listening"}"#, &minute, &minute, &after];
    fs::write(&file, lines.join("\n")).unwrap();
    let functions = recorded(vec![invocation(0, 1, 1.0)], 10, Some(&file)).await.unwrap();
    let bytes = f64::from(u32::try_from(2 * (minute.len() + 26) + 23 + 26).unwrap());
    assert!((functions.bridge_log_bytes_per_minute.unwrap() - bytes / 2.0).abs() < 1e-9, "{functions:?}");
    assert!(functions.metrics.contains("udp-bridge received"), "{:?}", functions.metrics);
}

/// As `functions/settle` writes it, but for the fields that are not read.
#[tokio::test]
async fn the_lines_of_settle_are_read_too() {
    let settled = line(5_000, r#"{"part":"settle","objects":30,"rows":900,"files":4,"more":false,"ms":120}"#);
    let functions = recorded(vec![settled], 10, None).await.unwrap();
    let found = &functions.functions["raw-nbiot"];
    assert_eq!((found.invocations, found.records, found.uplinks), (1, 30, 900));
}

#[tokio::test]
async fn logs_without_an_invocation_are_a_problem_and_not_a_row_of_zeros() {
    let problem = recorded(vec![line(0, "noise")], 10, None).await.unwrap_err().in_full();
    assert!(problem.contains("no function has logged an invocation since 2026-11-20T12:00:00Z"), "{problem}");
    let problem = recorded(vec![], -10, None).await.unwrap_err().in_full();
    assert!(problem.contains("is not after that"), "{problem}");
}

/// Costs are calculated with the deployed memory.
#[test]
fn the_memory_of_a_function_is_that_of_the_template() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let template = fs::read_to_string(template).unwrap();
    let globals = template.split("\nResources:").next().unwrap();
    let memory: Vec<&str> = globals.lines().filter_map(|line| line.trim().strip_prefix("MemorySize: ")).collect();
    assert_eq!(memory, [measured::MEMORY_MB.to_string()]);
}
