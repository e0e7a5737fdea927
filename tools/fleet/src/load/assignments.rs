//! The assignments of a fleet as a file for `pulsegate meters import`.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use pulsegate_model::assignment::Assignment;

use crate::Problem;
use crate::meters::Fleet;

const HEAD: &str = "device,channel,from,to,litres_per_pulse,serial,first_index,last_index,time_zone,q3,max_per_hour,\
                    can_reverse,label,site";

/// Writes the assignments of all meters: comma-separated, a line for each, after the names of the columns.
///
/// # Errors
/// [`Problem::File`].
pub(super) fn write(fleet: &Fleet, file: &Path) -> Result<(), Problem> {
    let write = || -> io::Result<()> {
        let mut out = BufWriter::new(File::create(file)?);
        writeln!(out, "{HEAD}")?;
        for number in 0..fleet.spec().devices {
            for assignment in fleet.assignments(number) {
                writeln!(out, "{}", line(&assignment))?;
            }
        }
        out.flush()
    };
    write().map_err(|e| Problem::File(file.display().to_string(), e))
}

/// The texts of a fleet have no comma and no quote.
fn line(assignment: &Assignment) -> String {
    fn text(value: Option<&impl ToString>) -> String {
        value.map_or_else(String::new, ToString::to_string)
    }
    let Assignment { device, channel, from, to, litres_per_pulse, serial, first_index, last_index, .. } = assignment;
    let Assignment { time_zone, q3, max_per_hour, can_reverse, label, site, .. } = assignment;
    [
        device.to_string(),
        channel.to_string(),
        text(from.as_ref()),
        text(to.as_ref()),
        litres_per_pulse.to_string(),
        text(serial.as_ref()),
        text(first_index.as_ref()),
        text(last_index.as_ref()),
        time_zone.to_string(),
        text(q3.as_ref()),
        text(max_per_hour.as_ref()),
        can_reverse.to_string(),
        text(label.as_ref()),
        text(site.as_ref()),
    ]
    .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MeterFaults, Spec};

    #[test]
    fn a_file_has_a_line_for_each_assignment_with_the_indexes_of_a_swap() {
        let faults = MeterFaults { swap: 1.0, assigned: 0.5, ..MeterFaults::default() };
        let spec = Spec {
            hours: 6.0,
            rollover_share: 0.0,
            reset_share: 0.0,
            faults,
            ..Spec::new("2026-11-20T06:00:00Z".parse().unwrap(), 40)
        };
        let fleet = Fleet::new(spec).unwrap();
        let file = std::env::temp_dir().join(format!("pulsegate-fleet-{:016x}.csv", fastrand::u64(..)));
        write(&fleet, &file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let mut lines = text.lines();
        let columns = lines.next().unwrap().split(',').count();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), (0..40).map(|number| fleet.assignments(number).len()).sum::<usize>());
        assert!(rows.iter().all(|row| row.len() == columns && columns == 14));
        let swapped: Vec<_> = rows.windows(2).filter(|pair| !pair[0][3].is_empty()).collect();
        assert!(swapped.len() > 30, "{}", swapped.len());
        for pair in swapped {
            let [old, new] = pair else { unreachable!() };
            assert_eq!((old[0], old[1], old[3]), (new[0], new[1], new[2]));
            assert!(!old[7].is_empty() && !new[6].is_empty() && old[5] != new[5]);
        }
    }
}
