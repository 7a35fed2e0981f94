//! Resources of a policy: `*`, or an ARN part by part. Which resources a class allows is decided elsewhere.

use super::pattern::{Pattern, Token};

/// How many parts an ARN has: `arn:partition:service:region:account:resource` (AWS general reference, "Amazon
/// Resource Names").
const PARTS: usize = 6;

/// Whether every resource of `inner` is one of `outer`.
///
/// AWS doesn't say of every service whether a wildcard in one part of an ARN may stand for a colon and so reach into
/// the next, so that has to hold either way: ARNs are compared part by part, and all that a wildcard of one part of
/// `inner` stands for must be allowed by the same part of `outer`.
pub(super) fn includes(outer: &Pattern, inner: &Pattern) -> bool {
    if outer.tokens() == [Token::Run] {
        return true;
    }
    if begin_apart(outer, inner) {
        return false;
    }
    let (Some(outer), Some(inner)) = (parts(outer), parts(inner)) else {
        return outer == inner;
    };
    outer
        .iter()
        .zip(&inner)
        .enumerate()
        .all(|(index, (outer, inner))| {
            // A variable could hold a colon, and make what follows another part.
            let in_front = index + 1 < PARTS && inner.has_variable();
            outer == inner || (!in_front && outer.includes(inner))
        })
}

/// Whether the two begin with plain characters that differ, so that no text is of both. Most pairs of a large class and
/// a large policy do, and this takes none of the work that the rest does.
fn begin_apart(outer: &Pattern, inner: &Pattern) -> bool {
    let pairs = outer.tokens().iter().zip(inner.tokens());
    pairs
        .map_while(|pair| match pair {
            (Token::Char(a), Token::Char(b)) => Some(a != b),
            _ => None,
        })
        .any(|differ| differ)
}

/// The six parts of an ARN; none of what isn't one, such as `*`.
pub(super) fn parts(pattern: &Pattern) -> Option<Vec<Pattern>> {
    let found: Vec<Pattern> = pattern
        .tokens()
        .splitn(PARTS, |token| *token == Token::Char(':'))
        .map(|tokens| Pattern::of(tokens.iter().cloned()))
        .collect();
    let is_arn = found.first().is_some_and(|part| *part == Pattern::literal("arn"));
    (is_arn && found.len() == PARTS).then_some(found)
}
