//! Holds `template.yaml` to the archive, and to its conditions.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_pipeline::archive::assignments::ASSIGNMENTS;
use pulsegate_pipeline::archive::days::DAYS;
use pulsegate_pipeline::archive::place::{DAY, NEW};
use pulsegate_pipeline::archive::points::POINTS;
use pulsegate_pipeline::archive::reports::REPORTS;
use pulsegate_pipeline::archive::settle::Settled;
use pulsegate_pipeline::tombstones::ERASED;
use pulsegate_tests::read;
use pulsegate_tests::template::{Template, list, target};
use serde_json::{Value, json};

/// Sides of every condition.
const CHOICES: [(&str, &str); 12] = [
    ("PulseTable", "false"),
    ("DeriveSchedule", ""),
    ("DaysSchedule", ""),
    ("ArchiveKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/1"),
    ("ArchiveRetentionDays", "400"),
    ("AthenaDatabase", "pulsegate"),
    ("BatchingWindowSeconds", "300"),
    ("SigfoxDeviceTypes", "628fd74fb3cabb6565ae81bb"),
    ("BridgeImageTag", "1"),
    ("BridgeScheme", "internal"),
    ("BridgeTrustedListener", "true"),
    ("AlarmTopicArn", "arn:aws:sns:eu-west-1:123456789012:alarms"),
];

/// None of the choices, each alone, each with each other, and all.
fn deployments() -> Vec<Vec<(&'static str, &'static str)>> {
    let pairs = CHOICES.iter().flat_map(|one| CHOICES.iter().map(move |other| vec![*one, *other]));
    pairs.chain([Vec::new(), CHOICES.to_vec()]).collect()
}

#[test]
fn whatever_is_chosen_nothing_refers_to_a_resource_that_is_not_deployed() {
    for parameters in deployments() {
        let template = Template::with(&parameters);
        let deployed: BTreeSet<&str> = template.resources().map(|(name, _)| name).collect();
        let known = |name: &str| {
            deployed.contains(name) || template.section("Parameters").contains_key(name) || name.starts_with("AWS::")
        };
        let outputs = template.section("Outputs").iter().map(|(name, output)| (name.as_str(), output));
        for (name, member) in template.resources().chain(outputs) {
            for reference in Template::references(member) {
                assert!(known(&reference), "{name} refers to {reference}, which is not deployed with {parameters:?}");
            }
        }
    }
}

#[test]
fn without_the_table_of_pulses_neither_its_queues_nor_its_functions_are_deployed() {
    let without = Template::with(&[("PulseTable", "false")]);
    let names: BTreeSet<&str> = without.resources().map(|(name, _)| name).collect();
    let of_pulses = |name: &&&str| name.starts_with("Pulse") || name.starts_with("ProcessPulse");
    assert_eq!(names.iter().filter(of_pulses).count(), 0, "{names:?}");
    for function in ["RawSigfox", "RawNbiot"] {
        let variables = &without.resource(function)["Properties"]["Environment"]["Variables"];
        assert_eq!(variables["PULSE_QUEUE_URL"], "", "{function}");
    }
    let window =
        |template: &Template, name| template.resource(name)["Properties"]["MaximumBatchingWindowInSeconds"].clone();
    let with = Template::with(&[]);
    for (mapping, short) in [("RawSigfoxSource", 5), ("RawNbiotSource", 1)] {
        assert_eq!((window(&with, mapping), window(&without, mapping)), (json!(short), json!(60)), "{mapping}");
    }
}

/// Returns the keys on which a function is granted each action of S3, sorted: for a listing, its prefixes.
fn grants(template: &Template, function: &str) -> BTreeSet<(String, String)> {
    let statements = template.statements(&template.resource(function)["Properties"]).into_iter();
    let of_s3 = statements.filter(|statement| {
        list(&statement["Action"]).iter().any(|action| action.as_str().unwrap().starts_with("s3:"))
            && statement["Sid"].as_str().unwrap().starts_with("Code")
    });
    let mut grants = BTreeSet::new();
    for statement in of_s3 {
        let condition = statement["Condition"].as_object().and_then(|operators| operators.values().next());
        let prefixes: Vec<_> = condition.map_or_else(Vec::new, |keys| list(&keys["s3:prefix"]));
        for (action, resource) in list(&statement["Action"])
            .iter()
            .flat_map(|action| list(&statement["Resource"]).into_iter().map(move |on| (action, on)))
        {
            let action = action.as_str().unwrap().to_owned();
            assert_eq!(target(resource), "Archive", "{function}");
            if action == "s3:ListBucket" {
                assert!(!prefixes.is_empty(), "{function} may list everything");
                grants.extend(prefixes.iter().map(|prefix| (action.clone(), prefix.as_str().unwrap().to_owned())));
            } else {
                let keys = resource["Fn::Sub"].as_str().unwrap().strip_prefix("${Archive.Arn}/").unwrap();
                grants.insert((action, keys.to_owned()));
            }
        }
    }
    grants
}

#[test]
fn each_function_may_make_only_its_own_requests_on_only_its_own_prefixes() {
    let template = Template::with(&[]);
    let below = |prefix: &str| format!("{prefix}*");
    let absent_objects_are_404 =
        |keys: &[String]| keys.iter().map(|key| ("s3:ListBucket", key.clone())).collect::<Vec<_>>();
    let read = |keys: &[String]| keys.iter().map(|key| ("s3:GetObject", key.clone())).collect::<Vec<_>>();
    let erased = [ERASED.to_owned()];
    let pulse = || [read(&erased), absent_objects_are_404(&erased)].concat();
    let raw = || [vec![("s3:PutObject", below(NEW))], pulse()].concat();
    let settle = || {
        let keys = [below(NEW), below(DAY), ERASED.to_owned()];
        let write = vec![
            ("s3:PutObject", below(DAY)),
            ("s3:PutObject", below(&format!("{NEW}rest-"))),
            ("s3:DeleteObject", below(NEW)),
        ];
        [write, read(&keys), absent_objects_are_404(&keys)].concat()
    };
    let derive = || {
        let keys = [below(DAY), below(POINTS), ERASED.to_owned()];
        [vec![("s3:PutObject", below(POINTS))], read(&keys), absent_objects_are_404(&keys)].concat()
    };
    let days = || {
        let keys = [below(ASSIGNMENTS), below(DAYS), below(POINTS), below(REPORTS), ERASED.to_owned()];
        [vec![("s3:PutObject", below(DAYS))], read(&keys), absent_objects_are_404(&keys)].concat()
    };
    for (function, needed) in [
        ("Days", days()),
        ("RawSigfox", raw()),
        ("RawNbiot", raw()),
        ("PulseSigfox", pulse()),
        ("PulseNbiot", pulse()),
        ("Settle", settle()),
        ("Derive", derive()),
        ("SigfoxCallback", vec![]),
    ] {
        let needed = needed.into_iter().map(|(action, keys)| (action.to_owned(), keys));
        assert_eq!(grants(&template, function), needed.collect(), "{function}");
    }
}

#[test]
fn the_key_is_granted_to_the_archives_users_and_only_if_there_is_one() {
    let granted = |parameters: &[(&str, &str)]| -> BTreeMap<String, Value> {
        let template = Template::with(parameters);
        let functions = template.resources_of("AWS::Serverless::Function").into_iter();
        let key_of = |(name, function): (&str, _)| {
            let statements = template.statements(function).into_iter();
            let mut of_key = statements.filter(|statement| statement["Sid"] == "Key");
            let statement = of_key.next()?;
            assert_eq!(target(&statement["Resource"]), "ArchiveKeyArn");
            Some((name.to_owned(), statement["Action"].clone()))
        };
        functions.filter_map(key_of).collect()
    };
    assert_eq!(granted(&[]), BTreeMap::new());
    let to_write = json!(["kms:Decrypt", "kms:GenerateDataKey"]);
    let writers = ["Days", "Derive", "RawNbiot", "RawSigfox", "Settle"].map(|name| (name.to_owned(), to_write.clone()));
    let readers = ["PulseNbiot", "PulseSigfox"].map(|name| (name.to_owned(), json!("kms:Decrypt")));
    let key = ("ArchiveKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/1");
    assert_eq!(granted(&[key]), writers.into_iter().chain(readers).collect());
}

#[test]
fn the_archive_is_private_encrypted_versioned_and_kept() {
    for (key, algorithm) in [("", "AES256"), ("arn:aws:kms:eu-west-1:123456789012:key/1", "aws:kms")] {
        let template = Template::with(&[("ArchiveKeyArn", key)]);
        let archive = template.resource("Archive");
        assert_eq!(
            (&archive["DeletionPolicy"], &archive["UpdateReplacePolicy"]),
            (&json!("RetainExceptOnCreate"), &json!("Retain"))
        );
        let bucket = &archive["Properties"];
        let blocks = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
        assert_eq!(blocks.len(), 4);
        assert!(blocks.values().all(|blocked| *blocked == true));
        assert_eq!(bucket["OwnershipControls"]["Rules"], json!([{"ObjectOwnership": "BucketOwnerEnforced"}]));
        assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
        let encryption = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
        assert_eq!(encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"], algorithm);
        assert_eq!(encryption["BucketKeyEnabled"] == true, !key.is_empty());
    }
    let policy = &Template::with(&[]).resource("ArchivePolicy")["Properties"]["PolicyDocument"]["Statement"][0].clone();
    assert_eq!(
        (&policy["Effect"], &policy["Principal"], &policy["Action"]),
        (&json!("Deny"), &json!("*"), &json!("s3:*"))
    );
    assert_eq!(list(&policy["Resource"]).into_iter().map(target).collect::<Vec<_>>(), ["Archive", "Archive"]);
    assert_eq!(policy["Condition"], json!({"Bool": {"aws:SecureTransport": "false"}}));
}

/// Returns the rules of a deployment for a prefix.
fn lifecycle(parameters: &[(&str, &str)], prefix: Option<&str>) -> Vec<Value> {
    let template = Template::with(parameters);
    let rules =
        list(&template.resource("Archive")["Properties"]["LifecycleConfiguration"]["Rules"]).into_iter().cloned();
    rules.filter(|rule| rule["Prefix"].as_str() == prefix && rule["Status"] == "Enabled").collect()
}

#[test]
fn what_is_not_settled_never_expires_and_files_do_only_if_they_should() {
    let expires = |rule: &Value| rule["ExpirationInDays"].is_number() || rule["ExpirationInDays"].is_object();
    let forever: &[(&str, &str)] = &[];
    let a_year: &[(&str, &str)] = &[("ArchiveRetentionDays", "400")];
    for prefix in [None, Some(NEW)] {
        assert!(![forever, a_year].into_iter().any(|days| lifecycle(days, prefix).iter().any(expires)), "{prefix:?}");
    }
    for prefix in [DAY, DAYS, POINTS] {
        assert!(!lifecycle(forever, Some(prefix)).iter().any(expires), "{prefix}");
        assert!(lifecycle(a_year, Some(prefix)).iter().any(expires), "{prefix}");
    }
}

#[test]
fn four_versions_of_a_day_are_kept_for_35_days_and_all_others_for_one() {
    let noncurrent = |prefix| -> Vec<Value> {
        lifecycle(&[], prefix).into_iter().map(|rule| rule["NoncurrentVersionExpiration"].clone()).collect()
    };
    assert_eq!(noncurrent(None), [json!({"NoncurrentDays": 35})]);
    assert_eq!(noncurrent(Some(DAY)), [json!({"NoncurrentDays": 1, "NewerNoncurrentVersions": 4})]);
    for prefix in [NEW, DAYS, POINTS] {
        assert_eq!(noncurrent(Some(prefix)), [json!({"NoncurrentDays": 1})], "{prefix}");
    }
    let all = &lifecycle(&[], None)[0];
    assert_eq!(all["ExpiredObjectDeleteMarker"], true);
    assert_eq!(all["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 1);
}

#[test]
fn the_schedules_invoke_settle_derive_and_days_and_a_failed_run_is_not_repeated() {
    let template = Template::with(&[]);
    for (function, schedule) in [("Settle", "SettleSchedule"), ("Derive", "DeriveSchedule"), ("Days", "DaysSchedule")] {
        let of = |suffix: &str| &template.resource(&format!("{function}{suffix}"))["Properties"];
        assert_eq!(target(&of("Rule")["ScheduleExpression"]), schedule);
        assert_eq!(
            list(&of("Rule")["Targets"]).iter().map(|each| target(&each["Arn"])).collect::<Vec<_>>(),
            [function]
        );
        assert_eq!(target(&of("Permission")["FunctionName"]), function);
        assert_eq!(target(&of("Permission")["SourceArn"]), format!("{function}Rule"));
        assert_eq!(target(&of("Invocations")["FunctionName"]), function);
        assert_eq!(of("Invocations")["MaximumRetryAttempts"], 0);
        let errors = of("Fails");
        assert_eq!((&errors["Namespace"], &errors["MetricName"]), (&json!("AWS/Lambda"), &json!("Errors")));
        assert_eq!(target(&errors["Dimensions"][0]["Value"]), function);
        // A whole processor.
        assert_eq!(template.resource(function)["Properties"]["MemorySize"], 1769);
    }
    for (schedule, function) in [("DeriveSchedule", "Derive"), ("DaysSchedule", "Days")] {
        let names: BTreeSet<String> =
            Template::with(&[(schedule, "")]).resources().map(|(name, _)| name.to_owned()).collect();
        assert!(names.contains("Settle") && !names.iter().any(|name| name.starts_with(function)));
    }
}

#[test]
fn days_sends_each_partition_to_the_queue_that_feeds_it_one_at_a_time() {
    let template = Template::with(&[]);
    let source = &template.resource("DaysSource")["Properties"];
    assert_eq!((target(&source["EventSourceArn"]), target(&source["FunctionName"])), ("DaysQueue", "Days"));
    assert_eq!(source["BatchSize"], 1);
    assert_eq!(target(&source["ScalingConfig"]["MaximumConcurrency"]), "DaysConcurrency");
    let variables = &template.resource("Days")["Properties"]["Environment"]["Variables"];
    assert_eq!(target(&variables["DAYS_QUEUE_URL"]), "DaysQueue");
    let queue = &template.resource("DaysQueue")["Properties"];
    assert_eq!(target(&queue["RedrivePolicy"]["deadLetterTargetArn"]), "DaysDeadLetters");
    // A message that is given back comes again, and then goes to the dead letters, before it expires.
    let seconds = |name: &str| queue[name].as_u64().unwrap();
    assert!(seconds("MessageRetentionPeriod") > 2 * seconds("VisibilityTimeout"));
}

#[test]
fn every_alarm_on_settle_is_on_a_counter_that_it_writes() {
    let alarms = Template::read();
    let alarms = alarms.resources_of("AWS::CloudWatch::Alarm").into_iter();
    let of_settle =
        alarms.filter(|(_, alarm)| alarm["Dimensions"] == json!([{"Name": "part", "Value": settle::STAGE}]));
    let counters: BTreeSet<&str> = of_settle.map(|(_, alarm)| alarm["MetricName"].as_str().unwrap()).collect();
    assert_eq!(counters, ["files", "oldest_unsettled_seconds", "unreadable"].into());
    let counts = serde_json::to_value(Settled::default()).unwrap();
    let source = read("functions/settle/src/lib.rs");
    for counter in counters {
        assert!(counts.get(counter).is_some() || source.contains(&format!("\"{counter}\"")), "{counter}");
    }
}

#[test]
fn athenas_tables_have_the_columns_of_the_files() {
    let template = Template::with(&[("AthenaDatabase", "pulsegate")]);
    for (table, name, file) in [
        ("AthenaUplinks", "uplink", "archive/file.rs"),
        ("AthenaPoints", "point", "archive/points/file.rs"),
        ("AthenaDays", "days", "archive/days/file.rs"),
    ] {
        let columns = &template.resource(table)["Properties"]["TableInput"]["StorageDescriptor"]["Columns"];
        let columns: Vec<&str> = list(columns).into_iter().map(|column| column["Name"].as_str().unwrap()).collect();
        let source = read(&format!("shared/pipeline/src/{file}"));
        let schema = source.split_once(&format!("\"message {name} {{")).unwrap().1.split_once("\n}").unwrap().0;
        let names: Vec<&str> = schema.lines().filter_map(|column| column.split_whitespace().nth(2)).collect();
        let names: Vec<&str> = names.into_iter().map(|name| name.trim_end_matches(';')).collect();
        assert_eq!(columns, names, "{table}");
    }
}
