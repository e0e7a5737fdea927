//! Bills and plans use the values of `template.yaml`, and plans set parameters that it accepts.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use clap::{Args as _, Command, FromArgMatches as _};
use cost::bill::pulsegate::setup::Store;
use cost::measurement::Measurement;
use cost::plan::requirements::Requirements;
use cost::plan::{self, show};
use cost::{limits, template as deployed};
use proptest::prelude::*;
use rust_decimal::{Decimal, dec};
use serde_json::Value;

fn template() -> Value {
    frames::yaml::parse("template.yaml", &frames::read("template.yaml"))
}

fn decimal(value: &Value) -> Decimal {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number")).into()
}

/// True once the template has the archive and the option of a table of pulses.
fn has_archive(template: &Value) -> bool {
    template["Parameters"]["PulseTable"].is_object()
}

/// Batch and window of the raw stages without a table of pulses.
const RAW: (&[Decimal], &[Decimal]) = (&[deployed::ARCHIVE_BATCH], &[deployed::ARCHIVE_WINDOW]);

/// Checks that a property is `value`, or a choice between conditions that has it and all of `others`.
fn is(property: &Value, value: Decimal, others: &[Decimal], name: &str) {
    let numbers = numbers(property);
    for expected in std::iter::once(&value).chain(others) {
        assert!(numbers.contains(expected), "{name}: {expected} is not in {property}");
    }
}

/// All numbers of a property.
fn numbers(of: &Value) -> Vec<Decimal> {
    match of {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        Value::Object(all) => all.values().flat_map(numbers).collect(),
        one => one.as_u64().map(Decimal::from).into_iter().collect(),
    }
}

/// Properties of a resource.
fn of(template: &Value, name: &str) -> Value {
    let properties = &template["Resources"][name]["Properties"];
    assert!(properties.is_object(), "there is no {name}");
    properties.clone()
}

#[test]
fn batches_and_windows_are_the_template_s() {
    let template = template();
    for name in ["RawSigfoxSource", "PulseSigfoxSource", "PulseNbiotSource"] {
        let source = of(&template, name);
        // The pulse stages exist only with their table.
        let (batch, window) = match name {
            "RawSigfoxSource" if has_archive(&template) => (deployed::ARCHIVE_BATCH, RAW.1),
            _ => (deployed::QUEUE_BATCH, &[][..]),
        };
        is(&source["BatchSize"], batch, &[], name);
        is(&source["MaximumBatchingWindowInSeconds"], deployed::QUEUE_WINDOW, window, name);
    }
    let stream = of(&template, "RawNbiot")["Events"].as_object().map(|events| events.values().next().cloned());
    let source = match stream {
        Some(Some(event)) => event["Properties"].clone(),
        _ => of(&template, "RawNbiotSource"),
    };
    let (batch, window) = if has_archive(&template) { RAW } else { (&[][..], &[][..]) };
    is(&source["BatchSize"], deployed::STREAM_BATCH, batch, "RawNbiot");
    is(&source["MaximumBatchingWindowInSeconds"], deployed::STREAM_WINDOW, window, "RawNbiot");
    assert_eq!(decimal(&source["ParallelizationFactor"]), Decimal::ONE);
}

#[test]
fn defaults_are_the_template_s() {
    let template = template();
    let default = |name: &str| decimal(&template["Parameters"][name]["Default"]);
    if has_archive(&template) {
        let schedule = template["Parameters"]["SettleSchedule"]["Default"].as_str().unwrap();
        assert_eq!(schedule, format!("rate({} minutes)", deployed::SETTLE_MINUTES));
        let nightly = template["Parameters"]["DeriveSchedule"]["Default"].as_str().unwrap();
        assert!(nightly.starts_with("cron(") && nightly.ends_with(" * * ? *)"), "{nightly} is not once a day");
    }
    assert_eq!(default("LogRetentionDays"), deployed::LOG_DAYS);
    assert_eq!(default("StreamRetentionHours"), deployed::STREAM_HOURS.into());
    assert_eq!(default("TableReadCapacity"), deployed::READ_CAPACITY);
    assert_eq!(default("BridgeMinTasks"), deployed::TASKS.into());
    assert_eq!(default("StreamGiveUpSeconds"), options(&["--devices=1k"]).give_up_seconds().into());
}

#[test]
fn what_is_there_is_counted_as_in_the_template() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let count = |fits: &dyn Fn(&Value) -> bool| Decimal::from(resources.values().filter(|r| fits(r)).count());
    let tables = count(&|r| r["Type"] == "AWS::DynamoDB::Table" && r["Properties"]["BillingMode"]["Ref"].is_string());
    let store = if has_archive(&template) { Store::Pulses } else { Store::Tables };
    assert_eq!(tables, store.tables().into());
    if has_archive(&template) {
        for name in ["Settle", "Derive", "Days"] {
            let function = of(&template, name);
            let archive = Measurement::built_in().unwrap().archive;
            assert_eq!(decimal(&function["MemorySize"]), archive.memory_mb.decimal(), "{name}");
            assert_eq!(decimal(&function["Timeout"]), deployed::RUN_SECONDS, "{name}");
        }
    }
    let parameters = &template["Parameters"];
    assert_eq!(decimal(&parameters["DaysConcurrency"]["Default"]), deployed::DAYS_CONCURRENCY.into());
    assert_eq!(parameters["DaysSchedule"]["Default"].as_str(), Some("rate(1 hour)"));
    assert_eq!(deployed::DAYS_RUNS_A_DAY, dec!(24));
    let of_type = |kind: &'static str, condition: Option<&'static str>| {
        count(&|r| r["Type"] == kind && r["Condition"].as_str() == condition)
    };
    assert_eq!(of_type("AWS::SecretsManager::Secret", None), deployed::SECRETS);
    // Target tracking makes an alarm for more and one for less.
    let policies = of_type("AWS::ApplicationAutoScaling::ScalingPolicy", Some("DeployBridge"));
    let alarms = of_type("AWS::CloudWatch::Alarm", Some("DeployBridge")) + dec!(2) * policies;
    assert_eq!(alarms, deployed::BRIDGE_ALARMS);
    if has_archive(&template) {
        let alarms = of_type("AWS::CloudWatch::Alarm", None)
            + of_type("AWS::CloudWatch::Alarm", Some("DerivePoints"))
            + of_type("AWS::CloudWatch::Alarm", Some("MakeDays"));
        assert_eq!(alarms, deployed::ARCHIVE_ALARMS);
    }
    assert_eq!(of_type("AWS::CloudWatch::Dashboard", None), Decimal::ZERO);
    assert_eq!(of_type("AWS::EC2::EIP", Some("BridgeFacesInternet")), deployed::BALANCER_ADDRESSES);
    let scaling = of(&template, "BridgeScalingByCpu");
    let target = decimal(&scaling["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]);
    assert_eq!(target / Decimal::ONE_HUNDRED, deployed::SCALING_TARGET);
    let sizes = template["Mappings"]["BridgeSizes"].as_object().unwrap();
    for size in deployed::TASK_SIZES {
        let memory: Decimal = sizes[&size.to_string()]["Memory"].as_str().unwrap().parse().unwrap();
        assert_eq!(memory, Decimal::from(size) * deployed::GB_PER_PROCESSOR, "{size}");
    }
    assert_eq!(sizes.len(), deployed::TASK_SIZES.len());
    let memory = decimal(&template["Globals"]["Function"]["MemorySize"]);
    assert_eq!((dec!(1769) / memory).round_dp(2), limits::SHARE);
    for (name, function) in Measurement::built_in().unwrap().functions.by_name() {
        assert_eq!(Decimal::try_from(function.memory_mb).unwrap(), memory, "{name} was measured with other memory");
    }
}

fn options(arguments: &[&str]) -> plan::Options {
    let command = plan::Options::augment_args(Command::new("plan").no_binary_name(true));
    plan::Options::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

/// Checks a value against the template's parameter.
fn fits(parameter: &Value, value: &str) -> Result<(), String> {
    if !parameter.is_object() {
        return Err("there is no such parameter".to_owned());
    }
    let allowed = parameter["AllowedValues"].as_array();
    if allowed.is_some_and(|all| !all.iter().any(|one| one.to_string().trim_matches('"') == value)) {
        return Err("is none of the allowed values".to_owned());
    }
    if parameter["Type"] == "Number" {
        let number: u64 = value.parse().map_err(|_| "is no whole number".to_owned())?;
        if parameter["MinValue"].as_u64().is_some_and(|least| number < least) {
            return Err("is too small".to_owned());
        }
        if parameter["MaxValue"].as_u64().is_some_and(|most| number > most) {
            return Err("is too large".to_owned());
        }
    }
    Ok(())
}

fn strategy() -> impl Strategy<Value = Vec<String>> {
    let arrival = prop::sample::select(vec!["uniform", "top-of-hour", "jitter"]);
    let database = prop::sample::select(vec!["on-demand", "provisioned"]);
    let store = prop::sample::select(vec!["archive", "pulses"]);
    (1_u64..40_000_000, 0_u32..=10, arrival, database, store, 24_u32..=8760, any::<bool>()).prop_map(
        |(devices, share, arrival, database, store, hours, single)| {
            let mut all = vec![
                format!("--store={store}"),
                format!("--devices={devices}"),
                format!("--sigfox-share={}", f64::from(share) / 10.0),
                format!("--arrival={arrival}"),
                format!("--database={database}"),
                format!("--stream-hours={hours}"),
            ];
            if single {
                all.push("--single-callbacks".to_owned());
            }
            all
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_a_plan_sets_are_parameters_with_values_that_they_may_have(arguments in strategy()) {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let options = options(&arguments);
        let needs = Requirements::of(&options, &Measurement::built_in().unwrap()).unwrap();
        let parameters = &template()["Parameters"];
        let set = show::overrides(&options, &needs);
        let template_has = |name: &str| has_archive(&template()) || parameters[name].is_object();
        for (name, value, _) in set.iter().filter(|(name, ..)| template_has(name)) {
            let verdict = fits(&parameters[name], value);
            prop_assert!(verdict.is_ok(), "{name}={value}: {verdict:?}");
        }
        let number = |name: &str| set.iter().find(|(n, ..)| *n == name).unwrap().1.parse::<u64>().unwrap();
        prop_assert!(number("BridgeMinTasks") <= number("BridgeMaxTasks"));
        prop_assert!(number("StreamGiveUpSeconds") < number("StreamRetentionHours") * 3600);
        prop_assert!(needs.drain.rate >= needs.average, "the backlog would grow for ever: {needs:?}");
        prop_assert!(needs.busy <= Decimal::ONE, "the bridge would be too small: {needs:?}");
    }

    #[test]
    fn functions_with_a_seventh_of_a_processor_keep_up_with_the_fleet(arguments in strategy()) {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (options, measured) = (options(&arguments), Measurement::built_in().unwrap());
        let needs = Requirements::of(&options, &measured).unwrap();
        let measured = measured.with_archive();
        let of_an_instance = |milliseconds: f64| dec!(1000) / (Decimal::try_from(milliseconds).unwrap() * dec!(6.91));
        let f = &measured.functions;
        // A shard has one instance at a time, and is used to seven tenths.
        let stream = of_an_instance(f.raw_nbiot.per_uplink_ms) * Decimal::from(needs.shards) * dec!(0.7);
        prop_assert!(stream >= needs.average * (Decimal::ONE - options.sending.sigfox_share), "{stream} a second: {needs:?}");
        if options.store == Store::Archive {
            let queue = of_an_instance(f.raw_sigfox.per_uplink_ms) * Decimal::from(needs.concurrency);
            prop_assert!(queue >= dec!(2) * needs.average * options.sending.sigfox_share, "{queue} a second: {needs:?}");
            return Ok(());
        }
        // The table has a reserve of a fifth, and the functions process twice as much as the table.
        for function in [&f.raw_sigfox, &f.pulse_sigfox, &f.pulse_nbiot] {
            let queue = of_an_instance(function.per_uplink_ms) * Decimal::from(needs.concurrency);
            prop_assert!(queue >= dec!(2) * needs.average / dec!(0.8), "{queue} a second: {needs:?}");
        }
    }
}

#[test]
fn the_lines_for_samconfig_are_toml() {
    let options = options(&["--devices=3.6M", "--arrival=top-of-hour", "--samconfig"]);
    let text = plan::text(&options).unwrap();
    let toml: toml::Table = text.parse().unwrap();
    let lines = toml["parameter_overrides"].as_array().unwrap();
    assert!(lines.iter().any(|line| line.as_str() == Some("BillingMode=PROVISIONED")), "{text}");
    assert!(lines.iter().any(|line| line.as_str() == Some("TableWriteCapacity=1250")), "{text}");
}

#[test]
fn the_lines_for_samconfig_say_how_to_get_them_again() {
    for asked in [&["--devices=3.6M"][..], &["--devices=1k", "--single-callbacks", "--slower=3", "--utilisation=0.5"]] {
        let mut asked = asked.to_vec();
        asked.push("--samconfig");
        let text = plan::text(&options(&asked)).unwrap();
        let command = text.lines().next().unwrap().strip_prefix("# cost plan ").unwrap();
        let again = options(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(plan::text(&again).unwrap(), text);
    }
}

#[test]
fn a_schedule_with_spaces_is_quoted_for_sam() {
    let text = plan::text(&options(&["--devices=3.6M", "--store=archive", "--samconfig"])).unwrap();
    let toml: toml::Table = text.parse().unwrap();
    let lines: Vec<_> =
        toml["parameter_overrides"].as_array().unwrap().iter().filter_map(toml::Value::as_str).collect();
    assert!(lines.contains(&"SettleSchedule=\"rate(15 minutes)\""), "{lines:?}");
    assert!(lines.contains(&"PulseTable=false") && !lines.iter().any(|line| line.starts_with("Table")), "{lines:?}");
}

#[test]
fn batches_that_would_be_too_long_ask_for_more_device_types() {
    let measured = Measurement::built_in().unwrap();
    let notes = |types: &str| {
        let options = options(&["--devices=3.6M", "--arrival=top-of-hour", types]);
        Requirements::of(&options, &measured).unwrap().notes.join("; ")
    };
    // 30,000 in a second.
    assert!(notes("--device-types=1").contains("device types or more"), "{}", notes("--device-types=1"));
    assert!(!notes("--device-types=20").contains("device types or more"), "{}", notes("--device-types=20"));
}

#[test]
fn what_is_more_than_an_account_has_or_than_a_url_holds_is_said() {
    let measured = Measurement::built_in().unwrap();
    let says = |arguments: &[&str], what| {
        Requirements::of(&options(arguments), &measured).unwrap().notes.join("; ").contains(what)
    };
    let quota =
        "TableWriteCapacity exceeds an account's quota of 40000 writes a second of a table, unless AWS raises it";
    assert!(says(&["--devices=200M"], quota) && !says(&["--devices=36M"], quota));
    // 500 in a second are four times 150, less some.
    let query = "would have to be spread over 4 device types";
    assert!(says(&["--devices=3.6M"], query) && !says(&["--devices=3.6M", "--device-types=4"], query));
    assert!(!says(&["--devices=3.6M", "--single-callbacks"], query));
}

#[test]
fn a_burst_needs_more_at_the_door_and_no_more_behind_it() {
    let measured = Measurement::built_in().unwrap();
    let needs = |arrival| Requirements::of(&options(&["--devices=3.6M", arrival]), &measured).unwrap();
    let (even, burst) = (needs("--arrival=uniform"), needs("--arrival=top-of-hour"));
    assert_eq!(burst.peak, Decimal::from(60) * even.peak);
    assert!(burst.shards > even.shards);
    assert_eq!((burst.writes, burst.concurrency), (even.writes, even.concurrency));
    assert_eq!(even.drain.backlog, Decimal::ZERO);
    // 3.6 million at 1,250 a second.
    assert_eq!(burst.drain.takes, Decimal::from(2880));
    assert_eq!(burst.drain.backlog, Decimal::from(3_600_000 - 60 * 1250));
}
