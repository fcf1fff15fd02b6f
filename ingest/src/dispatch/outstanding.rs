//! What of a segment has not come yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use rackcast_segment::id::RenditionName;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::wire::multipart::PartHead;
use tokio::sync::mpsc;

use super::{Outcome, Reason};

/// The renditions that are still to come, and the channel on which each is answered once.
#[derive(Debug)]
pub(super) struct Outstanding {
    missing: Vec<RenditionSpec>,
    outcomes: mpsc::Sender<Outcome>,
    complete: Arc<AtomicBool>,
}

impl Outstanding {
    pub(super) fn new(missing: Vec<RenditionSpec>, outcomes: mpsc::Sender<Outcome>) -> Self {
        Self {
            missing,
            outcomes,
            complete: Arc::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// Tells, also while an attempt holds this, whether everything has come.
    pub(super) fn complete(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.complete)
    }

    pub(super) fn specs(&self) -> &[RenditionSpec] {
        &self.missing
    }

    pub(super) fn find(&self, name: &RenditionName) -> Option<&RenditionSpec> {
        self.missing.iter().find(|spec| spec.name == *name)
    }

    /// Hands a verified rendition out.
    pub(super) fn ready(&mut self, rendition: RenditionName, media: Bytes) {
        self.missing.retain(|spec| spec.name != rendition);
        self.complete.store(self.is_empty(), Ordering::Relaxed);
        self.answer(Outcome::Ready { rendition, media });
    }

    /// Answers everything that is left with `reason`; how many renditions that were.
    pub(super) fn give_up(&mut self, reason: Reason) -> usize {
        let missing = std::mem::take(&mut self.missing);
        for spec in &missing {
            self.answer(Outcome::Missing {
                rendition: spec.name.clone(),
                reason,
            });
        }
        missing.len()
    }

    /// Resolves when nobody waits for what is missing any more.
    pub(super) fn abandoned(&self) -> impl Future<Output = ()> + Send + 'static {
        let (outcomes, complete) = (self.outcomes.clone(), self.complete());
        async move {
            outcomes.closed().await;
            if complete.load(Ordering::Relaxed) {
                // All was delivered; the summary that is still to come is for us.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The channel has room for every rendition, so this fails only if nobody listens.
    fn answer(&self, outcome: Outcome) {
        if self.outcomes.try_send(outcome).is_err() {
            log::debug!("an outcome came for a segment that nobody waits for");
        }
    }
}

/// Puts the numbered chunks of each rendition together.
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
