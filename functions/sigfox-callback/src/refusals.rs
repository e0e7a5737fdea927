//! Logs and counts refused requests. Anyone can cause them in any number, so the log has one line a minute.

use pulsegate_pipeline::telemetry::{LogThrottle, Metrics, emit};
use serde_json::json;

use crate::auth::Secrets;
use crate::request::Request;
use crate::{Refusal, STAGE};

/// The most characters of a path in the log. A callback's path has less than 50.
const MAX_PATH: usize = 200;

/// Characters that end a name or a secret in a path, or in a URL that somebody took for a path.
const DELIMITERS: [char; 10] = ['/', ':', '@', '=', '&', '?', ';', ',', '#', ' '];

/// The log of refused requests. Unauthenticated requests do not suppress the lines about authenticated ones: only the
/// latter are surely meant for this stack.
#[derive(Debug, Default)]
pub struct Refusals {
    unauthenticated: LogThrottle,
    unrouted: LogThrottle,
}

impl Refusals {
    /// Logs a refused request, with its path but without query, content and secrets. Counts authenticated ones without
    /// a route as `unrouted`: their callback is mistyped.
    pub(crate) fn note(&self, request: &Request, refusal: Refusal, secrets: &Secrets) {
        let suppressed = match refusal {
            Refusal::Unauthenticated(_) => self.unauthenticated.due(),
            Refusal::Unrouted(_) | Refusal::Method => {
                emit(&Metrics { part: STAGE, values: &[("Count", json!({"unrouted": 1}))], properties: json!({}) });
                self.unrouted.due()
            }
            // Rare: a template does not become this long by mistake.
            Refusal::TooLarge => Some(0),
        };
        if let Some(suppressed) = suppressed {
            let (method, path) = (printable(request.method()), printable(&without_secrets(request.path(), secrets)));
            tracing::warn!(reason = %refusal, method, path, source_ip = request.source_ip(), suppressed, "refused");
        }
    }
}

/// Replaces each secret in a path, where a template for another platform may have it.
fn without_secrets(path: &str, secrets: &Secrets) -> String {
    let pieces = path.split_inclusive(DELIMITERS).map(|piece| {
        let name = piece.trim_end_matches(DELIMITERS);
        if secrets.contain(name) { format!("***{}", &piece[name.len()..]) } else { piece.to_owned() }
    });
    pieces.collect()
}

/// Replaces control characters, and shortens the text.
fn printable(text: &str) -> String {
    text.chars().take(MAX_PATH).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_log_has_no_secret_and_is_short_and_printable() {
        let secrets = Secrets::new(&["s3cret".to_owned(), "older".to_owned()]).unwrap();
        let logged = |path: &str| printable(&without_secrets(path, &secrets));
        for (path, expected) in [
            ("/sigfox/adeunis-pulse-v4/uplnk", "/sigfox/adeunis-pulse-v4/uplnk"),
            ("/sigfox/s3cret/uplink", "/sigfox/***/uplink"),
            ("/sigfox/a/uplink/older", "/sigfox/a/uplink/***"),
            ("/https://user:s3cret@host/sigfox", "/https://user:***@host/sigfox"),
            ("/uplink;token=s3cret&x=older", "/uplink;token=***&x=***"),
            (&format!("{}/s3cret", "x".repeat(MAX_PATH - 4)), &format!("{}/***", "x".repeat(MAX_PATH - 4))),
            ("/a\u{1b}[2J\n", "/a\u{fffd}[2J\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(logged(path), expected);
        }
        assert_eq!(logged(&"\u{e9}/".repeat(10_000)).chars().count(), MAX_PATH);
    }
}
