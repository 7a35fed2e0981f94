//! Turns a message of AWS's into one that can stand in a status, an event and a log line: one line,
//! bounded, and the same at every attempt.
//!
//! It takes out what identifies a single request and leaves the rest of the words alone.

use std::borrow::Cow;

/// The longest message, in characters. IAM's own longest (an access denial that names principal,
/// action and resource) stay well below it.
pub const MAX_MESSAGE_CHARACTERS: usize = 512;

/// What follows is ciphertext of some thousand characters, different each time.
const ENCODED: &str = "encoded authorization failure message";

/// Every spelling begins like this; what stands between the words varies.
const REQUEST: &str = "request";

pub(super) fn describe_unreadable(http_status: Option<u16>) -> String {
    match http_status {
        Some(status) => format!("HTTP {status} without a complete answer of AWS"),
        None => String::from("no answer came"),
    }
}

/// The message without request ids, times and line breaks, at most [`MAX_MESSAGE_CHARACTERS`] long.
pub(super) fn clean(message: &str) -> String {
    // Bounds the work too: a body of megabytes must not be scanned again and again.
    let start: String = message.chars().take(16 * MAX_MESSAGE_CHARACTERS).collect();
    let mut text = one_line(&start);
    if let Some(at) = find_ignoring_case(&text, ENCODED) {
        text.truncate(at);
    }
    let text = without_service_notes(&text);
    let text = without_request_ids(&text);
    let text = one_line(&text.split(' ').map(stable).collect::<Vec<_>>().join(" "));
    let text = text.trim_matches([' ', ',', ';']);
    bounded(text)
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn bounded(text: &str) -> String {
    if text.chars().count() <= MAX_MESSAGE_CHARACTERS {
        return text.to_owned();
    }
    let mut start: String = text.chars().take(MAX_MESSAGE_CHARACTERS - 1).collect();
    start.push('…');
    start
}

/// Drops parentheses such as `(Service: Iam, Status Code: 409, Request ID: …)`, which SDKs and
/// proxies append.
fn without_service_notes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('(') {
        let Some(length) = rest[open..].find(')') else {
            break;
        };
        let note = &rest[open..=open + length];
        let drop = note.starts_with("(Service:") || request_id(note).is_some();
        kept.push_str(&rest[..open]);
        if !drop {
            kept.push_str(note);
        }
        rest = &rest[open + length + 1..];
    }
    kept.push_str(rest);
    kept
}

fn without_request_ids(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = request_id(rest) {
        kept.push_str(rest[..start].trim_end_matches([' ', ',', ';', '[']));
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// Where a label like `Request ID: 1a2b`, `requestId=1a2b` or `x-amzn-RequestId: 1a2b` and its value
/// begin and end.
fn request_id(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = find_ignoring_case(&text[from..], REQUEST) {
        let label = from + at;
        let after = label + REQUEST.len();
        if let Some(length) = id_after(&text[after..]) {
            // `x-amzn-` and the like belong to the label.
            let start = text[..label].rfind([' ', '(', ',', ';', '[']);
            return Some((start.map_or(0, |space| space + 1), after + length));
        }
        from = after;
    }
    None
}

/// The length of `… id: VALUE` at the start of the text, if that is what stands there. The value
/// must hold a digit, so that "the request id is missing" remains.
fn id_after(text: &str) -> Option<usize> {
    let rest = text.trim_start_matches([' ', '-', '_']);
    let rest = rest.strip_prefix(['i', 'I'])?.strip_prefix(['d', 'D'])?;
    let value = rest.trim_start_matches([' ', ':', '=', '"', '\'']);
    if value.len() == rest.len() {
        return None;
    }
    let end = value
        .find([' ', ',', ';', ')', ']', '"', '\''])
        .unwrap_or(value.len());
    if !value[..end].contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let closing = value[end..].starts_with(['"', '\'', ']']);
    Some(text.len() - value.len() + end + usize::from(closing))
}

/// Replaces words that change from request to request wherever they stand: the times of "Signature
/// expired: 20260102T030405Z is now earlier than …", and ids in the form of a UUID.
fn stable(word: &str) -> Cow<'_, str> {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if is_basic_time(bare) {
        Cow::Owned(word.replace(bare, "<time>"))
    } else if is_uuid(bare) {
        Cow::Owned(word.replace(bare, "<id>"))
    } else {
        Cow::Borrowed(word)
    }
}

fn is_basic_time(word: &str) -> bool {
    word.len() == 16
        && word.bytes().enumerate().all(|(index, byte)| match index {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        })
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// ASCII case only, so that positions in the lowered text are positions in the text.
fn find_ignoring_case(text: &str, lowercase: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(lowercase)
}
