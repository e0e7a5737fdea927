//! The names that templates give to Sigfox's variables.

/// Other names of Sigfox's variables, in [`normal`] form: older names, names in Sigfox's own samples, and names in
/// published templates of other platforms.
pub(super) const OTHER_NAMES: &[(&str, &[&str])] = &[
    ("device", &["id", "deviceid", "devices", "sigfoxid", "sigfoxdevice"]),
    ("time", &["timestamp"]),
    ("data", &["payload", "sigfoxdata"]),
    ("seqNumber", &["seq", "seqno", "sequence", "sequencenumber", "framenumber", "sigfoxseqno"]),
    ("snr", &["signal"]),
    ("avgSnr", &["avgsignal"]),
    ("batt", &["battery"]),
    ("temp", &["temperature"]),
    ("computedLocation", &["location"]),
];

/// Names are compared without case, hyphens and underscores: `seqNumber`, `SeqNumber` and `seq_number` are the same.
pub(super) fn normal(name: &str) -> String {
    let normal = name.trim().chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_lowercase();
    // A name of only hyphens and underscores stays as it is, since an empty name is invalid.
    if normal.is_empty() { name.trim().to_owned() } else { normal }
}

/// Returns `true` for a text that a template may have as a name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '#' | '.' | ' '))
}
