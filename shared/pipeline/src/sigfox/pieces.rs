//! Reads each message of a callback that has several, whether as JSON objects or as the lines of a batch.

use pulsegate_model::profile::Profile;
use pulsegate_model::quarantine::Quarantined;

use super::body::Body;
use super::variables::Variables;
use super::{CallbackError, CallbackKind, Content, Messages, body, lines};

/// The most bad messages of one batch that are quarantined individually. More of them mean that the input is noise, so
/// one record holds all the others.
const MAX_ALONE: usize = 100;

/// The longest query that belongs to each object too. A template's query has some hundred characters; a longer one
/// would be kept once for every bad object.
const MAX_QUERY: usize = 1024;

/// One message.
pub(super) struct Piece<'a> {
    /// Its part of the body.
    text: String,
    /// The query that belongs to it too.
    query: &'a str,
    variables: Result<Variables, CallbackError>,
}

/// Returns the messages of a body with several. The body as a whole has the `whole` variables.
pub(super) fn of<'a>(
    kind: CallbackKind,
    profile: &'static Profile,
    content: &Content<'a>,
    body: &Body,
    whole: &Variables,
) -> Vec<Piece<'a>> {
    let inside = match body {
        Body::Object(object) if !whole.names_a_device() => body::objects_inside(object),
        _ => Vec::new(),
    };
    let objects = if let Body::Objects(objects) = body { objects } else { &inside };
    let query = if content.query.len() > MAX_QUERY { "" } else { content.query };
    let objects = objects.iter().map(|object| {
        let variables = Variables::of_object(object, query, &profile.callbacks);
        Piece { text: object.clone(), query, variables: variables.map_err(CallbackError::from) }
    });
    let batches = lines::find(kind, profile, whole, body);
    let lines = batches.iter().flat_map(|batch| {
        batch.lines().map(|line| {
            let values = batch.pattern.values(line).ok_or(CallbackError::Line(batch.pattern.text()));
            let variables = values.map(|values| Variables::of_line(values, &profile.callbacks));
            Piece { text: line.to_owned(), query: "", variables }
        })
    });
    objects.chain(lines).collect()
}

/// Parses each message separately: a bad one does not affect the others.
pub(super) fn read_each(
    stage: &'static str,
    kind: CallbackKind,
    profile: &'static Profile,
    pieces: Vec<Piece<'_>>,
    into: &mut Messages,
) {
    let quarantined = |reason: &CallbackError, text: &str, query: &str| {
        let piece = Quarantined::new(stage, reason, text.as_bytes()).logged_as(reason.without_quotes());
        piece.under(profile.name).of_callback(kind.name(), query)
    };
    let mut rest: Option<(CallbackError, String, &str)> = None;
    for Piece { text, query, variables } in pieces {
        let taken = variables.and_then(|variables| into.take(kind, profile, &variables));
        match (taken, &mut rest) {
            (Ok(()), _) => {}
            (Err(reason), _) if into.unreadable.len() < MAX_ALONE => {
                into.unreadable.push(quarantined(&reason, &text, query));
            }
            (Err(_), Some((_, rest, _))) => rest.extend(["\n", &text]),
            (Err(reason), None) => rest = Some((reason, text, query)),
        }
    }
    into.unreadable.extend(rest.map(|(reason, texts, query)| quarantined(&reason, &texts, query)));
}
