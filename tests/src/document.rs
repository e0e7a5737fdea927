//! The worked examples of `docs/nbiot-protocol.md`, read off the page itself, so that it and the code cannot drift apart.

const PAGE: &str = "docs/nbiot-protocol.md";

/// The value that a table's row has in backticks: `` | label | `value` ``.
pub fn text(label: &str) -> String {
    let row = format!("| {label} | `");
    let page = crate::read(PAGE);
    let value = page.lines().find_map(|line| line.strip_prefix(&row)?.split_once('`'));
    value.unwrap_or_else(|| panic!("{PAGE} has no row {row:?}")).0.to_owned()
}

/// The bytes of the example under `**label**`. A line's bytes end where two spaces begin a remark.
pub fn bytes(label: &str) -> Vec<u8> {
    let digits: String = block(label).iter().filter_map(|line| line.split("  ").next()).collect();
    hex::decode(digits.replace(' ', "")).unwrap_or_else(|e| panic!("{PAGE}, {label}: {e}"))
}

/// The indented lines under `**label**`, without their indent.
pub fn block(label: &str) -> Vec<String> {
    let (page, mark) = (crate::read(PAGE), format!("**{label}**"));
    let lines = page.lines().skip_while(|line| !line.starts_with(&mark)).skip_while(|line| !line.starts_with("    "));
    let block = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    let block: Vec<String> = block.map(|line| line.trim_start_matches("    ").to_owned()).collect();
    assert!(!block.is_empty(), "{PAGE} has no example {mark}");
    block
}
