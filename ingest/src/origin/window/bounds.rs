//! What leaves the list, and then the memory: the oldest, as soon as the bounds ask for it.

use super::{Published, Window};

/// However short they are and however far a rendition is behind, no more than this many times
/// `listed` segments are listed.
const MAX_STRETCH: usize = 4;

/// How much is listed and kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::origin) struct Bounds {
    pub(in crate::origin) listed: usize,
    pub(in crate::origin) kept: usize,
    pub(in crate::origin) bytes: usize,
}

impl Window {
    /// Takes the oldest segments off the list and forgets the oldest of all, as the bounds ask.
    pub(super) fn trim(&mut self) -> Published {
        let mut published = Published::default();
        while self.list_is_long() {
            published += self.unlist();
        }
        while self.unlisted > self.bounds.kept || self.bytes > self.bounds.bytes {
            if self.unlisted == 0 {
                // The newest stays, however large it is.
                if self.slots.len() < 2 {
                    break;
                }
                published += self.unlist();
            }
            if let Some(slot) = self.slots.pop_front() {
                self.bytes = self.bytes.saturating_sub(slot.bytes());
                self.unlisted = self.unlisted.saturating_sub(1);
            }
        }
        published
    }

    /// There are more than enough segments, and without the first one every rendition would
    /// still list three target durations (RFC 8216, 6.2.2); or there are too many at any rate.
    fn list_is_long(&self) -> bool {
        let listed = self.slots.len().saturating_sub(self.unlisted);
        let open = self.tracks.iter().map(|t| t.next).min();
        let left = self
            .slots
            .iter()
            .skip(self.unlisted.saturating_add(1))
            .take_while(|slot| open.is_none_or(|open| slot.info.sequence < open))
            .map(|slot| slot.info.duration.0)
            .sum::<i64>();
        let long = left >= self.target().0.saturating_mul(3);
        listed > self.bounds.listed
            && (long || listed > self.bounds.listed.saturating_mul(MAX_STRETCH))
    }

    pub(super) fn unlist(&mut self) -> Published {
        let Some(slot) = self.slots.get_mut(self.unlisted) else {
            return Published::default();
        };
        self.unlisted += 1;
        self.discontinuities += u64::from(slot.info.discontinuity);
        if slot.epoch == self.epoch {
            slot.settle(&self.tracks);
        }
        self.publish()
    }
}
