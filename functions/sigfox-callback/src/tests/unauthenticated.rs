//! Tests of authentication and of responses to unauthenticated requests.

use pulsegate_pipeline::ports::SecretError;

use super::*;

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

fn with(header: &str, value: &str) -> Request {
    event(|event| event["headers"] = json!({header: value}))
}

#[tokio::test]
async fn wrong_or_missing_credentials_are_all_answered_alike_and_nothing_is_enqueued() {
    let wrong = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer wrong".to_owned(),
        format!("Bearer {SECRET}x"),
        format!("Bearer {}", &SECRET[1..]),
        format!("Digest {SECRET}"),
        format!("{SECRET} {SECRET}"),
        format!("Bearer Bearer {SECRET}"),
        format!("sigfox:{SECRET}"),
        SECRET[1..].to_owned(),
        SECRET.to_uppercase(),
        basic(SECRET),
        basic("sigfox:wrong"),
        basic("stranger:wrong"),
        "Basic not-base64".to_owned(),
        String::new(),
    ];
    let secret = secret();
    let callback = up(&secret).await;
    for header in wrong {
        assert_eq!(status(&with("authorization", &header), &callback).await, 401, "{header}");
    }
    assert_eq!(status(&event(|event| event["headers"] = json!({})), &callback).await, 401);
    assert_eq!(status(&with("x-secret", SECRET), &callback).await, 401);
    assert_eq!((callback.raw.sent(), callback.quarantine.sent()), (vec![], vec![]));
}

#[tokio::test]
async fn the_secret_is_taken_as_token_alone_as_password_of_any_user_or_in_a_header_of_its_own() {
    let secret = secret();
    let rules = Rules { secret_header: Some("X-Api-Key".to_owned()), ..Rules::default() };
    let callback = Callback { rules, ..up(&secret).await };
    let users = ["sigfox", "", "me%40example.com"].map(|user| ("Authorization", basic(&format!("{user}:{SECRET}"))));
    let tokens = ["Bearer ", "bearer  ", "BEARER\t", "Token ", "token ", "", " "]
        .map(|scheme| ("authorization", format!("{scheme}{SECRET} ")));
    let others = [("x-api-key", SECRET.to_owned())];
    for (header, value) in users.into_iter().chain(tokens).chain(others) {
        assert_eq!(status(&with(header, &value), &callback).await, 204, "{header}: {value}");
    }
}

#[tokio::test]
async fn where_sources_are_checked_the_secret_alone_is_not_enough() {
    let secret = secret();
    let rules = Rules { sources: "185.110.96.0/22".parse::<Ranges>().unwrap().0, ..Rules::default() };
    let callback = Callback { rules, ..up(&secret).await };
    let from = |ip: &str| event(|event| event["requestContext"]["http"]["sourceIp"] = ip.into());
    for ip in ["185.110.96.0", "185.110.98.4", "185.110.99.255"] {
        assert_eq!(status(&from(ip), &callback).await, 204, "{ip}");
    }
    for ip in ["185.110.100.0", "185.110.95.255", "127.0.0.1", "::1", "", "somewhere"] {
        assert_eq!(status(&from(ip), &callback).await, 401, "{ip}");
    }
    let forwarded = event(|event| {
        event["requestContext"]["http"]["sourceIp"] = "192.0.2.1".into();
        event["headers"]["x-forwarded-for"] = "185.110.98.4".into();
    });
    assert_eq!(status(&forwarded, &callback).await, 401, "a header is no proof");
}

#[tokio::test(start_paused = true)]
async fn while_the_secret_is_changed_both_are_valid_and_afterwards_only_the_new_one() {
    let secret = secret();
    let callback = up(&secret).await;
    let (old, new) = (format!("Bearer {SECRET}"), "Bearer another");
    secret.set(Some(&["another", SECRET]));
    assert_eq!(status(&with("authorization", new), &callback).await, 401, "not seen yet");
    tokio::time::advance(cached::FRESH).await;
    for header in [&old, new] {
        assert_eq!(status(&with("authorization", header), &callback).await, 204);
    }
    secret.set(Some(&["another"]));
    tokio::time::advance(cached::FRESH).await;
    assert_eq!(status(&with("authorization", &old), &callback).await, 401);
    assert_eq!(status(&with("authorization", new), &callback).await, 204);
    assert_eq!(secret.reads(), 3, "a read each time it was due, and no more");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_again_stays_valid_and_an_empty_one_lets_nobody_in() {
    let secret = secret();
    let callback = up(&secret).await;
    for trouble in [None, Some(&[""][..]), Some(&[])] {
        secret.set(trouble);
        tokio::time::advance(cached::FRESH).await;
        assert_eq!(status(&event(|_| {}), &callback).await, 204);
        assert_eq!(status(&with("authorization", "Bearer "), &callback).await, 401);
    }
    assert!(Cached::read(&secret).await.is_err());
    assert!(Cached::read(&FakeSecret::default()).await.is_err());
}

/// A secret that never answers.
#[derive(Debug)]
struct Hanging(FakeSecret);

impl Secret for &Hanging {
    async fn versions(&self) -> Result<Vec<String>, SecretError> {
        if self.0.reads() > 0 { std::future::pending().await } else { (&self.0).versions().await }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_takes_too_long_to_read_does_not_keep_sigfox_waiting() {
    let secret = Hanging(secret());
    let cached = Cached::read(&secret).await.unwrap();
    tokio::time::advance(cached::FRESH).await;
    let before = Instant::now();
    cached.get().await;
    assert!(before.elapsed() < Duration::from_secs(3));
}

/// Nanoseconds cannot be measured reliably on a shared machine, so this test counts the work: all three cases must take
/// the same number of digests and comparisons.
#[test]
fn a_wrong_user_a_wrong_secret_and_a_missing_header_cost_the_same_work() {
    let secrets = Secrets::new(&[SECRET.to_owned(), "another".to_owned()]).unwrap();
    let work = |request: &Request| {
        auth::work::reset();
        assert!(Rules::default().check(request, &secrets).is_err());
        auth::work::done()
    };
    let wrong_user = work(&with("authorization", &basic("stranger:wrong")));
    assert_eq!(wrong_user, (2, 4), "two places, each compared with two secrets");
    assert_eq!(work(&with("authorization", &basic("sigfox:wrong"))), wrong_user);
    for wrong in ["Bearer wrong", "Token wrong", "wrong", "Digest wrong", ""] {
        assert_eq!(work(&with("authorization", wrong)), wrong_user, "{wrong}");
    }
    assert_eq!(work(&with("authorization", &format!("Bearer {}", &SECRET[..SECRET.len() - 1]))), wrong_user);
    assert_eq!(work(&event(|event| event["headers"] = json!({}))), wrong_user);
}
