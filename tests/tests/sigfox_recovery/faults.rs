//! Faults of Sigfox, the queues and the watermarks; runs that end half-way.

use std::time::Duration;

use pulsegate_pipeline::fakes::{FakeQueue, FakeWatermarks};
use pulsegate_pipeline::ports::{Unfinished, Watermark};
use pulsegate_tests::sigfox::api::{Api, Fault, USER};
use serde_json::json;
use sigfox_recovery::api::Query;
use sigfox_recovery::{Recovery, handle};
use tokio::time::Instant;

use crate::harness::*;

const OTHER_TYPE: &str = "000000000000000000000002";

#[tokio::test(start_paused = true)]
async fn the_watermark_stays_while_a_queue_is_down_and_everything_comes_with_the_next_run() {
    let api = with_undelivered(3);
    api.list(TYPE, [json!(7)]);
    for (raw, quarantine) in [(FakeQueue::down(), FakeQueue::default()), (FakeQueue::default(), FakeQueue::down())] {
        let broken = Recovery { raw, quarantine, ..recovery(&api) };
        let failed = run(&broken).await.unwrap_err();
        assert!(failed.to_string().contains(TYPE));
        assert_eq!(broken.watermarks.of(TYPE), None);
        let mended = Recovery { raw: FakeQueue::default(), quarantine: FakeQueue::default(), ..broken };
        run(&mended).await.unwrap();
        assert_eq!(keys(&mended), expected_keys(3));
        assert_eq!(mended.watermarks.of(TYPE), Some(FINISHED));
    }
}

#[tokio::test(start_paused = true)]
async fn a_watermark_that_cannot_be_stored_fails_the_run_and_the_next_one_finds_everything_again() {
    let api = with_undelivered(250);
    let broken = Recovery { watermarks: FakeWatermarks::set_at_most(1), ..recovery(&api) };
    run(&broken).await.unwrap_err();
    let pass = Unfinished { before: NOW - 15 * MINUTE, offset: 100 };
    let stored = Watermark { since: NOW - 72 * HOUR, unfinished: Some(pass) };
    assert_eq!(broken.watermarks.of(TYPE), Some(stored));

    let mended = Recovery { watermarks: FakeWatermarks::default(), raw: FakeQueue::default(), ..broken };
    mended.watermarks.put(TYPE, stored);
    run(&mended).await.unwrap();
    assert_eq!(keys(&mended), expected_keys(150), "the page after the stored watermark, and the rest");
    assert_eq!(mended.watermarks.of(TYPE), Some(FINISHED));
}

#[tokio::test(start_paused = true)]
async fn without_the_watermarks_nothing_is_asked() {
    let api = with_undelivered(1);
    let broken = Recovery { watermarks: FakeWatermarks::down(), ..recovery(&api) };
    run(&broken).await.unwrap_err();
    assert_eq!(api.asked(), []);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_half_way_is_carried_on_where_it_was() {
    let api = with_undelivered(250);
    let recovery = Recovery { ..recovery(&api) };
    // The third page is never answered.
    api.fail([Fault::NextElsewhere(api.url().to_owned()), Fault::NextElsewhere(api.url().to_owned()), Fault::Silence]);
    let third_asked = async {
        while api.asked().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = run(&recovery) => panic!("{result:?}"),
        () = third_asked => {}
    }
    let pass = Unfinished { before: NOW - 15 * MINUTE, offset: 200 };
    let stored = Watermark { since: NOW - 72 * HOUR, unfinished: Some(pass) };
    assert_eq!(recovery.watermarks.of(TYPE), Some(stored));

    // Two hours later, when the list has grown.
    let mut later = item(0);
    later["time"] = (NOW + HOUR).into();
    api.list(TYPE, [later]);
    run_at(&recovery, NOW + 2 * HOUR).await.unwrap();
    assert_eq!(keys(&recovery), expected_keys(250));
    let asked = api.asked().pop().unwrap();
    assert_eq!((asked.since, asked.before, asked.offset), (stored.since, pass.before, 200));

    // The next run starts at the new watermark.
    run_at(&recovery, NOW + 2 * HOUR).await.unwrap();
    assert_eq!(api.asked().pop().unwrap().since, NOW - 30 * MINUTE);
    assert_eq!(enqueued(&recovery).len(), 251);
}

#[tokio::test(start_paused = true)]
async fn each_fault_that_passes_costs_a_request_and_nothing_else() {
    let faults = [
        Fault::TooManyRequests(None),
        Fault::TooManyRequests(Some(7)),
        Fault::Status(500),
        Fault::Status(503),
        Fault::CutOff,
        Fault::Silence,
        Fault::Garbage,
        Fault::NoPage,
    ];
    for fault in faults {
        let api = with_undelivered(150);
        api.fail([fault.clone()]);
        let recovery = recovery(&api);
        let began = Instant::now();
        assert_eq!(run(&recovery).await.unwrap().requests, 3, "{fault:?}");
        assert_eq!(keys(&recovery), expected_keys(150), "{fault:?}");
        if matches!(fault, Fault::TooManyRequests(Some(_))) {
            assert!(began.elapsed() >= Duration::from_secs(7));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_stays_ends_the_run_before_its_deadline_and_keeps_what_it_had() {
    for fault in [Fault::TooManyRequests(None), Fault::Status(502), Fault::Garbage] {
        let api = with_undelivered(250);
        api.fail([Fault::NextElsewhere(api.url().to_owned())]);
        api.fail(std::iter::repeat_n(fault, 1_000));
        let recovery = recovery(&api);
        let began = Instant::now();
        run(&recovery).await.unwrap_err();
        assert!(began.elapsed() < TIMEOUT);
        assert!((5..100).contains(&api.asked().len()), "{}", api.asked().len());
        assert_eq!(recovery.watermarks.of(TYPE).unwrap().unfinished.unwrap().offset, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_does_not_wait_for_what_it_would_not_live_to_see() {
    for seconds in [3600, u64::MAX] {
        let api = with_undelivered(1);
        api.fail([Fault::TooManyRequests(Some(seconds))]);
        let began = Instant::now();
        run(&recovery(&api)).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(api.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_asking_again_cannot_help_is_asked_once() {
    for fault in [Fault::Status(403), Fault::Status(400), Fault::Redirect("http://127.0.0.1:1/".to_owned())] {
        let api = with_undelivered(1);
        api.fail([fault]);
        let recovery = recovery(&api);
        run(&recovery).await.unwrap_err();
        assert_eq!(api.asked().len(), 1);
        assert_eq!(recovery.watermarks.of(TYPE), None);
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_tried_once_and_the_run_fails() {
    let api = with_undelivered(1);
    let credentials = r#"{"login": "somebody", "password": "else"}"#.parse().unwrap();
    handle(&recovery(&api), &credentials, NOW, Instant::now() + TIMEOUT).await.unwrap_err();
    assert_eq!((api.unauthorized(), api.asked().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_there_and_the_run_fails() {
    let recovery = {
        let api = with_undelivered(1);
        recovery(&api)
    };
    run(&recovery).await.unwrap_err();
    assert_eq!(recovery.watermarks.of(TYPE), None);
}

#[tokio::test(start_paused = true)]
async fn the_credentials_follow_neither_a_next_page_nor_a_redirection_to_another_host() {
    let elsewhere = Api::start();
    let there = format!("{}/device-types/{TYPE}/callbacks-not-delivered", elsewhere.url());
    let api = with_undelivered(150);
    api.fail([Fault::NextElsewhere(there.clone()), Fault::Redirect(there)]);
    let recovery = recovery(&api);
    run(&recovery).await.unwrap_err();
    run(&recovery).await.unwrap();
    assert_eq!(keys(&recovery), expected_keys(150));
    assert_eq!((elsewhere.asked().len(), elsewhere.unauthorized()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_speaks_no_tls_where_tls_is_asked_for_gets_no_credentials() {
    let api = with_undelivered(1);
    let url = api.url().replace("http://", "https://");
    let asking = sigfox_recovery::api::Api::new(url.parse().unwrap());
    let query = Query { device_type: TYPE.to_owned(), since: 0, before: NOW, offset: 0 };
    let deadline = Instant::now() + Duration::from_secs(1);
    let error = asking.page(&query, &USER.parse().unwrap(), deadline).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("corrupt message"), "{cause}");
    assert_eq!((api.asked().len(), api.unauthorized()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_device_types_trouble_does_not_stop_the_others() {
    // Sigfox does not know the first device type, and fails for the second.
    let unknown = "000000000000000000000001";
    let api = with_undelivered(3);
    api.list(OTHER_TYPE, []);
    api.fail([Fault::Status(404)]);
    api.fail(std::iter::repeat_n(Fault::Status(500), 6));
    let recovery = recovery_of(&api, &format!("{unknown},{OTHER_TYPE},{TYPE}"));
    let failed = run(&recovery).await.unwrap_err().to_string();
    assert!(failed.contains(unknown) && !failed.contains(TYPE), "{failed}");
    assert_eq!(keys(&recovery), expected_keys(3));
    assert_eq!(recovery.watermarks.of(TYPE), Some(FINISHED));
}

#[tokio::test(start_paused = true)]
async fn a_device_type_that_fails_for_as_long_as_it_is_asked_leaves_the_others_their_time() {
    let api = with_undelivered(250);
    api.list(OTHER_TYPE, []);
    api.fail_for(OTHER_TYPE, Fault::Status(503));
    let recovery = recovery_of(&api, &format!("{OTHER_TYPE},{TYPE}"));
    let began = Instant::now();
    let failed = run(&recovery).await.unwrap_err().to_string();
    assert!(failed.contains(OTHER_TYPE) && !failed.contains(TYPE), "{failed}");
    assert!(began.elapsed() > TIMEOUT / 4, "it uses its share: {:?}", began.elapsed());
    assert_eq!((recovery.watermarks.of(OTHER_TYPE), recovery.watermarks.of(TYPE)), (None, Some(FINISHED)));
    assert_eq!(keys(&recovery), expected_keys(250));
}

#[tokio::test(start_paused = true)]
async fn sigfox_is_asked_once_a_second_at_most_whichever_the_device_type() {
    let api = with_undelivered(250);
    api.list(OTHER_TYPE, []);
    api.fail([Fault::Status(503)]);
    let asking = sigfox_recovery::api::Api::new(api.url().parse().unwrap());
    let recovery = Recovery { api: asking, ..recovery_of(&api, &format!("{OTHER_TYPE},{TYPE}")) };
    let began = Instant::now();
    run(&recovery).await.unwrap();
    run_at(&recovery, NOW + HOUR).await.unwrap();
    assert_eq!(api.asked().len(), 7);
    assert!(began.elapsed() >= Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_over_before_it_may_ask_again_has_not_failed() {
    let api = with_undelivered(250);
    let asking = sigfox_recovery::api::Api::new(api.url().parse().unwrap());
    let recovery = Recovery { api: asking, ..recovery(&api) };
    // The function reserves ten seconds for the work after the last page.
    let deadline = Instant::now() + Duration::from_millis(11_500);
    let tally = handle(&recovery, &USER.parse().unwrap(), NOW, deadline).await.unwrap();
    assert_eq!((tally.requests, tally.found), (2, 200));
    assert_eq!(recovery.watermarks.of(TYPE).unwrap().unfinished.unwrap().offset, 200);
}
