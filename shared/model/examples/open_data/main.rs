//! Consumption of 92 homes, from 822,503 readings that anyone can download. Prints the tables of
//! docs/consumption-measured.md.
//!
//! The readings are `swm_trialA.zip` and `swm_trialA_extended.zip` of <https://github.com/DAIAD/data> at commit 8cbbcdc, by
//! the DAIAD project, www.daiad.eu, deliverable D7.3, licence CC-BY-SA 4.0. They are no part of this repository. With both
//! files downloaded:
//!
//! ```text
//! unzip -o -d readings swm_trialA.zip
//! unzip -o -d readings swm_trialA_extended.zip
//! cargo run --release -p pulsegate-model --example open_data -- readings
//! ```
//!
//! # Layout
//!
//! - [`data`]: the files.
//! - [`figures`]: a meter's figures, and their sums.
//! - [`tables`]: the output.

use std::path::Path;

mod data;
mod figures;
mod tables;

use data::Set;
use figures::Figures;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let Some(directory) = std::env::args_os().nth(1) else {
        return Err("name the directory with swm_trialA.csv and swm_trialA_extended.csv, unpacked".into());
    };
    let sets = data::FILES.iter().map(|name| Set::read(&Path::new(&directory).join(name)));
    let [first, second]: [Set; 2] = sets.collect::<Fallible<Vec<_>>>()?.try_into().map_err(|_| "two files")?;
    let all = first.with(&second);
    let mut columns = Vec::new();
    for set in [&first, &second] {
        let meters = set.meters.values().map(|readings| Figures::of(readings)).collect::<Fallible<Vec<_>>>()?;
        columns.push((set.name.clone(), meters.into_iter().sum()));
    }
    let mut meters = Vec::new();
    for (name, readings) in &all.meters {
        meters.push((name.as_str(), Figures::of(readings)?));
    }
    tables::print_differences(&meters);
    columns.push((all.name.clone(), meters.into_iter().map(|(_, figures)| figures).sum()));
    tables::print(&columns);
    Ok(())
}
