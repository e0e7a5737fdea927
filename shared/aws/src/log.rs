//! [`Log`] on CloudWatch Logs.

use std::ops::Range;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use pulsegate_pipeline::ports::{Log, LogLine, ReadError};
use tokio::time::Instant;

use crate::resend::until_answered;

/// The most events of one `FilterLogEvents` response.
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>)
const MAX_EVENTS: usize = 10_000;

/// A log group.
#[derive(Debug, Clone)]
pub struct LogGroup {
    client: Client,
    name: String,
}

/// The content of one request.
#[derive(Debug, Clone)]
struct LogQuery {
    between: Range<u64>,
    token: Option<String>,
}

impl LogGroup {
    /// The actions to grant on the log group.
    pub const ACTIONS: &[&str] = &["logs:FilterLogEvents"];

    /// Reads the log group with this name.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }

    async fn fetch(&self, query: &LogQuery, deadline: Instant) -> Result<FilterLogEventsOutput, ReadError> {
        let time = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
        let answer = until_answered(deadline, || {
            let request = self.client.filter_log_events().log_group_name(&self.name);
            // Both ends are inclusive.
            let request = request.start_time(time(query.between.start)).end_time(time(query.between.end) - 1);
            let request = request.limit(i32::try_from(MAX_EVENTS).unwrap_or(i32::MAX));
            request.set_next_token(query.token.clone()).send()
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
        let mut queries = vec![LogQuery { between, token: None }];
        while let Some(query) = queries.pop() {
            if query.between.is_empty() {
                continue;
            }
            let answer = self.fetch(&query, deadline).await?;
            if answer.events().len() >= MAX_EVENTS && answer.next_token.is_none() && query.token.is_none() {
                queries.extend(self.halves(&query)?);
                continue;
            }
            lines.extend(answer.events.unwrap_or_default().into_iter().map(line));
            queries.extend(answer.next_token.map(|token| LogQuery { token: Some(token), ..query }));
        }
        Ok(lines)
    }
}

impl LogGroup {
    /// Splits the period in two. A stand-in for AWS without tokens returns at most one full response: shorter periods
    /// have fewer lines.
    fn halves(&self, query: &LogQuery) -> Result<[LogQuery; 2], ReadError> {
        let Range { start, end } = query.between;
        let middle = start + (end - start) / 2;
        if middle == start {
            return Err(self.unread(format!("it has {MAX_EVENTS} lines or more in one millisecond").into()));
        }
        Ok([start..middle, middle..end].map(|between| LogQuery { between, token: None }))
    }
}

fn line(event: FilteredLogEvent) -> LogLine {
    let at = event.timestamp.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
    let text = event.message.unwrap_or_default();
    LogLine { at, text: text.trim_end_matches(['\r', '\n']).to_owned() }
}
