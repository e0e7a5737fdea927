//! The archive on bills and in plans.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use clap::{Args as _, Command, FromArgMatches as _};
use cost::bill::designs::{self, Design, Inputs};
use cost::bill::monthly::Bill;
use cost::measurement::Measurement;
use cost::plan::requirements::Requirements;
use cost::{bill, plan, reads, template as deployed};
use rust_decimal::{Decimal, dec};

fn bills(arguments: &[&str], devices: u64) -> Vec<Bill> {
    let command = bill::Options::augment_args(Command::new("bill").no_binary_name(true));
    let options = bill::Options::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap();
    let inputs = Inputs::read(&options).unwrap();
    let bill = |design: &Design| design.bill(&options.load(devices), &inputs).unwrap();
    designs::chosen(&options).unwrap().iter().map(bill).collect()
}

fn plan_options(arguments: &[&str]) -> plan::Options {
    let command = plan::Options::augment_args(Command::new("plan").no_binary_name(true));
    plan::Options::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

#[test]
fn an_archive_costs_at_most_150_usd_for_3_6_million_meters_and_tables_ninety_times_as_much() {
    let bills = bills(&["--design=archive-batch,tables-batch-provisioned"], 3_600_000);
    let totals: Vec<_> = bills.iter().map(Bill::total).collect();
    assert!(totals[0] < dec!(150), "{:#?}", bills[0]);
    assert!(totals[1] > dec!(90) * totals[0], "{totals:?}");
}

#[test]
fn the_archive_costs_its_rows_its_versions_and_its_files() {
    let mut json: serde_json::Value = serde_json::from_str(&Measurement::built_in().unwrap().text()).unwrap();
    for (name, value) in [
        ("new_row_bytes", 30),
        ("day_row_bytes", 10),
        ("points_row_bytes", 5),
        ("settle_row_us", 2),
        ("settle_older_days", 0),
        ("request_ms", 0),
        ("memory_mb", 1024),
    ] {
        json["archive"][name]["value"] = value.into();
    }
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/archive-of-round-numbers.json");
    std::fs::write(file, json.to_string()).unwrap();
    let bill = &bills(&["--design=archive-batch", "--measured", file], 3_600_000)[0];
    let of = |purpose: &str, price: &str| {
        let found = bill.items.iter().find(|item| item.purpose == purpose && item.price == price);
        found.unwrap_or_else(|| panic!("{purpose}")).quantity
    };
    let gb = |bytes: Decimal| (bytes / dec!(1_073_741_824)).round_dp(9);
    let stored = |purpose| of(purpose, "s3-gb-month").round_dp(9);
    // 2.628 billion uplinks a month.
    assert_eq!(stored("day/"), gb(dec!(315_360_000_000)));
    assert_eq!(stored("points/"), gb(dec!(157_680_000_000)));
    // 86.4 million a day; a version has half of them on average, and there are 96 of a day.
    assert_eq!(stored("day/, all older versions for a day"), gb(dec!(96) * dec!(432_000_000) * dec!(1.5)));
    assert_eq!(stored("day/, the newest four for 35 days"), gb(dec!(4) * dec!(864_000_000) * dec!(35)));
    assert_eq!(stored("new/, deleted, for a day"), gb(dec!(2_592_000_000) * dec!(1.5)));
    // Six objects a minute: of five pollers and a shard.
    assert_eq!(of("PUT of new/ by raw stages", "s3-put").round_dp(6), dec!(6) * dec!(43_800));
    // 64 files four times an hour, and the rows of half a day and a quarter of an hour.
    assert_eq!(of("PUT of day/ by settle", "s3-put").round_dp(6), dec!(64) * dec!(2920));
    assert_eq!(of("settle", "lambda-gb-second-x86").round_dp(3), dec!(2920) * dec!(88.2));
}

#[test]
fn a_key_adds_its_own_price_and_its_requests() {
    let (without, with) = (bills(&[], 3_600_000), bills(&["--kms"], 3_600_000));
    assert_eq!(without[0].of("KMS"), dec!(0));
    let more = with[0].total() - without[0].total();
    assert_eq!(more.round_dp(12), with[0].of("KMS").round_dp(12));
    assert!(more > dec!(1) && more < dec!(60), "{more}");
}

#[test]
fn what_is_kept_for_a_shorter_time_costs_less() {
    let of = |arguments: &[&str], service| {
        let bills = bills(arguments, 3_600_000);
        bills.iter().map(|bill| bill.of(service)).collect::<Vec<_>>()
    };
    let (ever, month) = (of(&[], "S3 storage"), of(&["--archive-days=30"], "S3 storage"));
    assert!(ever.iter().zip(&month).all(|(ever, month)| *month < *ever / dec!(2)), "{ever:?} {month:?}");
    let (ever, month) = (of(&[], "Database storage"), of(&["--pulse-days=35"], "Database storage"));
    assert!(ever[1] > dec!(10) * month[1] && month[1] > dec!(0), "{ever:?} {month:?}");
}

#[test]
fn more_objects_than_a_list_holds_take_further_runs() {
    let seconds = |minutes: &str| {
        let bill = &bills(&["--design=pulses-batch-on-demand", minutes], 3_600_000)[0];
        let mut settle = bill.items.iter().filter(|item| item.purpose == "settle");
        settle.find(|item| item.price.starts_with("lambda-gb-second")).unwrap().quantity
    };
    // 150 objects a minute: an hour's take nine runs, as many as those of nine times a shorter interval.
    let (short, long) = (seconds("--settle-minutes=6"), seconds("--settle-minutes=60"));
    assert!(long > short * dec!(0.85) && long < short * dec!(1.1), "{short} {long}");
}

#[test]
fn files_of_a_day_have_up_to_1_35_million_rows() {
    let measured = Measurement::built_in().unwrap();
    let bits = |devices: &str| {
        let options = plan_options(&[&format!("--devices={devices}")[..], "--store=archive"]);
        Requirements::of(&options, &measured).unwrap().settling.bits
    };
    let cases = [("1k", 0), ("56250", 0), ("56251", 1), ("180k", 2), ("3.6M", 6), ("36M", 10), ("360M", 10)];
    for (devices, expected) in cases {
        assert_eq!(bits(devices), expected, "{devices}");
    }
}

#[test]
fn a_fleet_whose_day_a_run_cannot_merge_is_told_how_many_stacks_it_needs() {
    let measured = Measurement::built_in().unwrap();
    let notes = |devices: u64| {
        let options = plan_options(&[&format!("--devices={devices}")[..], "--store=archive"]);
        let needs = Requirements::of(&options, &measured).unwrap();
        (needs.settling.most, needs.notes.join("; "))
    };
    let most: u64 = notes(1000).0.floor().try_into().unwrap();
    let split = "stacks, each with its own bucket";
    // Requests and new rows take some of the time as well.
    let (few, many) = (notes(most * 8 / 10).1, notes(most * 21 / 10).1);
    assert!(!few.contains(split), "{few}");
    assert!(many.contains(&format!("Split the fleet over 3 {split}")), "{many}");
}

#[test]
fn settle_runs_oftener_if_its_memory_does_not_suffice_and_says_if_it_takes_several_passes() {
    let measured = Measurement::built_in().unwrap();
    let needs = |arguments: &[&str]| Requirements::of(&plan_options(arguments), &measured).unwrap();
    let few = needs(&["--devices=3.6M", "--store=archive"]);
    assert_eq!((few.settling.minutes, few.settling.passes), (deployed::SETTLE_MINUTES, Decimal::ONE));
    assert!(needs(&["--devices=12M", "--store=archive"]).settling.minutes < deployed::SETTLE_MINUTES);
    // Short windows make many objects.
    let many = needs(&["--devices=3.6M", "--store=pulses"]);
    assert!(many.settling.passes > Decimal::ONE && many.notes.join("; ").contains("passes over the day's files"));
}

#[test]
fn a_meter_s_month_is_read_with_two_gets_a_day_and_those_of_waiting_objects() {
    let command = reads::Options::augment_args(Command::new("reads").no_binary_name(true));
    let matches = command.try_get_matches_from(["--devices=3.6M", "--format=csv"]).unwrap();
    let text = reads::text(&reads::Options::from_arg_matches(&matches).unwrap()).unwrap();
    let row = text.lines().find(|line| line.starts_with("a meter's month,")).unwrap();
    // 30 days and the uplinks without a date, and half of the 90 objects of a quarter of an hour.
    assert!(row.contains("1 request (PUT/COPY/POST/LIST); 107 request (GET and HEAD)"), "{row}");
    // 107 GETs and a LIST.
    assert!(row.ends_with(",0.000048,47.80"), "{row}");
}

#[test]
fn the_daily_pass_costs_at_most_15_usd_for_3_6_million_meters_hourly_runs_that_find_nothing_included() {
    let of_pass = ["days", "DaysQueue", "PUT of days/", "LIST by days", "days/", "days/, older versions for a day"];
    let gets = ["GET of points/ and reports/ by days", "GET of days/ and assignments/ by days"];
    let prices = cost::prices::Prices::read(None).unwrap();
    let bill = &bills(&["--design=archive-batch"], 3_600_000)[0];
    let none = cost::prices::FreeTiers::of(&[]);
    let amount = |purpose: &&str| -> Decimal {
        let items = bill.items.iter().filter(|item| item.purpose == *purpose);
        let amounts: Vec<_> = items.map(|item| prices.cost(item.price, item.quantity, &none).unwrap()).collect();
        assert!(!amounts.is_empty(), "{purpose}");
        amounts.iter().sum()
    };
    let total: Decimal = of_pass.iter().chain(&gets).map(amount).sum();
    assert!(total > dec!(5) && total <= dec!(15), "{total}");
}

#[test]
fn a_file_of_days_is_made_from_the_days_around_its_month() {
    let bill = &bills(&["--design=archive-batch"], 3_600_000)[0];
    let of = |purpose: &str| bill.items.iter().find(|item| item.purpose == purpose).unwrap().quantity;
    // Twice a day the current month of 64 partitions, and of 35 days in a month once that of the month before.
    let files = dec!(64) * (dec!(2) * dec!(30.416666666666666666666666667) + dec!(35));
    assert_eq!(of("PUT of days/").round_dp(6), files.round_dp(6));
}
