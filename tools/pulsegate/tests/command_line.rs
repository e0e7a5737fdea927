//! Runs the program: exit codes, and messages of one line that say what to give instead.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

/// Settings with which every command finds what it needs, but no AWS.
const SETTINGS: [(&str, &str); 10] = [
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "key"),
    ("DOWNLINK_TABLE", "downlinks"),
    ("ARCHIVE_BUCKET", "archive"),
    ("PARTITION_BITS", ""),
    ("PULSE_TABLE", "pulses"),
    ("QUARANTINE_QUEUE_URL", "http://127.0.0.1:1/000000000000/quarantine"),
    ("RAW_QUEUE_URL", "http://127.0.0.1:1/000000000000/raw"),
    ("PULSE_SIGFOX_QUEUE_URL", "http://127.0.0.1:1/000000000000/pulse"),
];

/// Runs a command line with these variables and no others.
fn run(line: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pulsegate"))
        .args(line.split_whitespace())
        .env_clear()
        // No variable, but a place where the SDK would look for minutes.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// Returns the message of a command that cannot start: nothing is on standard output.
fn refused(line: &str, variables: &[(&str, &str)]) -> String {
    assert_eq!(run(line, variables).stdout, b"", "{line}");
    failed(line, variables)
}

/// Returns the message of a command that fails: exit code 1, and one line.
fn failed(line: &str, variables: &[(&str, &str)]) -> String {
    let output = run(line, variables);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}: {message}");
    assert!(message.starts_with("pulsegate: ") && message.ends_with('\n'), "{line}: {message:?}");
    assert_eq!(message.lines().count(), 1, "{line}: {message}");
    for dump in ["Error {", "SdkError", "DispatchFailure", "stack backtrace", "panicked"] {
        assert!(!message.contains(dump), "{line}: {message}");
    }
    message
}

/// callbacks-print-with-the-whole-url, of the reports in `tests/field.yaml`.
#[test]
fn a_whole_callback_url_is_refused_with_the_base_address_to_give_instead() {
    const BASE: &str = "https://API-ID.execute-api.eu-west-1.amazonaws.com";
    let print = |url: &str| format!("callbacks print --profile adeunis-pulse-v4 --url {url} --kinds uplink");
    for path in ["/sigfox/adeunis-pulse-v4/uplink", "/sigfox/{profile}/{kind}", "/prod", "?a=b", "/sigfox/"] {
        let message = refused(&print(&format!("{BASE}{path}")), &[]);
        assert!(message.contains(&format!("{BASE}: give the output ApiUrl")), "{message}");
    }
    for url in
        ["API-ID.execute-api.eu-west-1.amazonaws.com", "https://user:s3cret@host/sigfox", "ApiUrl", "https://{api}"]
    {
        let message = refused(&print(url), &[]);
        assert!(message.contains("the output ApiUrl") && !message.contains("s3cret"), "{message}");
    }
    for url in [BASE.to_owned(), format!("{BASE}/")] {
        let output = run(&print(&url), &[]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert!(text.contains(&format!("\"{BASE}/sigfox/adeunis-pulse-v4/uplink\"")), "{text}");
    }
}

#[test]
fn a_secret_in_place_of_its_variable_is_not_repeated() {
    let line = "callbacks print --profile adeunis-pulse-v4 --url https://a1 --secret-env s3cret";
    let message = refused(line, &[]);
    assert!(message.contains("--secret-env") && !message.contains("s3cret"), "{message}");
}

#[test]
fn a_command_without_settings_names_all_that_it_lacks() {
    let all =
        ["QUARANTINE_QUEUE_URL", "RAW_QUEUE_URL", "PULSE_SIGFOX_QUEUE_URL", "PULSE_NBIOT_QUEUE_URL", "RAW_STREAM"];
    let cases: [(&str, &[&str]); 14] = [
        ("downlinks list", &["DOWNLINK_TABLE"]),
        ("downlinks queue 1A2345 0102030405060708", &["DOWNLINK_TABLE"]),
        ("downlinks cancel 1A2345 5#2026-11-20T10:00:00Z#a", &["DOWNLINK_TABLE"]),
        ("downlinks requeue 1A2345 5#2026-11-20T10:00:00Z#a", &["DOWNLINK_TABLE"]),
        ("redrive list", &["QUARANTINE_QUEUE_URL"]),
        ("redrive send --all", &all),
        ("redrive send", &all),
        ("redecode --all", &["ARCHIVE_BUCKET", "PARTITION_BITS", "PULSE_TABLE"]),
        ("redecode", &["ARCHIVE_BUCKET", "PARTITION_BITS", "PULSE_TABLE"]),
        ("uplinks 1A2345", &["ARCHIVE_BUCKET", "PARTITION_BITS"]),
        ("meters export", &["ARCHIVE_BUCKET"]),
        ("meters import meters.csv", &["ARCHIVE_BUCKET"]),
        ("consumption 1A2345", &["ARCHIVE_BUCKET", "PARTITION_BITS"]),
        ("completeness --day 2026-11-20", &["ARCHIVE_BUCKET", "PARTITION_BITS"]),
    ];
    for (line, variables) in cases {
        let message = refused(line, &[]);
        for part in variables.iter().chain(&["AWS_REGION", "AWS_ACCESS_KEY_ID", ".local/env"]) {
            assert!(message.contains(part), "{line}, {part}: {message}");
        }
    }
}

#[test]
fn a_command_without_region_or_credentials_says_so_before_it_asks_aws() {
    let without = |name: &str| {
        let left: Vec<_> = SETTINGS.into_iter().filter(|(given, _)| !given.starts_with(name)).collect();
        refused("downlinks list", &left)
    };
    let message = without("AWS_REGION");
    assert!(message.contains("no AWS region: set AWS_REGION") && !message.contains("credentials"), "{message}");
    let message = without("AWS_ACCESS_KEY_ID");
    assert!(message.contains("no AWS credentials") && !message.contains("region:"), "{message}");
}

#[test]
fn an_address_of_another_form_is_refused_with_the_output_to_give() {
    for (line, output) in [
        ("downlinks list --table arn:aws:dynamodb:eu-west-1:1:table/downlinks", "DownlinkTable"),
        ("downlinks list --table DownlinkTable", "DownlinkTable"),
        ("redecode --all --archive-bucket https://s3.eu-west-1.amazonaws.com", "ArchiveBucketName"),
        ("uplinks 1A2345 --archive-bucket arn:aws:s3:::archive", "ArchiveBucketName"),
        ("uplinks 1A2345 --archive-bucket ArchiveBucketName", "ArchiveBucketName"),
        ("meters export --archive-bucket arn:aws:s3:::archive", "ArchiveBucketName"),
        ("redecode --all --pulse-table {table}", "PulseTable"),
        ("redrive list --quarantine-queue arn:aws:sqs:eu-west-1:1:quarantine", "QuarantineQueueUrl"),
        ("redrive list --quarantine-queue pulsegate-Quarantine", "QuarantineQueueUrl"),
        ("redrive send --all --raw-queue sqs.eu-west-1.amazonaws.com/1/raw", "RawQueueUrl"),
        ("redrive send --all --raw-stream arn:aws:kinesis:eu-west-1:1:stream/raw", "RawStreamName"),
    ] {
        let message = refused(line, &SETTINGS);
        assert!(message.contains(&format!("give the stack's output {output}")), "{line}: {message}");
    }
    let message = refused("uplinks 1A2345 --partition-bits 6", &SETTINGS);
    assert!(message.contains("2026-01-01=0,2027-03-01=6") && message.contains("output PartitionBits"), "{message}");
}

#[test]
fn an_invalid_command_line_is_exit_code_2() {
    for line in [
        "",
        "downlinks",
        "redrive send --all --limit x",
        "callbacks print --profile adeunis-pulse-v4",
        "uplinks",
        "uplinks XYZ",
        "uplinks lora:1",
        "uplinks 1A2345 --format xml",
        "uplinks 1A2345 --points --limit 3",
        "consumption",
        "consumption 1A2345 --tz Mars/Olympus",
        "completeness",
        "completeness 1A2345 --day 2026-11-20",
        "meters",
        "meters import",
        "meters show XYZ",
        "meters swap 1A2345 A --at 2026-11-20 --last-index 1",
        "meters swap 1A2345 A --at 2026-11-20 --last-index 1 --first-index 1 --litres-per-pulse 0",
    ] {
        assert_eq!(run(line, &[]).status.code(), Some(2), "{line}");
    }
}

/// A stand-in for AWS that denies every request, at the returned address.
fn denying() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let body = r#"{"__type":"AccessDeniedException","message":"User: me is not authorized"}"#;
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: \
                 close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// A stand-in for S3 that answers so to lists, and has no objects.
fn listing(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or_default();
            let is_list = String::from_utf8_lossy(&head[..read]).contains("list-type=2");
            let (status, body) = if is_list { (status, body) } else { ("404 Not Found", "") };
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}", body.len());
            let _ = stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes());
        }
    });
    address
}

#[test]
fn a_bucket_that_is_denied_or_missing_is_told_in_one_line_with_its_cause() {
    const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>User: me is not authorized</Message></Error>";
    const MISSING: &str = "<Error><Code>NoSuchBucket</Code><Message>The bucket does not exist</Message></Error>";
    for (status, body, parts) in [
        ("403 Forbidden", DENIED, ["AccessDenied", "User: me is not authorized"]),
        ("404 Not Found", MISSING, ["NoSuchBucket", "The bucket does not exist"]),
    ] {
        let endpoint = listing(status, body);
        let settings = [&SETTINGS[..], &[("AWS_ENDPOINT_URL", &endpoint)]].concat();
        for line in ["uplinks 1A2345", "redecode --all", "redecode --device 1A2345", "meters export"] {
            let message = failed(line, &settings);
            assert!(parts.iter().all(|part| message.contains(part)), "{line}: {message}");
        }
    }
}

#[test]
fn no_uplinks_are_no_failure() {
    const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let endpoint = listing("200 OK", EMPTY);
    let settings = [&SETTINGS[..], &[("AWS_ENDPOINT_URL", &endpoint)]].concat();
    let output = run("uplinks nbiot:490154203237518 --from 2026-11-20T00:00:00Z --to 2026-11-21T00:00:00Z", &settings);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{message}");
    let expected =
        "pulsegate: no uplinks of nbiot:490154203237518 between 2026-11-20T00:00:00Z and 2026-11-21T00:00:00Z\n";
    assert_eq!(message, expected);
}

#[test]
fn errors_in_a_file_of_meters_are_on_standard_output_and_no_meters_are_no_failure() {
    const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let endpoint = listing("200 OK", EMPTY);
    let settings = [&SETTINGS[..], &[("AWS_ENDPOINT_URL", &endpoint)]].concat();
    let output = run("meters show 1A2345", &settings);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{message}");
    assert!(message.starts_with("pulsegate: no assignments of sigfox:1A2345;"), "{message}");

    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("meters-{}.csv", std::process::id()));
    std::fs::write(&file, "device,channel,litres_per_pulse\n1A2345,A,10\nXYZ,A,0\n").unwrap();
    let line = format!("meters import {} --write", file.display());
    let message = failed(&line, &settings);
    assert!(message.contains("nothing was written; errors: 2"), "{message}");
    let errors = String::from_utf8(run(&line, &settings).stdout).unwrap();
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(errors.contains(":3: litres_per_pulse: \"0\" is not a number of litres"), "{errors}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_device_that_is_not_known_is_a_failure_and_so_is_a_day_without_files() {
    const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let endpoint = listing("200 OK", EMPTY);
    let settings = [&SETTINGS[..], &[("AWS_ENDPOINT_URL", &endpoint)]].concat();
    for line in ["consumption 3 --from 2026-11-20 --to 2026-11-21", "completeness 3 --from 2026-11-20 --to 2026-11-21"]
    {
        let message = failed(line, &settings);
        assert!(message.starts_with("pulsegate: sigfox:3 is not known: it has no uplinks"), "{line}: {message}");
    }
    let message = failed("completeness --day 2026-11-20", &settings);
    assert!(message.contains("no file of days has 2026-11-20") && message.contains("docs/days.md"), "{message}");
}

#[test]
fn denied_access_is_told_in_one_line_with_its_cause() {
    let endpoint = denying();
    let settings = [&SETTINGS[..], &[("AWS_ENDPOINT_URL", &endpoint)]].concat();
    for line in ["downlinks list", "downlinks queue 1A2345 0102030405060708", "redrive list"] {
        let message = failed(line, &settings);
        assert!(message.contains("AccessDeniedException: User: me is not authorized"), "{line}: {message}");
    }
}

#[test]
fn an_unreachable_endpoint_is_told_in_one_line_with_its_cause() {
    // The port is free again at the end of the line.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let message = failed("downlinks list", &[&SETTINGS[..], &[("AWS_ENDPOINT_URL", &endpoint)]].concat());
    assert!(message.contains("Connection refused"), "{message}");
}
