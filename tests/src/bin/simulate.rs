//! Simulates the pipeline and the archive with many seeds: see `docs/simulation.md`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use lexopt::prelude::*;
use pulsegate_tests::simulation::archive::activity::Made;
use pulsegate_tests::simulation::archive::campaign::{ArchiveCampaign, ArchiveSummary};
use pulsegate_tests::simulation::campaign::{Campaign, Summary};

const HELP: &str = "\
simulate: runs the pipeline in virtual time, with faults in everything around it. Each seed is one run, which sends the
same messages without faults and with many; both must end in the same state. Then runs the archive in the same way: no
read may miss an acknowledged uplink, and the files of uplinks and of points must be those of the set of uplinks. Exits with
1 if a run fails.

  --seeds N          number of seeds (default 10000)
  --archive-seeds N  number of seeds for the archive (default 10000)
  --first SEED       first seed (default 0)
  --uplinks N        minimum number of uplinks per run of the pipeline (default 1000)
";

/// A few runs cannot have every kind of fault.
const ENOUGH: u64 = 1_000;

/// Number of runs between two progress lines.
const PROGRESS: u64 = 250;

/// The same for the archive, whose runs are shorter.
const ARCHIVE_PROGRESS: u64 = 2_500;

fn main() -> ExitCode {
    let (pipeline, archive) = match options() {
        Ok(Some(campaigns)) => campaigns,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("simulate: {e}");
            return ExitCode::from(2);
        }
    };
    let passed = [pipeline.seeds == 0 || run_pipeline(&pipeline), archive.seeds == 0 || run_archive(&archive)];
    if passed.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run_pipeline(campaign: &Campaign) -> bool {
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
    report(campaign, &summary)
}

fn run_archive(campaign: &ArchiveCampaign) -> bool {
    let began = Instant::now();
    let summary = campaign.run(|seed, summary| {
        if summary.failed.contains_key(&seed) {
            eprintln!("seed {seed} failed; to repeat it: {}", ArchiveCampaign::repeat_command(seed));
        }
        if summary.runs % ARCHIVE_PROGRESS == 0 {
            let ArchiveSummary { runs, failed, .. } = summary;
            let seconds = began.elapsed().as_secs();
            eprintln!("archive: {runs} of {} runs, {} failed, {seconds} s", campaign.seeds, failed.len());
        }
    });
    report_archive(campaign, &summary)
}

fn options() -> Result<Option<(Campaign, ArchiveCampaign)>, lexopt::Error> {
    let mut campaign = Campaign { seeds: 10_000, first: 0, uplinks: 1_000 };
    let mut archive = ArchiveCampaign { seeds: 10_000, first: 0 };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => campaign.seeds = parser.value()?.parse()?,
            Long("archive-seeds") => archive.seeds = parser.value()?.parse()?,
            Long("first") => {
                campaign.first = parser.value()?.parse()?;
                archive.first = campaign.first;
            }
            Long("uplinks") => campaign.uplinks = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some((campaign, archive)))
}

fn report(campaign: &Campaign, summary: &Summary) -> bool {
    let Summary { runs, messages, uplinks, stored: [raw, pulses, events], quarantined, units, .. } = summary;
    println!("{runs} runs, {messages} distinct messages, {uplinks} of them uplinks");
    println!("stored: {raw} raw uplinks, {pulses} pulse items, {events} events; in quarantine: {quarantined}");
    println!("write units: {units}; counters of the functions: {:?}", summary.counted);
    println!("digest of all effects: {:016x}\n", summary.digest);
    print!("{}", summary.table());
    report_failed(&summary.failed, |seed| campaign.repeat_command(seed));
    let unseen = if campaign.seeds < ENOUGH { Vec::new() } else { summary.unseen() };
    report_unseen(&unseen);
    println!("\n{} of {runs} runs failed", summary.failed.len());
    summary.failed.is_empty() && unseen.is_empty()
}

fn report_archive(campaign: &ArchiveCampaign, summary: &ArchiveSummary) -> bool {
    let ArchiveSummary { runs, rows, made, digest, .. } = summary;
    let Made { settled, derived, points_files, daily, days_files, reads } = made;
    println!("\narchive: {runs} runs, {rows} distinct rows; runs of settle that ended: {settled}; reads: {reads}");
    println!("runs of derive that ended: {derived}; points files written: {points_files}");
    println!("runs of days that ended: {daily}; files of days written: {days_files}");
    println!("digest of all effects: {digest:016x}\n");
    print!("{}", summary.table());
    report_failed(&summary.failed, ArchiveCampaign::repeat_command);
    let unseen = if campaign.seeds < ENOUGH { Vec::new() } else { summary.unseen() };
    report_unseen(&unseen);
    println!("\narchive: {} of {runs} runs failed", summary.failed.len());
    summary.failed.is_empty() && unseen.is_empty()
}

fn report_failed(failed: &BTreeMap<u64, Vec<String>>, repeat_command: impl Fn(u64) -> String) {
    for (seed, wrong) in failed.iter().take(10) {
        println!("\nseed {seed}:");
        for wrong in wrong {
            println!("  {wrong}");
        }
        println!("  to repeat it: {}", repeat_command(*seed));
    }
}

fn report_unseen(unseen: &[&str]) {
    for fault in unseen {
        println!("never occurred: {fault}");
    }
}
