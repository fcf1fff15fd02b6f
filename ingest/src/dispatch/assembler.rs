//! Puts the numbered chunks of each rendition together.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::multipart::PartHead;

/// The renditions that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    begun: BTreeMap<RenditionName, (u32, BytesMut)>,
}

/// Chunks that make no rendition.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AssemblyError {
    /// A chunk is missing, doubled or out of order.
    #[error("chunk {got} of {rendition} came where {expected} was due")]
    Order {
        rendition: RenditionName,
        expected: u32,
        got: u32,
    },
    /// More bytes than a rendition may have.
    #[error("{0} is longer than {1} bytes")]
    TooLong(RenditionName, usize),
}

impl Assembler {
    /// Takes a chunk; the whole rendition once its last one is there. A rendition of one chunk
    /// is not copied.
    pub(super) fn push(
        &mut self,
        head: PartHead,
        chunk: Bytes,
        limit: usize,
    ) -> Result<Option<(RenditionName, Bytes)>, AssemblyError> {
        let (due, mut bytes) = self.begun.remove(&head.rendition).unwrap_or_default();
        if head.chunk != due {
            return Err(AssemblyError::Order {
                rendition: head.rendition,
                expected: due,
                got: head.chunk,
            });
        }
        if bytes.len().saturating_add(chunk.len()) > limit {
            return Err(AssemblyError::TooLong(head.rendition, limit));
        }
        if head.last && bytes.is_empty() {
            return Ok(Some((head.rendition, chunk)));
        }
        bytes.extend_from_slice(&chunk);
        if head.last {
            return Ok(Some((head.rendition, bytes.freeze())));
        }
        self.begun
            .insert(head.rendition, (due.saturating_add(1), bytes));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(
        assembler: &mut Assembler,
        n: u32,
        last: bool,
    ) -> Result<Option<Bytes>, AssemblyError> {
        let head = PartHead {
            rendition: "720p".parse().unwrap(),
            chunk: n,
            last,
        };
        let whole = assembler.push(head, Bytes::from_static(b"abcd"), 10)?;
        Ok(whole.map(|(_, bytes)| bytes))
    }

    #[test]
    fn chunks_come_in_order_and_end() {
        let mut a = Assembler::default();
        assert_eq!(chunk(&mut a, 0, true), Ok(Some("abcd".into())));
        assert_eq!(chunk(&mut a, 0, false), Ok(None));
        assert_eq!(chunk(&mut a, 1, true), Ok(Some("abcdabcd".into())));
        assert_eq!(chunk(&mut a, 0, false), Ok(None));
        assert!(matches!(
            chunk(&mut a, 2, true),
            Err(AssemblyError::Order {
                expected: 1,
                got: 2,
                ..
            })
        ));
    }

    #[test]
    fn a_rendition_has_a_longest_length() {
        let mut a = Assembler::default();
        assert_eq!(chunk(&mut a, 0, false), Ok(None));
        assert_eq!(chunk(&mut a, 1, false), Ok(None));
        assert!(matches!(
            chunk(&mut a, 2, false),
            Err(AssemblyError::TooLong(_, 10))
        ));
    }
}
