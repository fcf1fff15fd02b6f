//! Conditions and ranges of a request (RFC 9110), as far as players use them: entity tags, and
//! one range of bytes.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::ops::Range;

use http::header::{self, HeaderMap, HeaderValue};

/// What part of a body is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Whole,
    Part(Range<usize>),
    /// Nothing of it is there.
    Outside,
}

/// Does one of the tags of `If-None-Match` name what we have?
pub(super) fn matches<'a>(given: impl IntoIterator<Item = &'a HeaderValue>, tag: &str) -> bool {
    given
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

/// The range of a request for `len` bytes. Several ranges, other units and what is not valid
/// are answered with the whole, as the RFC allows.
pub(super) fn asked(headers: &HeaderMap, tag: &str, len: usize) -> Asked {
    if let Some(same) = headers.get(header::IF_RANGE)
        && same != tag
    {
        return Asked::Whole;
    }
    let range = headers.get(header::RANGE).and_then(|r| r.to_str().ok());
    let parts = range
        .and_then(|r| r.strip_prefix("bytes="))
        .and_then(|r| r.split_once('-'));
    let Some((first, last)) = parts else {
        return Asked::Whole;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Asked::Whole,
        (Some(first), _) if first >= len && (last.is_empty() || number(last).is_some()) => {
            Asked::Outside
        }
        (Some(first), Some(last)) => Asked::Part(first..last.saturating_add(1).min(len)),
        (Some(first), None) if last.is_empty() => Asked::Part(first..len),
        (None, Some(0)) if first.is_empty() => Asked::Outside,
        (None, Some(_)) if first.is_empty() && len == 0 => Asked::Outside,
        (None, Some(suffix)) if first.is_empty() => Asked::Part(len.saturating_sub(suffix)..len),
        _ => Asked::Whole,
    }
}

/// Digits only; a number too large to count is larger than any body.
fn number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}
