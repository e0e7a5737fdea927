//! [`Log`] on CloudWatch Logs.

use std::ops::Range;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use pulsegate_pipeline::ports::{Log, LogLine, ReadError};
use tokio::time::Instant;

use crate::resend::until_answered;

/// What `FilterLogEvents` answers with at most.
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>)
const MAX_EVENTS: usize = 10_000;

/// A log group.
#[derive(Debug, Clone)]
pub struct LogGroup {
    client: Client,
    name: String,
}

/// What is asked for in one request.
#[derive(Debug, Clone)]
struct Question {
    between: Range<u64>,
    token: Option<String>,
}

impl LogGroup {
    /// What has to be granted on the group.
    pub const ACTIONS: &[&str] = &["logs:FilterLogEvents"];

    /// The group of this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }

    async fn ask(&self, question: &Question, deadline: Instant) -> Result<FilterLogEventsOutput, ReadError> {
        let time = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
        let answer = until_answered(deadline, || {
            let request = self.client.filter_log_events().log_group_name(&self.name);
            // Both ends are in it.
            let request = request.start_time(time(question.between.start)).end_time(time(question.between.end) - 1);
            let request = request.limit(i32::try_from(MAX_EVENTS).unwrap_or(i32::MAX));
            request.set_next_token(question.token.clone()).send()
        });
        answer.await.map_err(|source| self.unread(source))
    }

    fn unread(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ReadError {
        ReadError { what: format!("the log group {}", self.name), source }
    }
}

impl Log for LogGroup {
    async fn lines(&self, between: Range<u64>, deadline: Instant) -> Result<Vec<LogLine>, ReadError> {
        let mut lines = Vec::new();
        let mut questions = vec![Question { between, token: None }];
        while let Some(question) = questions.pop() {
            if question.between.is_empty() {
                continue;
            }
            let answer = self.ask(&question, deadline).await?;
            if answer.events().len() >= MAX_EVENTS && answer.next_token.is_none() && question.token.is_none() {
                questions.extend(self.halves(&question)?);
                continue;
            }
            lines.extend(answer.events.unwrap_or_default().into_iter().map(line));
            questions.extend(answer.next_token.map(|token| Question { token: Some(token), ..question }));
        }
        Ok(lines)
    }
}

impl LogGroup {
    /// A full answer without a token is all that a cloud tells that knows no tokens: less time has less in it.
    fn halves(&self, question: &Question) -> Result<[Question; 2], ReadError> {
        let Range { start, end } = question.between;
        let middle = start + (end - start) / 2;
        if middle == start {
            return Err(self.unread(format!("it has {MAX_EVENTS} lines or more in one millisecond").into()));
        }
        Ok([start..middle, middle..end].map(|between| Question { between, token: None }))
    }
}

fn line(event: FilteredLogEvent) -> LogLine {
    let at = event.timestamp.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
    let text = event.message.unwrap_or_default();
    LogLine { at, text: text.trim_end_matches(['\r', '\n']).to_owned() }
}
