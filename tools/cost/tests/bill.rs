//! The bill of our own design, and the output of `cost bill`.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use clap::{Args as _, Command, FromArgMatches as _};
use cost::bill::designs::{self, Design, Inputs};
use cost::bill::monthly::Bill;
use cost::bill::pulsegate::flow::Flow;
use cost::bill::pulsegate::setup::{Callbacks, Database, Store};
use cost::bill::{self, Options, picture};
use cost::load::Load;
use proptest::prelude::*;
use rust_decimal::{Decimal, dec};

fn options(arguments: &[&str]) -> Options {
    let command = Options::augment_args(Command::new("bill").no_binary_name(true));
    Options::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

fn bills(arguments: &[&str], devices: u64) -> Vec<Bill> {
    let options = options(arguments);
    let inputs = Inputs::read(&options).unwrap();
    let bill = |design: &Design| design.bill(&options.load(devices), &inputs).unwrap();
    designs::chosen(&options).unwrap().iter().map(bill).collect()
}

#[test]
fn bus_balancer_functions_api_and_containers_are_below_90_usd_for_3_6_million_meters_in_batches() {
    let bill = &bills(&["--design=archive-batch"], 3_600_000)[0];
    let counted: Decimal =
        ["API Gateway", "Lambda", "SQS", "Kinesis", "NLB", "Fargate"].iter().map(|service| bill.of(service)).sum();
    assert!(counted < dec!(90), "{bill:#?}");
}

#[test]
fn each_line_is_the_cost_of_its_items() {
    let arguments = &["--design=ours,single,tables", "--free-tier=none", "--kms", "--stream-hours=168"];
    let prices = Inputs::read(&options(arguments)).unwrap().prices;
    for bill in bills(arguments, 200_000) {
        for line in &bill.lines {
            // The fleet is so small that only first tiers count.
            let of_line = bill.items.iter().filter(|item| item.service == line.service);
            let sum: Decimal =
                of_line.map(|item| item.quantity * prices.price(item.price).unwrap().tiers[0].price).sum();
            assert_eq!(sum.round_dp(12), line.amount.round_dp(12), "{}: {}", bill.design, line.service);
        }
    }
}

#[test]
fn the_built_in_measurement_is_recorded_and_not_provisional() {
    let measured = Inputs::read(&options(&[])).unwrap().measured;
    assert!(!measured.provisional, "{}", measured.source);
}

#[test]
fn what_comes_twice_is_paid_twice_and_kept_once() {
    let design = "--design=ours,tables";
    let (once, twice) = (bills(&[design], 3_600_000), bills(&[design, "--repeats=0.05"], 3_600_000));
    for (once, twice) in once.iter().zip(&twice) {
        // The free part of a provisioned capacity is not repeated.
        let more = |service| (twice.of(service) / once.of(service)).round_dp(2);
        if once.of("Database writes") > Decimal::ZERO {
            assert_eq!((more("Database writes"), more("Database storage")), (dec!(1.05), dec!(1)));
        }
        assert!(
            once.lines.iter().all(|line| twice.of(line.service) >= line.amount - dec!(0.001)),
            "{once:#?}\n{twice:#?}"
        );
        assert!(twice.of("API Gateway") > once.of("API Gateway") && twice.of("SQS") > once.of("SQS"));
    }
}

#[test]
fn machines_cost_what_the_study_s_next_larger_set_does_and_beyond_its_largest_nobody_knows() {
    let total = |arguments: &[&str], devices| {
        let bill = &bills(arguments, devices)[0];
        bill.is_known().then(|| bill.total())
    };
    let totals = [360_000, 360_001, 3_600_000, 3_600_001].map(|devices| total(&["--design=study-5.2"], devices));
    assert_eq!(totals, [Some(dec!(38)), Some(dec!(116)), Some(dec!(116)), None]);
    assert_eq!(total(&["--design=study-5.2", "--interval=2"], 3_600_000), None);
    let text = bill::text(&options(&["--devices=10M", "--design=study-5.2", "--format=csv"])).unwrap();
    assert!(text.contains("\ntotal,-\n"), "{text}");
}

#[test]
fn prices_in_another_currency_are_in_that_one() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/prices-in-eur.json");
    let prices = frames::read("tools/cost/prices/eu-west-1.json").replacen("\"USD\"", "\"EUR\"", 1);
    std::fs::write(file, prices).unwrap();
    let options =
        options(&["--devices=180k", "--design=ours,tables,study-4.5,study-5.2", "--format=csv", "--prices", file]);
    let text = bill::text(&options).unwrap();
    assert!(text.contains("on Sigfox: EUR a month") && text.contains("savings by change, EUR a month"), "{text}");
    assert!(text.contains("tables-single-provisioned,study-4.5 (USD),study-5.2\n"), "{text}");
    let chart = picture::chart(&options, &designs::chosen(&options).unwrap(), &Inputs::read(&options).unwrap());
    let line =
        |lines: &[cost::chart::Line], name| lines.iter().find(|line| line.name.starts_with(name)).unwrap().points.len();
    let lines = chart.unwrap().lines;
    assert!(line(&lines, "tables-batch, ") == 12 && line(&lines, "study-5.2") == 9, "{lines:#?}");
}

#[test]
fn the_study_s_tables_depend_on_nothing_but_how_they_are_printed() {
    let command = Options::augment_args(Command::new("bill").no_binary_name(true));
    let others = command.get_arguments().filter(|a| a.get_id() != "study" && a.get_id() != "format");
    for other in others {
        let possible = other.get_possible_values().first().map(|value| value.get_name().to_owned());
        let default = other.get_default_values().first().map(|value| value.to_str().unwrap().to_owned());
        let value = default.or(possible).unwrap_or_else(|| "1".to_owned());
        let value = if other.get_action().takes_values() { format!("={value}") } else { String::new() };
        let argument = format!("--{}{value}", other.get_long().unwrap());
        let error = command.clone().try_get_matches_from(["--study", &argument]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{argument}: {error}");
    }
}

#[test]
fn the_two_ways_to_pay_for_tables_differ_in_their_writes_alone() {
    let bills = bills(&["--design=tables-batch-on-demand,tables-batch-provisioned"], 3_600_000);
    assert_eq!(bills[0].without_database(), bills[1].without_database());
    assert_eq!(bills[0].of("Database storage"), bills[1].of("Database storage"));
    assert_eq!(bills[0].of("Database writes"), dec!(3705.48));
    // 1,250 units each of two tables, less the 25 that are free; reads are within theirs.
    assert_eq!(bills[1].of("Database writes"), dec!(2475) * dec!(0.000735) * dec!(730));
}

#[test]
fn at_the_rate_that_was_measured_functions_are_invoked_as_measured() {
    let options = options(&[]);
    let inputs = Inputs::read(&options).unwrap();
    let setup = options.setup(Store::Pulses, Callbacks::Batch, Database::OnDemand);
    let function = &inputs.measured.functions.raw_sigfox;
    // Half of the fleet is on Sigfox.
    let devices = (function.uplinks_per_second * 2.0 * 3600.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few million")]
    let flow = Flow::of(&setup, &Load::hourly(devices as u64), &inputs.measured);
    let runs = flow.functions.iter().find(|runs| runs.name == "raw-sigfox").unwrap();
    let off = (runs.uplinks - Decimal::try_from(function.uplinks_per_invocation).unwrap()).abs();
    assert!(off < dec!(0.001) * runs.uplinks, "{runs:?}");
}

#[test]
fn a_single_callback_is_a_call_an_invocation_and_a_message_for_each_uplink() {
    let options = options(&[]);
    let inputs = Inputs::read(&options).unwrap();
    let flow = Flow::of(
        &options.setup(Store::Pulses, Callbacks::Single, Database::OnDemand),
        &Load { sigfox_share: Decimal::ONE, ..Load::hourly(100_000) },
        &inputs.measured,
    );
    let uplinks = dec!(73_000_000);
    assert_eq!((flow.calls, flow.functions[0].invocations), (uplinks, uplinks));
    assert_eq!((flow.tasks, flow.records, flow.shards), (dec!(0), dec!(0), dec!(1)));
    // Sent one by one, and received and deleted at most ten at a time.
    assert!(flow.requests() > uplinks * dec!(1.2), "{flow:?}");
    let raw = &flow.functions[1];
    assert!(raw.uplinks <= dec!(50), "no more messages than the template gives an invocation: {raw:?}");
}

#[test]
fn with_the_template_s_windows_an_invocation_gets_what_a_poller_gathers() {
    let options = options(&["--batching=template"]);
    let inputs = Inputs::read(&options).unwrap();
    let setup = options.setup(Store::Pulses, Callbacks::Batch, Database::OnDemand);
    let uplinks = |devices, name| {
        let flow = Flow::of(&setup, &Load::hourly(devices), &inputs.measured);
        flow.functions.iter().find(|runs| runs.name == name).unwrap().uplinks
    };
    // 500 a second: five pollers gather for five seconds, and the one of the stream for one.
    assert_eq!((uplinks(3_600_000, "raw-sigfox"), uplinks(3_600_000, "raw-nbiot")), (dec!(500), dec!(500)));
    assert_eq!(uplinks(7_200_000, "pulse-nbiot"), dec!(1000));
}

#[test]
fn a_stream_that_keeps_a_week_costs_more_by_its_shards() {
    let of = |arguments: &[&str]| bills(arguments, 3_600_000)[0].of("Kinesis");
    assert_eq!(of(&["--stream-hours=168"]) - of(&[]), dec!(0.02) * dec!(730));
}

#[test]
fn without_nb_iot_there_is_no_bridge_to_pay_for() {
    let bill = &bills(&["--sigfox-share=1", "--design=archive-batch"], 10_000)[0];
    for service in ["NLB", "Fargate", "Public IPv4"] {
        assert!(bill.lines.iter().all(|line| line.service != service), "{service}");
    }
    assert!(bill.of("Kinesis") > dec!(12), "the stream is there all the same");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_line_is_below_zero_and_lines_add_up(devices in 1_u64..50_000_000, share in 0_u32..=100, types in 1_u32..50) {
        let arguments = [
            format!("--sigfox-share={}", f64::from(share) / 100.0),
            format!("--device-types={types}"),
            "--design=ours,single,tables,study,corrected,model".to_owned(),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        for bill in bills(&arguments, devices) {
            prop_assert!(bill.lines.iter().all(|line| line.amount >= Decimal::ZERO), "{bill:#?}");
            let off = bill.total() - bill.without_database() - bill.database();
            prop_assert!(off.abs() < dec!(0.000000000001), "{bill:#?}");
        }
    }

    #[test]
    fn a_larger_fleet_never_costs_less_and_batches_never_more_than_single_callbacks(
        devices in 1_u64..20_000_000, more in 1_u64..20_000_000,
    ) {
        let designs = "--design=archive-batch,archive-single,pulses-batch-provisioned,pulses-single-provisioned,tables";
        let (small, large) = (bills(&[designs], devices), bills(&[designs], devices + more));
        for (small, large) in small.iter().zip(&large) {
            // Fewer, fuller messages may save a cent on the way.
            prop_assert!(large.total() >= small.total() - dec!(0.05), "{small:#?}\n{large:#?}");
        }
        for bills in [&small, &large] {
            // In pairs, then the tables by callback and payment.
            for (batch, single) in [(0, 1), (2, 3), (4, 6), (5, 7)] {
                prop_assert!(bills[batch].total() <= bills[single].total() + dec!(0.01), "{bills:#?}");
            }
        }
    }
}

#[test]
fn it_says_what_dominates_what_would_save_most_and_where_the_numbers_are_from() {
    let text = bill::text(&options(&["--devices=3.6M", "--format=markdown"])).unwrap();
    for part in ["| largest part |", "| largest saving |", "| measured |", "| prices |", "eu-west-1"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let unsure = text.lines().find(|line| line.starts_with("| not from the price list of eu-west-1 |")).unwrap();
    assert!(unsure.contains("Kinesis provisioned shard-hour (secondary)"), "{unsure}");
    assert!(!unsure.contains("EC2") && !unsure.contains("arm64"), "what nobody pays for is not in doubt: {unsure}");
}

#[test]
fn for_machines_it_is_one_json_document_with_numbers() {
    let text = bill::text(&options(&["--devices=1k,3.6M", "--format=json"])).unwrap();
    let tables: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(tables.len(), 5, "inputs, and of each fleet the bills and what would change them");
    let rows = tables[3]["rows"].as_array().unwrap();
    let all = rows.iter().find(|row| row["a month"] == "total").unwrap();
    assert!(all["pulses-batch-provisioned"].as_f64().unwrap() > 1000.0, "{all}");
}

#[test]
fn totals_are_those_of_the_bills() {
    let fleets = ["--devices=1k,3.6M", "--design=archive-batch,tables-batch-provisioned", "--format=csv"];
    let text = bill::text(&options(&[&fleets[..], &["--totals"]].concat())).unwrap();
    let of = |devices, design: &str| bills(&["--design", design], devices)[0].total().round_dp(2);
    for design in ["archive-batch", "tables-batch-provisioned"] {
        let row = format!("\n{design},{},{}\n", of(1000, design), of(3_600_000, design));
        assert!(text.contains(&row), "{row} is not in {text}");
    }
}

#[test]
fn the_items_of_a_bill_have_quantity_unit_and_price() {
    let text = bill::text(&options(&["--devices=3.6M", "--design=archive-batch", "--items", "--format=csv"])).unwrap();
    for row in
        ["\nKinesis,provisioned shard-hour,shards,730,shard-hour,0.017,12.41\n", "\nLambda,free tiers and tiers,,,,,-"]
    {
        assert!(text.contains(row), "{row} is not in {text}");
    }
}

#[test]
fn the_study_s_designs_are_printed_with_their_slips() {
    let text = bill::text(&options(&["--devices=180k", "--design=study-5.2,study-4.5", "--format=csv"])).unwrap();
    assert!(text.contains("prints 0.0021 a device, with the decimal point misplaced: 0.00021 is right"), "{text}");
    assert!(text.contains("study-5.2 (EUR)"), "{text}");
}

#[test]
fn what_is_wrong_is_said_with_what_there_is() {
    let problem = |arguments: &[&str]| bill::text(&options(arguments)).unwrap_err().in_full();
    assert!(
        problem(&["--design=mine"])
            .starts_with("no design \"mine\"; use ours, single, tables, study, corrected, model, or archive-batch")
    );
    assert!(problem(&["--free-tier=SNS"]).starts_with("no free tier of \"SNS\"; use ever, first-year, none, or"));
    assert!(problem(&["--prices=/nowhere.json"]).starts_with("the file /nowhere.json: No such file"));
    assert!(problem(&["--measured=Cargo.toml"]).starts_with("Cargo.toml: not a measurement file"));
    assert_eq!(problem(&["--compare=cost.jpg"]), "cost.jpg ends in neither .svg nor .png");
}

#[test]
fn the_picture_has_our_design_and_the_study_s() {
    let options = options(&["--compare=x.svg"]);
    let inputs = Inputs::read(&options).unwrap();
    let chart = picture::chart(&options, &picture::usual(designs::all(&options)), &inputs).unwrap();
    let names: Vec<_> = chart.lines.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names.len(), 11, "{names:#?}");
    let rented = chart.lines.iter().find(|line| line.name.contains("rented machines, EUR")).unwrap();
    assert_eq!(rented.points.last(), Some(&(3_600_000.0, 116.0)), "nobody knows what more of them would cost");
    assert!(rented.points.contains(&(1_000_000.0, 116.0)), "the study tried its small ones with no more than 360,000");
    assert!(chart.svg().contains("study-4.5: containers, Kinesis, batches of ten"));
}
