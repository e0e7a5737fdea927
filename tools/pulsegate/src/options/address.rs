//! Addresses of the stack's resources, from options or the environment.

use pulsegate_aws::MissingSettings;

/// A resource of the stack that a command needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource {
    form: Form,
    option: &'static str,
    variable: &'static str,
    output: &'static str,
}

/// The form of an address in AWS.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// A queue, by its URL.
    QueueUrl,
    /// A table or a stream, by its name.
    Name,
}

impl Resource {
    pub(super) const fn queue([option, variable, output]: [&'static str; 3]) -> Self {
        Self { form: Form::QueueUrl, option, variable, output }
    }

    pub(super) const fn named([option, variable, output]: [&'static str; 3]) -> Self {
        Self { form: Form::Name, option, variable, output }
    }

    /// Returns the address, or an error that names the option, the variable and the output.
    fn address(&self, given: Option<&String>) -> Result<String, String> {
        let Self { form, option, variable, output } = self;
        let given = given.map(|text| text.trim()).unwrap_or_default();
        if given.is_empty() {
            return Err(format!("{option} or {variable} is missing: give the stack's output {output}"));
        }
        form.read(given, output).map_err(|reason| {
            format!("{option} or {variable} is {given:?}, {reason}: give the stack's output {output}")
        })
    }
}

impl Form {
    fn read(self, given: &str, output: &str) -> Result<String, &'static str> {
        if given == output {
            return Err("the name of an output, not its value");
        }
        match self {
            Self::QueueUrl if given.starts_with("arn:") => Err("an ARN, not the URL of a queue"),
            Self::QueueUrl => {
                queue_url(given).ok_or("not the URL of a queue, such as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
            }
            Self::Name if given.starts_with("arn:") => Err("an ARN, not a name"),
            Self::Name if given.contains("://") => Err("a URL, not a name"),
            Self::Name if given.chars().all(is_of_name) => Ok(given.to_owned()),
            Self::Name => Err("not a name of letters, digits, hyphens, underscores and dots"),
        }
    }
}

/// Returns the URL of a queue, `https://HOST/ACCOUNT/NAME`, without slashes at its end.
fn queue_url(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let (host, queue) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?.split_once('/')?;
    let is_name = |name: &str| !name.is_empty() && name.chars().all(is_of_name);
    let is_host = !host.is_empty() && host.chars().all(|c| is_of_name(c) || [':', '[', ']'].contains(&c));
    (is_host && queue.contains('/') && queue.split('/').all(is_name)).then(|| text.to_owned())
}

/// Characters of the names of tables, streams, queues and hosts.
fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c)
}

/// Returns the addresses of all of these resources.
///
/// # Errors
/// [`MissingSettings`] naming each that is missing or wrong.
pub(super) fn all<const N: usize>(given: [(&Resource, Option<&String>); N]) -> Result<[String; N], MissingSettings> {
    let addresses = given.map(|(resource, given)| resource.address(given));
    let wrong: Vec<String> = addresses.iter().filter_map(|address| address.clone().err()).collect();
    if wrong.is_empty() { Ok(addresses.map(Result::unwrap_or_default)) } else { Err(MissingSettings(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Resource = Resource::queue(["--raw-queue", "RAW_QUEUE_URL", "RawQueueUrl"]);
    const TABLE: Resource = Resource::named(["--table", "DOWNLINK_TABLE", "DownlinkTable"]);

    fn read(resource: &Resource, text: &str) -> Result<String, String> {
        resource.address(Some(&text.to_owned()))
    }

    #[test]
    fn a_queue_is_given_by_its_url() {
        for url in [
            "https://sqs.eu-west-1.amazonaws.com/123456789012/pulsegate-Quarantine",
            "http://127.0.0.1:4566/000000000000/pulsegate-local-Quarantine",
            "http://[::1]:4566/000000000000/q",
        ] {
            assert_eq!(read(&QUEUE, url).unwrap(), url);
            assert_eq!(read(&QUEUE, &format!(" {url}/\n")).unwrap(), url);
        }
        for (text, reason) in [
            ("arn:aws:sqs:eu-west-1:123456789012:pulsegate-Quarantine", "an ARN"),
            ("pulsegate-Quarantine", "not the URL"),
            ("sqs.eu-west-1.amazonaws.com/123456789012/q", "not the URL"),
            ("https://a1b2.execute-api.eu-west-1.amazonaws.com", "not the URL"),
            ("https://sqs.eu-west-1.amazonaws.com/123456789012", "not the URL"),
            ("https://sqs.eu-west-1.amazonaws.com//q", "not the URL"),
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/q?Action=SendMessage", "not the URL"),
            ("https://user:password@host/1/q", "not the URL"),
            ("$RAW_QUEUE_URL", "not the URL"),
            ("RawQueueUrl", "the name of an output"),
        ] {
            let error = read(&QUEUE, text).unwrap_err();
            assert!(error.contains(reason) && error.ends_with("give the stack's output RawQueueUrl"), "{error}");
        }
    }

    #[test]
    fn a_table_is_given_by_its_name() {
        assert_eq!(read(&TABLE, "pulsegate-downlinks\n").unwrap(), "pulsegate-downlinks");
        for (text, reason) in [
            ("arn:aws:dynamodb:eu-west-1:123456789012:table/pulsegate-downlinks", "an ARN"),
            ("https://dynamodb.eu-west-1.amazonaws.com/pulsegate-downlinks", "a URL"),
            ("DownlinkTable", "the name of an output"),
            ("pulsegate/downlinks", "not a name"),
            ("{table}", "not a name"),
        ] {
            let error = read(&TABLE, text).unwrap_err();
            assert!(error.contains(reason) && error.contains("--table or DOWNLINK_TABLE"), "{error}");
        }
    }

    #[test]
    fn all_that_is_missing_or_wrong_is_named_at_once() {
        let name = "a/b".to_owned();
        let MissingSettings(wrong) = all([(&QUEUE, None), (&TABLE, Some(&name))]).unwrap_err();
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].contains("RAW_QUEUE_URL") && wrong[1].contains("DOWNLINK_TABLE"), "{wrong:?}");
    }
}
