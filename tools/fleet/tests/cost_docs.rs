//! The tables and the picture of `docs/cost.md` are what the commands print that stand beside them. After prices or
//! measurements have changed, `RENEW_DOCS=1 cargo test -p pulsegate-fleet --test cost_docs` writes them anew.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use clap::{Args as _, Command, FromArgMatches as _};
use fleet::cost::compare;
use fleet::cost::designs::{self, Inputs};
use fleet::{cost, plan};

const BEGIN: &str = "<!-- begin: ";
const END: &str = "<!-- end -->";

fn output(command: &str) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("fleet"), "{command}");
    let name = words.next().unwrap();
    let parser = Command::new("fleet").no_binary_name(true);
    let text = match name {
        "cost" => {
            let matches = cost::Options::augment_args(parser).try_get_matches_from(words).unwrap();
            cost::text(&cost::Options::from_arg_matches(&matches).unwrap())
        }
        "plan" => {
            let matches = plan::Options::augment_args(parser).try_get_matches_from(words).unwrap();
            plan::text(&plan::Options::from_arg_matches(&matches).unwrap())
        }
        other => panic!("no command {other}"),
    };
    text.unwrap()
}

/// The document with what its commands print now.
fn renewed(document: &str) -> String {
    let mut parts = document.split(BEGIN);
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (command, rest) = part.split_once(" -->\n").unwrap();
        let (_, rest) = rest.split_once(END).unwrap();
        text += &[BEGIN, command, " -->\n", &output(command), END, rest].concat();
    }
    text
}

fn same(file: &str, now: &str) {
    let path = frames::repository(file);
    if std::env::var_os("RENEW_DOCS").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == now, "{file} is not what the commands print; renew it with RENEW_DOCS=1");
}

#[test]
fn the_tables_of_the_document_are_what_its_commands_print() {
    let document = frames::read("docs/cost.md");
    assert!(document.matches(BEGIN).count() >= 4, "where are its tables?");
    same("docs/cost.md", &renewed(&document));
}

#[test]
fn the_picture_of_the_document_is_what_the_command_draws() {
    let matches = cost::Options::augment_args(Command::new("cost")).try_get_matches_from(["cost"]).unwrap();
    let options = cost::Options::from_arg_matches(&matches).unwrap();
    let inputs = Inputs::read(&options).unwrap();
    let chart = compare::chart(&options, &compare::usual(designs::all(&options)), &inputs).unwrap();
    same("docs/cost.svg", &chart.svg());
}
