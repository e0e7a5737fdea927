//! Test of the committed document.

use super::*;

/// `fleet report docs/load-test/* --output docs/load-test.md` writes it from the runs beside it.
#[test]
fn the_committed_document_and_its_charts_are_what_the_command_makes() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let (directory, document) = (docs.join("load-test"), docs.join("load-test.md"));
    let paths: Vec<PathBuf> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let runs = Recorded::read_all(&paths).unwrap();
    let charts = pictures::files(&runs, None);
    let hint = "write it again: fleet report docs/load-test/* --output docs/load-test.md";
    for (chart, file) in &charts {
        assert!(fs::read_to_string(file).unwrap_or_default() == chart.svg(), "{}: {hint}", file.display());
    }
    assert_eq!(fs::read_to_string(&document).unwrap_or_default(), document::text(&runs, &charts, &docs), "{hint}");
}
