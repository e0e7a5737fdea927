//! Simulates the pipeline, many times: see `docs/simulation.md`.

use std::process::ExitCode;
use std::time::Instant;

use lexopt::prelude::*;
use pulsegate_tests::simulation::campaign::{Campaign, Summary};

const HELP: &str = "\
simulate: the pipeline in virtual time, while everything around it fails. Each seed is a run of its own: the same messages
while nothing goes wrong and while much does, which have to come to the same. Exits with 1 if one does not.

  --seeds N      how many (default 10000)
  --first SEED   the first of them (default 0)
  --uplinks N    how many uplinks at least are sent in each (default 1000)
";

/// So often it is told how far it has come.
const PROGRESS: u64 = 250;

fn main() -> ExitCode {
    let campaign = match options() {
        Ok(Some(campaign)) => campaign,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("simulate: {e}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let summary = campaign.run(|seed, summary| {
        if summary.failed.contains_key(&seed) {
            eprintln!("seed {seed} failed; again: {}", campaign.again(seed));
        }
        if summary.runs % PROGRESS == 0 {
            let Summary { runs, uplinks, failed, .. } = summary;
            let seconds = began.elapsed().as_secs();
            eprintln!("{runs} of {} runs, {uplinks} uplinks, {} failed, {seconds} s", campaign.seeds, failed.len());
        }
    });
    tell(&campaign, &summary)
}

fn options() -> Result<Option<Campaign>, lexopt::Error> {
    let mut campaign = Campaign { seeds: 10_000, first: 0, uplinks: 1_000 };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => campaign.seeds = parser.value()?.parse()?,
            Long("first") => campaign.first = parser.value()?.parse()?,
            Long("uplinks") => campaign.uplinks = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(campaign))
}

fn tell(campaign: &Campaign, summary: &Summary) -> ExitCode {
    let Summary { runs, messages, uplinks, stored: [raw, pulses, events], quarantined, units, .. } = summary;
    println!("{runs} runs, {messages} messages that differ, {uplinks} of them uplinks");
    println!("stored: {raw} raw uplinks, {pulses} pulse items, {events} events; in quarantine: {quarantined}");
    println!("write units: {units}; the functions counted: {:?}", summary.counted);
    println!("digest of all that happened: {:016x}\n", summary.digest);
    print!("{}", summary.table());
    for (seed, wrong) in summary.failed.iter().take(10) {
        println!("\nseed {seed}:");
        for wrong in wrong {
            println!("  {wrong}");
        }
        println!("  again: {}", campaign.again(*seed));
    }
    // One run alone cannot have everything.
    let unseen = if campaign.seeds < 1_000 { Vec::new() } else { summary.unseen() };
    for fault in &unseen {
        println!("never happened: {fault}");
    }
    println!("\n{} of {runs} runs failed", summary.failed.len());
    if summary.failed.is_empty() && unseen.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
