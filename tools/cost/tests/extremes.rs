//! Every number that a file or the command line can hold leads to a bill, a plan, or an error message; no calculation
//! overflows.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use clap::{Args as _, Command, FromArgMatches as _};
use cost::measurement::Measurement;
use cost::{Error, plan};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

fn bill(arguments: &[&str]) -> Result<String, Error> {
    let command = cost::bill::Options::augment_args(Command::new("bill").no_binary_name(true));
    cost::bill::text(&cost::bill::Options::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap())
}

fn plan(arguments: &[&str]) -> Result<String, Error> {
    let command = plan::Options::augment_args(Command::new("plan").no_binary_name(true));
    plan::text(&plan::Options::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap())
}

fn reads(arguments: &[&str]) -> Result<String, Error> {
    let command = cost::reads::Options::augment_args(Command::new("reads").no_binary_name(true));
    cost::reads::text(
        &cost::reads::Options::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap(),
    )
}

const LEAST: [&str; 5] =
    ["--devices=1", "--interval=0.0001", "--raw-days=1", "--slower=0.0001", "--sigfox-share=0.000000001"];
const MOST_OF_SIGFOX: [&str; 7] = [
    "--devices=1000M",
    "--interval=10000",
    "--raw-days=36500",
    "--slower=10000",
    "--sigfox-share=0.999999999",
    "--arrival=top-of-hour",
    "--device-types=10000",
];
const MOST_OF_NBIOT: [&str; 6] = [
    "--devices=1000M",
    "--interval=10000",
    "--raw-days=36500",
    "--slower=10000",
    "--sigfox-share=0",
    "--arrival=top-of-hour",
];
const ALL: &str = "--design=ours,single,tables,study,corrected,model";

/// Runs both commands for fleets of all sizes, with these files.
fn all_sizes(files: &[String]) {
    for size in [&LEAST[..], &MOST_OF_SIGFOX, &MOST_OF_NBIOT, &["--devices=3.6M"]] {
        let with = |others: &[&'static str]| {
            let files = files.iter().map(String::as_str);
            files.chain(size.iter().copied()).chain(others.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
        };
        for others in [
            &[ALL, "--months=1200", "--repeats=1", "--utilisation=0.05", "--settle-minutes=1", "--kms", "--items"][..],
            &["--batching=template"],
        ] {
            said(bill(&with(others).iter().map(String::as_str).collect::<Vec<_>>()));
        }
        // A plan has no prices, and no raw uplinks in a table.
        let others =
            [&["--utilisation=0.05"][..], &["--database=on-demand", "--single-callbacks"], &["--store=archive"]];
        for others in others {
            let arguments = with(others);
            let not = |argument: &&str| !["--prices", "--raw-days"].iter().any(|not| argument.starts_with(not));
            said(plan(&arguments.iter().map(String::as_str).filter(not).collect::<Vec<_>>()));
        }
        let arguments = with(&[]);
        let not = |argument: &&str| !["--slower", "--raw-days"].iter().any(|not| argument.starts_with(not));
        said(reads(&arguments.iter().map(String::as_str).filter(not).collect::<Vec<_>>()));
    }
}

fn said(result: Result<String, Error>) {
    match result.map_err(|error| error.in_full()) {
        Ok(text) => assert!(text.contains("Inputs"), "{text}"),
        Err(text) => {
            assert!(
                text.contains("is too large to calculate") || text.contains("exceed AWS's limit of 1000"),
                "{text}"
            );
        }
    }
}

/// The numbers of a file by JSON pointer, each with its minimum and maximum.
fn numbers(of: &Value) -> Vec<(String, [Value; 2])> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), of)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Object(fields) => open.extend(fields.iter().map(|(name, value)| (format!("{at}/{name}"), value))),
            Value::Number(_) => found.push(at),
            _ => {}
        }
    }
    let allowed = |at: &str, values: &[Value]| {
        let fits = |value: &Value| Measurement::parse(&changed(of, &[(at, value)]).to_string(), "it").is_ok();
        values.iter().find(|value| fits(value)).cloned().unwrap_or_else(|| panic!("{at} may be nothing"))
    };
    let least = |at: &str| allowed(at, &[json!(0), json!(1e-6), json!(128)]);
    let most =
        |at: &str| allowed(at, &[json!(u32::MAX), json!(1e9), json!(1e6), json!(900_000), json!(10_240), json!(366)]);
    found.into_iter().map(|at| (at.clone(), [least(&at), most(&at)])).collect()
}

fn changed(json: &Value, numbers: &[(&str, &Value)]) -> Value {
    let mut json = json.clone();
    for (at, value) in numbers {
        json.pointer_mut(at).unwrap().clone_from(value);
    }
    json
}

/// The built-in prices, each set to `price`, and each free tier to `free` units.
fn priced(price: &str, free: &str) -> Value {
    let mut json: Value = serde_json::from_str(&frames::read("tools/cost/prices/eu-west-1.json")).unwrap();
    for (_, one) in json["prices"].as_object_mut().unwrap() {
        for tier in one["tiers"].as_array_mut().unwrap() {
            tier["price"] = json!(price);
        }
        if let Some(quantity) = one.pointer_mut("/free/quantity") {
            *quantity = json!(free);
        }
    }
    json
}

fn file(name: &str, json: &Value) -> String {
    let path = format!("{}/extreme-{name}.json", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, json.to_string()).unwrap();
    path
}

#[test]
fn measurements_at_their_bounds_are_not_too_much() {
    let json: Value = serde_json::from_str(&Measurement::built_in().unwrap().text()).unwrap();
    let numbers = numbers(&json);
    assert!(numbers.len() > 50, "{numbers:?}");
    let dear = format!("--prices={}", file("dear-measured", &priced("1000000", "0")));
    let of = |choices: &[usize], prices: &[String]| {
        let chosen = numbers.iter().zip(choices).filter(|(_, choice)| **choice < 2);
        let chosen: Vec<_> = chosen.map(|((at, bounds), choice)| (at.as_str(), &bounds[*choice])).collect();
        let measured = format!("--measured={}", file("measurement", &changed(&json, &chosen)));
        all_sizes(&[&[measured], prices].concat());
    };
    // All numbers at one bound, and then with one of them at the other.
    for most in [0, 1] {
        of(&vec![most; numbers.len()], std::slice::from_ref(&dear));
        for other in 0..numbers.len() {
            let choices = (0..numbers.len()).map(|index| if index == other { 1 - most } else { most });
            of(&choices.collect::<Vec<_>>(), &[]);
        }
    }
    // Random choices; 2 leaves a number unchanged.
    let config = ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
    let choices = prop::collection::vec(0_usize..3, numbers.len());
    let tried = TestRunner::new(config).run(&choices, |choices| {
        of(&choices, &[]);
        of(&choices, std::slice::from_ref(&dear));
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn prices_at_their_bounds_are_not_too_much() {
    for (name, price, free) in [("dear", "1000000", "0"), ("free", "0", "79228162514264337593543950335")] {
        all_sizes(&[format!("--prices={}", file(name, &priced(price, free)))]);
    }
}
