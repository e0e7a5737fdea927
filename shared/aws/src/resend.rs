//! Retries refused values, with growing, jittered pauses, until a deadline. The caller makes the requests, so that the
//! simulation can send them to models of the services.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use pulsegate_pipeline::ports::Refused;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cause::cause;

pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The values that one request left undone, as positions among the port's values. The others are durable.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Refused transiently: retry.
    pub again: Vec<usize>,
    /// Refused permanently: a retry would fail too.
    pub never: Vec<usize>,
    /// The service rejected the whole request because of its contents. At least one of these is bad; send each alone.
    pub alone: Vec<usize>,
}

/// Makes requests for the pending values of `positions` until none is pending or the deadline is reached.
pub async fn until_accepted<F>(
    positions: Vec<usize>,
    deadline: Instant,
    mut request: impl FnMut(Vec<usize>) -> F,
) -> Refused
where
    F: Future<Output = Undone>,
{
    let mut refused = Refused::new();
    let mut requests = vec![positions];
    while let Some(mut pending) = requests.pop() {
        let mut pause = FIRST_PAUSE;
        while !pending.is_empty() {
            let Ok(undone) = timeout_at(deadline, request(pending.clone())).await else {
                tracing::warn!(pending = pending.len(), "no answer before the deadline");
                break;
            };
            refused.extend(undone.never);
            requests.extend(undone.alone.into_iter().map(|position| vec![position]));
            pending = undone.again;
            if pending.is_empty() || Instant::now() + pause >= deadline {
                break;
            }
            wait(&mut pause).await;
        }
        refused.extend(pending);
    }
    refused
}

/// Retries a request until it succeeds or fails permanently, or the deadline is reached: then returns the last error.
pub(crate) async fn until_answered<T, E, F>(
    deadline: Instant,
    mut request: impl FnMut() -> F,
) -> Result<T, Box<dyn Error + Send + Sync>>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match timeout_at(deadline, request()).await {
            Err(_) => return Err("no answer before the deadline".into()),
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(e)) if !is_transient(&e) || Instant::now() + pause >= deadline => return Err(cause(&e).into()),
            Ok(Err(_)) => wait(&mut pause).await,
        }
    }
}

/// Waits for a random part of the pause, and lengthens the next one. Full jitter: requests that were refused together
/// must not be retried together.
pub(crate) async fn wait(pause: &mut Duration) {
    sleep(pause.mul_f64(fastrand::f64())).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

/// Groups positions of values with these sizes, in order, so that no request is too large.
pub fn cut(sizes: impl Iterator<Item = usize>, max_count: usize, max_bytes: usize) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for (position, size) in sizes.enumerate() {
        match requests.last_mut() {
            Some(request) if request.len() < max_count && size <= room => request.push(position),
            _ => {
                requests.push(vec![position]);
                room = max_bytes;
            }
        }
        room = room.saturating_sub(size);
    }
    requests
}

/// Handles a request that failed as a whole. Its values are retried unless the service reports an error in the request.
pub(crate) fn all_undone<E>(pending: Vec<usize>, error: &SdkError<E, HttpResponse>) -> Undone
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let transient = is_transient(error);
    tracing::warn!(pending = pending.len(), transient, error = cause(error), "request failed");
    if transient {
        Undone { again: pending, ..Undone::default() }
    } else if pending.len() > 1 && is_about_contents(error) {
        Undone { alone: pending, ..Undone::default() }
    } else {
        Undone { never: pending, ..Undone::default() }
    }
}

/// Returns `true` if the service rejects the contents of the request, rather than its destination or its sender:
/// `ValidationException`, `InvalidMessageContents`, `InvalidArgumentException`, `BatchRequestTooLong`.
fn is_about_contents<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    const PARTS: [&str; 3] = ["Validation", "Invalid", "TooLong"];
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code.is_some_and(|code| PARTS.iter().any(|part| code.contains(part)))
}

/// Returns `true` if a retry may help: the service did not respond, has an internal error, or throttles.
fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ServiceError(answer) => {
            answer.raw().status().is_server_error()
                || answer.err().code().is_some_and(|code| THROTTLED.iter().any(|part| code.contains(part)))
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

/// Parts of the error codes with which these three services throttle:
/// `ProvisionedThroughputExceededException`, `ThrottlingException`, `RequestThrottled`, `KMSThrottlingException`,
/// `RequestLimitExceeded`, `LimitExceededException`.
const THROTTLED: [&str; 3] = ["Throttl", "ThroughputExceeded", "LimitExceeded"];

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn in_seconds(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_refused_is_sent_again() {
        let requests = RefCell::new(Vec::new());
        let refused = until_accepted(vec![0, 1, 2, 3], in_seconds(60), |pending| {
            let again = if requests.borrow().is_empty() { vec![1, 3] } else { vec![] };
            requests.borrow_mut().push(pending);
            async { Undone { again, ..Undone::default() } }
        });
        assert_eq!(refused.await, Refused::new());
        assert_eq!(*requests.borrow(), [vec![0, 1, 2, 3], vec![1, 3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_is_not_sent_again() {
        let refused = until_accepted(vec![0, 1], in_seconds(60), |pending| async move {
            assert_eq!(pending, [0, 1]);
            Undone { never: vec![1], ..Undone::default() }
        });
        assert_eq!(refused.await, Refused::from([1]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_refused_is_given_back_before_the_deadline() {
        let deadline = in_seconds(20);
        let refused =
            until_accepted(vec![0, 1, 2], deadline, |_| async { Undone { again: vec![2], ..Undone::default() } });
        assert_eq!(refused.await, Refused::from([2]));
        assert!(Instant::now() < deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_answers_is_left_at_the_deadline() {
        let deadline = in_seconds(20);
        let refused = until_accepted(vec![0], deadline, |_| std::future::pending());
        assert_eq!(refused.await, Refused::from([0]));
        assert_eq!(Instant::now(), deadline);
    }

    #[test]
    fn a_request_is_cut_by_number_and_by_bytes() {
        let lengths = |sizes: &[usize]| cut(sizes.iter().copied(), 500, 1000).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[1; 1001]), [500, 500, 1]);
        assert_eq!(lengths(&[500, 500, 500]), [2, 1]);
        assert_eq!(lengths(&[2000, 1, 2000]), [1, 1, 1]);
        assert_eq!(lengths(&[]), [0_usize; 0]);
    }
}
