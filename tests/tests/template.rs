//! Holds `template.yaml` to the code.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use pulsegate_aws::{
    DownlinkAdminTable, DownlinkTable, DynamoDeviceItems, DynamoReader, DynamoTable, DynamoWatermarks, KinesisStream,
    RotatingSecret, S3Objects, SecretStore, SqsQueue, SqsReceiver,
};
use pulsegate_pipeline::config::{ArchiveConfig, ConfigError, EnvSettings, RawConfig};
use pulsegate_tests::template::{Template, list, target};
use pulsegate_tests::{read, repository};
use serde_json::{Value, json};

/// The crate of a function, and the settings that its code reads.
struct Function {
    krate: &'static str,
    settings: BTreeSet<&'static str>,
}

/// Reads a configuration; returns the names of the settings that were read.
fn settings<T>(read: impl Fn(&EnvSettings<'_>) -> Result<T, ConfigError>) -> BTreeSet<&'static str> {
    let asked = RefCell::new(BTreeSet::new());
    let look_up = |name| {
        asked.borrow_mut().insert(name);
        let value = match name {
            "SOURCE_RANGES" => "185.110.96.0/22",
            "SIGFOX_API_URL" => "https://api.sigfox.com/v2",
            "SIGFOX_DEVICE_TYPES" => "628fd74fb3cabb6565ae81bb",
            "PARTITION_BITS" => "2026-01-01=1",
            _ => "1",
        };
        Some(value.to_owned())
    };
    assert!(read(&EnvSettings::new(&look_up)).is_ok());
    // Lambda sets this variable itself and reserves it.
    asked.into_inner().into_iter().filter(|name| *name != "AWS_LAMBDA_FUNCTION_NAME").collect()
}

/// Returns every function of the template, by the name of its resource.
fn functions() -> BTreeMap<&'static str, Function> {
    let pulse = || settings(pulse::Config::from_settings);
    BTreeMap::from([
        (
            "SigfoxCallback",
            Function { krate: "sigfox-callback", settings: settings(sigfox_callback::Config::from_settings) },
        ),
        (
            "SigfoxRecovery",
            Function { krate: "sigfox-recovery", settings: settings(sigfox_recovery::Config::from_settings) },
        ),
        ("RawSigfox", Function { krate: "raw-sigfox", settings: settings(raw_sigfox::Config::from_settings) }),
        ("RawNbiot", Function { krate: "raw-nbiot", settings: settings(RawConfig::from_settings) }),
        ("Days", Function { krate: "days", settings: settings(days::Config::from_settings) }),
        ("Derive", Function { krate: "derive", settings: settings(ArchiveConfig::from_settings) }),
        ("Settle", Function { krate: "settle", settings: settings(ArchiveConfig::from_settings) }),
        ("PulseSigfox", Function { krate: "pulse", settings: pulse() }),
        ("PulseNbiot", Function { krate: "pulse", settings: pulse() }),
    ])
}

/// Deployments of all functions: with the table of pulses and a key for the archive, and without both.
fn deployments() -> [Template; 2] {
    let recovering = ("SigfoxDeviceTypes", "628fd74fb3cabb6565ae81bb");
    let key = ("ArchiveKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/1");
    [Template::with(&[recovering, key]), Template::with(&[recovering, ("PulseTable", "false")])]
}

/// Returns the functions of a deployment.
fn deployed(template: &Template) -> BTreeMap<&'static str, Function> {
    let of_it = functions().into_iter();
    of_it.filter(|(name, _)| template.resources().any(|(resource, _)| resource == *name)).collect()
}

/// The adapters, by the name that a `main.rs` constructs, with the actions of their requests. The archive's is not among
/// them: each function may make only some of its requests.
const ADAPTERS: [(&str, &[&str]); 7] = [
    ("DownlinkTable", DownlinkTable::ACTIONS),
    ("DynamoTable", DynamoTable::ACTIONS),
    ("DynamoWatermarks", DynamoWatermarks::ACTIONS),
    ("KinesisStream", KinesisStream::ACTIONS),
    ("RotatingSecret", RotatingSecret::ACTIONS),
    ("SecretStore", SecretStore::ACTIONS),
    ("SqsQueue", SqsQueue::ACTIONS),
];

#[test]
fn the_template_deploys_exactly_the_functions_there_are() {
    let template = Template::read();
    let deployed: BTreeSet<&str> =
        template.resources_of("AWS::Serverless::Function").into_iter().map(|(name, _)| name).collect();
    assert_eq!(deployed, functions().into_keys().collect());

    let crates: BTreeSet<String> = std::fs::read_dir(repository("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(crates, functions().values().map(|function| function.krate.to_owned()).collect());
}

#[test]
fn each_function_is_built_from_its_crate() {
    let template = Template::read();
    for (name, function) in functions() {
        let resource = template.resource(name);
        assert_eq!(resource["Properties"]["CodeUri"], format!("functions/{}", function.krate), "{name}");
        assert_eq!(resource["Metadata"]["BuildMethod"], "rust-cargolambda", "{name}");
    }
}

#[test]
fn each_function_is_given_exactly_the_settings_it_reads() {
    for template in deployments() {
        for (name, function) in deployed(&template) {
            let variables = &template.resource(name)["Properties"]["Environment"]["Variables"];
            let variables = variables.as_object().unwrap().keys().map(String::as_str);
            assert_eq!(variables.collect::<BTreeSet<_>>(), function.settings, "{name}");
        }
    }
}

#[test]
fn a_function_without_settings_names_all_that_it_lacks() {
    let none = || EnvSettings::new(&|_| None);
    for (name, error, count) in [
        ("sigfox-callback", sigfox_callback::Config::from_settings(&none()).err(), 4),
        ("sigfox-recovery", sigfox_recovery::Config::from_settings(&none()).err(), 8),
        ("raw-sigfox", raw_sigfox::Config::from_settings(&none()).err(), 4),
        ("raw-nbiot", RawConfig::from_settings(&none()).err(), 2),
        ("pulse", pulse::Config::from_settings(&none()).err(), 4),
        ("settle", ArchiveConfig::from_settings(&none()).err(), 1),
        ("derive", ArchiveConfig::from_settings(&none()).err(), 1),
        ("days", days::Config::from_settings(&none()).err(), 2),
    ] {
        let error = error.unwrap().to_string();
        assert_eq!(error.matches("is not set").count(), count, "{name}: {error}");
        assert!(!error.contains('\n'), "{name}: {error}");
    }
}

#[test]
fn each_function_is_granted_exactly_the_actions_its_adapters_need() {
    let [template, _] = deployments();
    for (name, function) in functions() {
        let main = read(&format!("functions/{}/src/main.rs", function.krate));
        let made = ADAPTERS.iter().filter(|(adapter, _)| main.contains(&format!("{adapter}::new(")));
        let needed: BTreeSet<&str> = made.flat_map(|(_, actions)| actions.iter().copied()).collect();
        let granted: BTreeSet<&str> = statements(&template, name, "Code")
            .flat_map(|statement| list(&statement["Action"]))
            .map(|action| action.as_str().unwrap())
            .filter(|action| !S3Objects::ACTIONS.contains(action))
            .collect();
        assert_eq!(granted, needed, "{name}");
    }
}

/// Settings that do not name a resource.
const NO_RESOURCES: [&str; 9] = [
    "EVENT_RETENTION_DAYS",
    "FIRST_LOOK_BACK_HOURS",
    "PARTITION_BITS",
    "PULSE_RETENTION_DAYS",
    "SECRET_HEADER",
    "SETTLE_SECONDS",
    "SIGFOX_API_URL",
    "SIGFOX_DEVICE_TYPES",
    "SOURCE_RANGES",
];

#[test]
fn each_function_may_touch_exactly_what_its_settings_name() {
    for template in deployments() {
        for name in deployed(&template).into_keys() {
            let variables = template.resource(name)["Properties"]["Environment"]["Variables"].as_object().unwrap();
            let named = variables.iter().filter(|(variable, value)| {
                // An empty setting is absent.
                !NO_RESOURCES.contains(&variable.as_str()) && *value != ""
            });
            let named: BTreeSet<&str> = named.map(|(_, value)| target(value)).collect();
            let granted: BTreeSet<&str> = statements(&template, name, "Code")
                .flat_map(|statement| list(&statement["Resource"]))
                .map(target)
                .collect();
            assert_eq!(granted, named, "{name}");
        }
    }
}

#[test]
fn each_action_is_granted_on_resources_of_its_service() {
    let [template, _] = deployments();
    for name in functions().into_keys() {
        for statement in statements(&template, name, "Code") {
            for action in list(&statement["Action"]) {
                let service = action.as_str().unwrap().split(':').next().unwrap();
                for resource in list(&statement["Resource"]) {
                    let kind = template.resource(target(resource))["Type"].as_str().unwrap().to_lowercase();
                    assert!(kind.starts_with(&format!("aws::{service}::")), "{name}: {action} on {resource}");
                }
            }
        }
    }
}

#[test]
fn what_each_stage_sends_is_what_the_next_one_of_its_network_is_fed_with() {
    let [template, _] = deployments();
    let mappings = template.resources_of("AWS::Lambda::EventSourceMapping");
    let fed_from = |function: &str| {
        let mapping = mappings.iter().find(|(_, mapping)| target(&mapping["FunctionName"]) == function).unwrap().1;
        target(&mapping["EventSourceArn"]).to_owned()
    };
    let sends_to = |function: &str, setting: &str| {
        let properties = &template.resource(function)["Properties"];
        target(&properties["Environment"]["Variables"][setting]).to_owned()
    };
    assert_eq!(sends_to("SigfoxCallback", "RAW_QUEUE_URL"), fed_from("RawSigfox"));
    assert_eq!(sends_to("SigfoxRecovery", "RAW_QUEUE_URL"), fed_from("RawSigfox"));
    assert_eq!(sends_to("RawSigfox", "PULSE_QUEUE_URL"), fed_from("PulseSigfox"));
    assert_eq!(sends_to("RawNbiot", "PULSE_QUEUE_URL"), fed_from("PulseNbiot"));
    assert_ne!(fed_from("PulseSigfox"), fed_from("PulseNbiot"));
    assert_eq!(sends_to("Days", "DAYS_QUEUE_URL"), fed_from("Days"));
}

#[test]
fn the_adapters_make_no_request_but_those_they_say() {
    let of_inbox = [SqsReceiver::ACTIONS, SqsReceiver::DEPTH_ACTIONS].concat();
    for (file, actions) in [
        ("table", DynamoTable::ACTIONS),
        ("stream", KinesisStream::ACTIONS),
        ("secret", SecretStore::ACTIONS),
        ("queue", SqsQueue::ACTIONS),
        ("watermark", DynamoWatermarks::ACTIONS),
        ("downlink", DownlinkTable::ACTIONS),
        ("downlink_admin", DownlinkAdminTable::ACTIONS),
        ("device_items", DynamoDeviceItems::ACTIONS),
        ("receiver", &of_inbox),
        ("table_reader", DynamoReader::ACTIONS),
        ("objects", S3Objects::ACTIONS),
    ] {
        let source = read(&format!("shared/aws/src/{file}.rs"));
        // A request is `client.snake_case_operation()`, on a stored client or on a new one.
        let requests: BTreeSet<String> = source
            .split("client.")
            .skip(1)
            .filter_map(|rest| rest.split_once("()"))
            .map(|(op, _)| pascal(op))
            .collect();
        let allowed =
            |request: &String| actions.iter().any(|action| action_of(request) == action.split(':').nth(1).unwrap());
        assert!(!requests.is_empty() && requests.iter().all(allowed), "{file}: {requests:?} against {actions:?}");
        assert_eq!(requests.len(), actions.len(), "{file}");
    }
}

/// Returns the IAM action of a request: its own name, with these exceptions.
fn action_of(request: &str) -> &str {
    match request {
        "SendMessageBatch" => "SendMessage",
        "ChangeMessageVisibilityBatch" => "ChangeMessageVisibility",
        "DeleteMessageBatch" => "DeleteMessage",
        "ListObjectsV2" => "ListBucket",
        "DeleteObjects" => "DeleteObject",
        // A transaction needs the actions of its parts; of these, only this one is not needed otherwise.
        "TransactWriteItems" => "PutItem",
        other => other,
    }
}

fn pascal(snake: &str) -> String {
    snake.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn nobody_but_the_adapters_and_the_mains_names_an_aws_sdk() {
    for folder in ["shared/model/src", "shared/pipeline/src", "udp-bridge/src", "functions", "tools/pulsegate/src"] {
        for file in rust_files(&repository(folder)) {
            let path = file.to_string_lossy().into_owned();
            if path.ends_with("/main.rs") {
                continue;
            }
            let source = std::fs::read_to_string(&file).unwrap();
            assert!(!source.contains("aws_sdk_") && !source.contains("aws_config"), "{path}");
        }
    }
}

fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn every_mapping_reports_partial_failures_and_loses_nothing() {
    for template in deployments() {
        let mappings = template.resources_of("AWS::Lambda::EventSourceMapping");
        let fed: BTreeSet<&str> = mappings.iter().map(|(_, mapping)| target(&mapping["FunctionName"])).collect();
        let on_call = ["SigfoxCallback", "SigfoxRecovery", "Settle", "Derive"];
        let fed_by_a_mapping = deployed(&template).into_keys().filter(|name| !on_call.contains(name));
        assert_eq!(fed, fed_by_a_mapping.collect());
        for (name, mapping) in mappings {
            // Without it, Lambda ignores the answer, takes the whole batch for processed, and failed messages are lost.
            assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{name}");
            let source = template.resource(target(&mapping["EventSourceArn"]));
            if source["Type"] == "AWS::SQS::Queue" {
                assert!(source["Properties"]["RedrivePolicy"]["deadLetterTargetArn"].is_object(), "{name}");
                assert!(mapping["ScalingConfig"]["MaximumConcurrency"].is_object(), "{name}");
                let function = template.resource(target(&mapping["FunctionName"]));
                let timeout = function["Properties"]["Timeout"].as_u64().unwrap_or(30);
                let window = mapping["MaximumBatchingWindowInSeconds"].as_u64().unwrap();
                let visibility = source["Properties"]["VisibilityTimeout"].as_u64().unwrap();
                assert!(
                    visibility >= 6 * timeout + window,
                    "{name}: a message must stay invisible while it is processed"
                );
            } else {
                assert!(mapping["DestinationConfig"]["OnFailure"]["Destination"].is_object(), "{name}");
                assert_eq!(mapping["BisectBatchOnFunctionError"], true, "{name}");
                assert_eq!(mapping["StartingPosition"], "TRIM_HORIZON", "{name}");
            }
        }
    }
}

#[test]
fn a_batch_whose_uplinks_become_items_or_messages_fits_into_the_functions_memory() {
    let [template, _] = deployments();
    let batch = |name: &str| template.resource(name)["Properties"]["BatchSize"].as_u64().unwrap();
    // A full record of the stream has about 350 uplinks, a full message 250; each takes about 3 KB of 256 MB.
    assert!(batch("RawNbiotSource") * 350 * 3_000 < 64_000_000);
    for name in ["PulseSigfoxSource", "PulseNbiotSource"] {
        assert!(batch(name) * 250 * 3_000 < 64_000_000, "{name}");
    }
}

#[test]
fn a_message_stays_invisible_for_the_longest_window_that_can_be_chosen() {
    let template = Template::with(&[("BatchingWindowSeconds", "300")]);
    assert_eq!(
        template.resource("RawSigfoxSource")["Properties"]["MaximumBatchingWindowInSeconds"]["Ref"],
        "BatchingWindowSeconds"
    );
    assert_eq!(template.resource("ProcessRawDataSigfox")["Properties"]["VisibilityTimeout"], 6 * 30 + 300);
}

#[test]
fn the_tables_have_the_keys_the_items_have_and_are_kept() {
    let template = Template::read();
    for (name, sort_key) in [("Pulses", "uplink"), ("DeviceEvents", "event"), ("Downlinks", "downlink")] {
        let table = template.resource(name);
        let keys: Vec<&str> =
            list(&table["Properties"]["KeySchema"]).iter().map(|key| key["AttributeName"].as_str().unwrap()).collect();
        assert_eq!(keys, ["device", sort_key], "{name}");
        // Not "Retain": tables left by a failed creation would make the next creation fail.
        assert_eq!(table["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
        assert_eq!(table["UpdateReplacePolicy"], "Retain", "{name}");
        assert_eq!(
            table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true,
            "{name}"
        );
    }
    for name in ["Pulses", "DeviceEvents", "Downlinks"] {
        assert_eq!(template.resource(name)["Properties"]["TimeToLiveSpecification"]["AttributeName"], "expires_at");
    }
}

#[test]
fn the_callbacks_function_ends_before_sigfox_gives_up() {
    let template = Template::read();
    let timeout = template.resource("SigfoxCallback")["Properties"]["Timeout"].as_u64().unwrap();
    assert!(timeout < 10);
}

#[test]
fn no_grant_is_wider_than_it_has_to_be() {
    let [template, _] = deployments();
    for name in functions().into_keys() {
        for statement in statements(&template, name, "") {
            for action in list(&statement["Action"]) {
                assert!(!action.as_str().unwrap().contains('*'), "{name}: {action}");
            }
            for resource in list(&statement["Resource"]) {
                assert_ne!(resource, "*", "{name}");
            }
        }
    }
}

/// Returns the statements of a function's role whose Sid begins with `sid`.
fn statements<'a>(template: &'a Template, function: &str, sid: &'a str) -> impl Iterator<Item = &'a Value> {
    let statements = template.statements(&template.resource(function)["Properties"]);
    statements.into_iter().filter(move |statement| statement["Sid"].as_str().unwrap().starts_with(sid))
}
