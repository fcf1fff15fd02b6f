//! Aggregate messages: several FLV tags in one message, each with its header and a back pointer, as
//! Adobe's encoders send them.

use bytes::{Buf, Bytes};

use super::chunk::{Message, kind};

/// The most tags that one message may hold: what is bounded in bytes could still be a million empty
/// ones.
const MAX_TAGS: usize = 4096;
/// Type, size, time, the high byte of the time, stream.
const HEADER: usize = 11;
/// The length of a tag, behind it.
const BACK_POINTER: usize = 4;

/// Why the rest of a message is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AggregateError {
    #[error("an aggregate message is cut short")]
    Truncated,
    #[error("an aggregate message of more than {MAX_TAGS} tags")]
    TooManyTags,
}

/// The messages in an aggregate message. Their times are relative: the first tag is sent at the
/// time of the whole.
pub(super) fn parts(
    whole: &Message,
) -> impl Iterator<Item = Result<Message, AggregateError>> + use<> {
    let (stream, sent) = (whole.stream, whole.timestamp);
    let mut rest = whole.payload.clone();
    let (mut first, mut tags) = (None, 0usize);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        tags = tags.saturating_add(1);
        let tag = match tags > MAX_TAGS {
            true => Err(AggregateError::TooManyTags),
            false => tag(&mut rest).ok_or(AggregateError::Truncated),
        };
        if tag.is_err() {
            rest.clear();
        }
        Some(tag.map(|(kind, time, payload)| {
            let first = *first.get_or_insert(time);
            Message {
                kind,
                stream,
                timestamp: sent.wrapping_add(time.wrapping_sub(first)),
                payload,
            }
        }))
    })
}

/// Whether a part may be what it says: tags hold media and metadata, and no commands.
pub(super) fn is_tag(part: &Message) -> bool {
    matches!(part.kind, kind::AUDIO | kind::VIDEO | kind::DATA_AMF0)
}

/// Takes a tag off the front: its type, time and body.
fn tag(rest: &mut Bytes) -> Option<(u8, u32, Bytes)> {
    let &[kind, a, b, c, d, e, f, high, ..] = rest.first_chunk::<HEADER>()?;
    let size = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    let time = u32::from_be_bytes([high, d, e, f]);
    rest.advance(HEADER);
    if rest.len() < size {
        return None;
    }
    let payload = rest.split_to(size);
    // Behind the last one it may be missing.
    rest.advance(BACK_POINTER.min(rest.len()));
    Some((kind, time, payload))
}
