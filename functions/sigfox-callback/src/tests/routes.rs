//! Tests of the requests that API Gateway passes on without path parameters, because they match no callback's route to
//! the letter.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::subscriber::set_default;

use super::*;

/// A request as `ANY /sigfox/{path+}` and `$default` pass it on.
fn to(method: &str, path: &str) -> Request {
    event(|event| {
        event["rawPath"] = path.into();
        event["pathParameters"] = json!({"path": path.trim_start_matches("/sigfox/")});
        event["requestContext"]["http"]["method"] = method.into();
    })
}

#[tokio::test]
async fn a_path_with_extra_slashes_or_behind_a_stage_is_the_callbacks() {
    for path in [
        "/sigfox/adeunis-pulse-v4/uplink/",
        "/sigfox/adeunis-pulse-v4/uplink//",
        "//sigfox//adeunis-pulse-v4/uplink",
        "/sigfox/adeunis-pulse-v4/uplink/ ",
        "/prod/sigfox/adeunis-pulse-v4/uplink",
    ] {
        for method in ["GET", "POST", "PUT"] {
            let secret = secret();
            let callback = up(&secret).await;
            assert_eq!(status(&to(method, path), &callback).await, 204, "{method} {path}");
            assert_eq!(uplinks(&callback).len(), 1, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn path_parameters_may_be_absent_or_null() {
    let secret = secret();
    let callback = up(&secret).await;
    for parameters in [json!(null), json!({})] {
        let request = event(|event| {
            event["rawPath"] = "/sigfox/adeunis-pulse-v4/uplink/".into();
            event["pathParameters"] = parameters;
        });
        assert_eq!(status(&request, &callback).await, 204);
    }
}

#[tokio::test]
async fn a_name_in_the_path_may_have_white_space_around_it() {
    let secret = secret();
    let callback = up(&secret).await;
    let request = event(|event| event["pathParameters"] = json!({"profile": "adeunis-pulse-v4", "kind": "uplink "}));
    assert_eq!(status(&request, &callback).await, 204);
}

#[tokio::test]
async fn other_paths_are_answered_404_and_to_strangers_401() {
    let secret = secret();
    let callback = up(&secret).await;
    for path in [
        "/",
        "",
        "/favicon.ico",
        "/sigfox",
        "/sigfox/adeunis-pulse-v4",
        "/sigfox/uplink",
        "/sigfox/adeunis-pulse-v4/uplink/x",
        "/Sigfox/adeunis-pulse-v4/uplink",
        "/sigfox/ADEUNIS-PULSE-V4/uplink/",
        "/sigfox/adeunis-pulse-v4/UPLINK/",
        "/sigfox/{profile}/{kind}/",
        "/sigfox/adeunis-pulse-v4/uplink/sigfox/adeunis-pulse-v4",
    ] {
        assert_eq!(status(&to("POST", path), &callback).await, 404, "{path}");
        let mut stranger = to("POST", path);
        stranger = serde_json::from_value(json!({
            "rawPath": stranger.path(), "requestContext": {"http": {"method": "POST", "sourceIp": "192.0.2.1"}},
        }))
        .unwrap();
        assert_eq!(status(&stranger, &callback).await, 401, "{path}");
    }
    assert_eq!((callback.raw.sent(), callback.quarantine.sent()), (vec![], vec![]));
}

#[tokio::test]
async fn another_method_is_answered_405_with_those_there_are() {
    let secret = secret();
    let callback = up(&secret).await;
    for method in ["HEAD", "OPTIONS", "DELETE", "PATCH", "post", ""] {
        let request = to(method, "/sigfox/adeunis-pulse-v4/uplink");
        let response = handle(&request, &callback, Instant::now() + Duration::from_mins(1)).await;
        let response = serde_json::to_value(&response).unwrap();
        let expected = json!({"statusCode": 405, "headers": {"allow": "GET, POST, PUT"}, "body": ""});
        assert_eq!(response, expected, "{method}");
    }
    assert_eq!(callback.raw.sent(), [""; 0]);
}

/// Log lines, as JSON.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Returns the lines, and forgets them.
    fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_mistyped_callback_is_logged_once_a_minute_whatever_strangers_do() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    let _logged = set_default(log);
    let secret = secret();
    let callback = up(&secret).await;
    let mut stranger = to("GET", &format!("/{SECRET}/admin"));
    stranger = serde_json::from_value(json!({"rawPath": stranger.path()})).unwrap();
    let mistyped = event(|event| {
        event["rawPath"] = "/sigfox/adeunis-pulse-v4/uplnk".into();
        event["rawQueryString"] = format!("token={SECRET}").into();
        event["pathParameters"]["kind"] = "uplnk".into();
    });
    for suppressed in [0, 9] {
        for _ in 0..10 {
            assert_eq!(status(&stranger, &callback).await, 401);
            assert_eq!(status(&mistyped, &callback).await, 404);
        }
        let logged = lines.take();
        assert_eq!(logged.len(), 2, "{logged:?}");
        let of = |line: &Value| ["reason", "method", "path", "suppressed"].map(|field| line[field].clone());
        assert_eq!(json!(of(&logged[0])), json!(["its secret is wrong or missing", "", "/***/admin", suppressed]));
        let reason = "the path of the callback names no kind of callback";
        assert_eq!(json!(of(&logged[1])), json!([reason, "POST", "/sigfox/adeunis-pulse-v4/uplnk", suppressed]));
        assert!(!format!("{logged:?}").contains(SECRET), "{logged:?}");
        tokio::time::advance(Duration::from_mins(1)).await;
    }
}

proptest! {
    #[test]
    fn no_path_and_no_method_is_answered_5xx(path in ".{0,60}", method in "[A-Za-z]{0,8}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let secret = secret();
        let callback = runtime.block_on(up(&secret));
        let status = runtime.block_on(status(&to(&method, &path), &callback));
        prop_assert!(matches!(status, 404 | 405 | 204), "{}", status);
    }
}
