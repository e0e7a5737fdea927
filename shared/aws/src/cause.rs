//! The cause of a failed request, in one line.

use std::error::Error;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

/// Returns the service's error code and message, such as `AccessDeniedException: User ... is not authorized`, or why
/// there is no answer. The SDK's own texts for these are a dump of the response, and a general `dispatch failure`.
pub(crate) fn cause<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let Some(code) = error.code() {
        return error.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"));
    }
    match error {
        SdkError::DispatchFailure(failure) if failure.is_io() => format!("no connection: {}", innermost(error)),
        _ => chain(error),
    }
}

/// Returns the cause that has none itself.
fn innermost(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source()).last().map(ToString::to_string).unwrap_or_default()
}

/// Returns an error with its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&e| e.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ").replace('\n', " ")
}
