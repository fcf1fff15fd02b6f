//! What leaves the list, and then the memory: the oldest, as soon as the stream's own bounds or
//! those of [all streams](crate::origin::memory) ask for it.

use super::slot::Slot;
use super::{Published, Window};
use crate::origin::loss::Loss;

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
            // The newest stays, however large it is.
            if self.unlisted == 0 && self.slots.len() < 2 {
                break;
            }
            published += self.drop_oldest();
        }
        published
    }

    /// Forgets the oldest segment.
    fn drop_oldest(&mut self) -> Published {
        let mut published = Published::default();
        if self.unlisted == 0 {
            published += self.unlist();
        }
        if let Some(slot) = self.slots.pop_front() {
            self.bytes = self.bytes.saturating_sub(slot.bytes());
            self.unlisted = self.unlisted.saturating_sub(1);
        }
        published
    }

    /// Bytes among which there is something to give up; `None` if there is nothing.
    pub(in crate::origin) fn spare(&self, loss: Loss) -> Option<usize> {
        let listed = self.slots.len().saturating_sub(self.unlisted);
        match loss {
            Loss::Ended => None,
            Loss::Kept => {
                let kept = self.slots.range(..self.unlisted.min(self.slots.len()));
                (self.unlisted > 0).then(|| kept.map(Slot::bytes).sum())
            }
            Loss::Listed => {
                (listed > 1 && self.is_long_without_first()).then(|| self.listed_bytes())
            }
            Loss::Needed => (listed > 1).then(|| self.listed_bytes()),
        }
    }

    /// Gives up the oldest segment, if there is one to [spare](Self::spare).
    pub(in crate::origin) fn give_up(&mut self, loss: Loss) -> Published {
        match self.spare(loss) {
            Some(_) => self.drop_oldest(),
            None => Published::default(),
        }
    }

    /// Bytes of what is or will be listed.
    pub(in crate::origin) fn listed_bytes(&self) -> usize {
        let listed = self.slots.range(self.unlisted.min(self.slots.len())..);
        listed.map(Slot::bytes).sum()
    }

    /// Forgets everything.
    pub(in crate::origin) fn clear(&mut self) {
        self.slots.clear();
        self.unlisted = 0;
        self.bytes = 0;
    }

    /// There are more than enough segments, and the list is long enough without the first one;
    /// or there are too many at any rate.
    fn list_is_long(&self) -> bool {
        let listed = self.slots.len().saturating_sub(self.unlisted);
        listed > self.bounds.listed
            && (self.is_long_without_first()
                || listed > self.bounds.listed.saturating_mul(MAX_STRETCH))
    }

    /// Without the first segment every rendition would still list three target durations
    /// (RFC 8216, 6.2.2).
    fn is_long_without_first(&self) -> bool {
        let open = self.tracks.iter().map(|t| t.next).min();
        let left = self
            .slots
            .iter()
            .skip(self.unlisted.saturating_add(1))
            .take_while(|slot| open.is_none_or(|open| slot.info.sequence < open))
            .map(|slot| slot.info.duration.0)
            .sum::<i64>();
        left >= self.target().0.saturating_mul(3)
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
