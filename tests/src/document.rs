//! Reads the worked examples from `docs/nbiot-protocol.md`, so that the page and the code cannot drift apart.

const PAGE: &str = "docs/nbiot-protocol.md";

/// Returns the value in backticks of a table's row: `` | label | `value` ``.
pub fn text(label: &str) -> String {
    let row = format!("| {label} | `");
    let page = crate::read(PAGE);
    let value = page.lines().find_map(|line| line.strip_prefix(&row)?.split_once('`'));
    value.unwrap_or_else(|| panic!("{PAGE} has no row {row:?}")).0.to_owned()
}

/// Returns the bytes of the example under `**label**`. In each line two spaces begin a comment.
pub fn bytes(label: &str) -> Vec<u8> {
    let digits: String = block(label).iter().filter_map(|line| line.split("  ").next()).collect();
    hex::decode(digits.replace(' ', "")).unwrap_or_else(|e| panic!("{PAGE}, {label}: {e}"))
}

/// Returns the indented lines under `**label**`, without their indent.
pub fn block(label: &str) -> Vec<String> {
    let (page, mark) = (crate::read(PAGE), format!("**{label}**"));
    let lines = page.lines().skip_while(|line| !line.starts_with(&mark)).skip_while(|line| !line.starts_with("    "));
    let block = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    let block: Vec<String> = block.map(|line| line.trim_start_matches("    ").to_owned()).collect();
    assert!(!block.is_empty(), "{PAGE} has no example {mark}");
    block
}
