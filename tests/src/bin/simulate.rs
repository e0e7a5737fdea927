//! Simulates the pipeline with many seeds: see `docs/simulation.md`.

use std::process::ExitCode;
use std::time::Instant;

use lexopt::prelude::*;
use pulsegate_tests::simulation::campaign::{Campaign, Summary};

const HELP: &str = "\
simulate: runs the pipeline in virtual time, with faults in everything around it. Each seed is one run, which sends the
same messages without faults and with many; both must end in the same state. Exits with 1 if a run fails.

  --seeds N      number of seeds (default 10000)
  --first SEED   first seed (default 0)
  --uplinks N    minimum number of uplinks per run (default 1000)
";

/// Number of runs between two progress lines.
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
            eprintln!("seed {seed} failed; to repeat it: {}", campaign.repeat_command(seed));
        }
        if summary.runs % PROGRESS == 0 {
            let Summary { runs, uplinks, failed, .. } = summary;
            let seconds = began.elapsed().as_secs();
            eprintln!("{runs} of {} runs, {uplinks} uplinks, {} failed, {seconds} s", campaign.seeds, failed.len());
        }
    });
    report(&campaign, &summary)
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

fn report(campaign: &Campaign, summary: &Summary) -> ExitCode {
    let Summary { runs, messages, uplinks, stored: [raw, pulses, events], quarantined, units, .. } = summary;
    println!("{runs} runs, {messages} distinct messages, {uplinks} of them uplinks");
    println!("stored: {raw} raw uplinks, {pulses} pulse items, {events} events; in quarantine: {quarantined}");
    println!("write units: {units}; counters of the functions: {:?}", summary.counted);
    println!("digest of all effects: {:016x}\n", summary.digest);
    print!("{}", summary.table());
    for (seed, wrong) in summary.failed.iter().take(10) {
        println!("\nseed {seed}:");
        for wrong in wrong {
            println!("  {wrong}");
        }
        println!("  to repeat it: {}", campaign.repeat_command(*seed));
    }
    // A few runs cannot have every kind of fault.
    let unseen = if campaign.seeds < 1_000 { Vec::new() } else { summary.unseen() };
    for fault in &unseen {
        println!("never occurred: {fault}");
    }
    println!("\n{} of {runs} runs failed", summary.failed.len());
    if summary.failed.is_empty() && unseen.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
