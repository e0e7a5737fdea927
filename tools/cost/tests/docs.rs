//! The tables and the chart of `docs/cost.md` equal the output of the commands beside them. After a change of prices or
//! measurements, `RENEW_DOCS=1 cargo test -p pulsegate-cost --test docs` writes them again.

#![expect(clippy::unwrap_used, reason = "what cannot go on fails the test")]

use clap::{Args as _, Command, FromArgMatches as _};
use cost::bill::designs::{self, Inputs};
use cost::bill::picture;
use cost::{bill, plan, reads};

const BEGIN: &str = "<!-- begin: ";
const END: &str = "<!-- end -->";

fn output(command: &str) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("cost"), "{command}");
    let name = words.next().unwrap();
    let parser = Command::new("cost").no_binary_name(true);
    let text = match name {
        "bill" => {
            let matches = bill::Options::augment_args(parser).try_get_matches_from(words).unwrap();
            bill::text(&bill::Options::from_arg_matches(&matches).unwrap())
        }
        "plan" => {
            let matches = plan::Options::augment_args(parser).try_get_matches_from(words).unwrap();
            plan::text(&plan::Options::from_arg_matches(&matches).unwrap())
        }
        "reads" => {
            let matches = reads::Options::augment_args(parser).try_get_matches_from(words).unwrap();
            reads::text(&reads::Options::from_arg_matches(&matches).unwrap())
        }
        other => panic!("no command {other}"),
    };
    text.unwrap()
}

/// Returns the document with the current output of its commands.
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
    let matches = bill::Options::augment_args(Command::new("bill")).try_get_matches_from(["bill"]).unwrap();
    let options = bill::Options::from_arg_matches(&matches).unwrap();
    let inputs = Inputs::read(&options).unwrap();
    let chart = picture::chart(&options, &picture::usual(designs::all(&options)), &inputs).unwrap();
    same("docs/cost.svg", &chart.svg());
}
