//! Segments that were sent, and of which it is not known yet whether a node took them on.

use std::collections::VecDeque;
use std::time::Instant;

/// What a segment brings into the budget of retries, until it is known that a node took it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u64);

/// The shares that are pending, oldest first.
#[derive(Debug, Default)]
pub(super) struct Shares {
    pending: VecDeque<Pending>,
    /// All there ever were; the pending ones are the last of them.
    all: u64,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    at: Instant,
    /// What is not refused by then was taken on: a refusal comes before the body is read.
    until: Instant,
    /// It is known what became of it.
    over: bool,
}

impl Shares {
    /// A segment is sent, and is taken on unless it is refused by `until`.
    pub(super) fn sent(&mut self, until: Instant, now: Instant) -> Share {
        let share = Share(self.all);
        self.all += 1;
        self.pending.push_back(Pending {
            at: now,
            until,
            over: false,
        });
        share
    }

    /// What became of a segment is known now; when it was sent, if it was not known before.
    pub(super) fn decide(&mut self, Share(share): Share) -> Option<Instant> {
        let first = self.all - u64::try_from(self.pending.len()).ok()?;
        let index = usize::try_from(share.checked_sub(first)?).ok()?;
        let pending = self.pending.get_mut(index).filter(|p| !p.over)?;
        pending.over = true;
        Some(pending.at)
    }

    /// How many there are of which it is not known yet whether they were taken on.
    pub(super) fn undecided(&self) -> usize {
        self.pending.iter().filter(|p| !p.over).count()
    }

    /// When the next was sent of those that were not refused by now, so that they were taken on.
    pub(super) fn settled(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let Pending { at, until, over } = *self.pending.front()?;
            if now < until {
                return None;
            }
            self.pending.pop_front();
            if !over {
                return Some(at);
            }
        }
    }
}
