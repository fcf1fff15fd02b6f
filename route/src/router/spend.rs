//! The two budgets, and who goes first when one is short.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::budget::{self, Budget};

/// How long what can wait stands back after something that cannot went away empty-handed.
const STAND_BACK: Duration = Duration::from_millis(200);

/// What hedges may cost of which nothing but the lateness of that one segment is the reason: so
/// much of the budget that some is always left for segments on nodes that fail.
const ROUTINE: budget::Config = budget::Config {
    per_segment: 0.03,
    per_second: 1.0,
};
/// A refusal comes before the body is read: a submission that was not refused for so long was
/// taken on.
const REFUSED_WITHIN: Duration = Duration::from_millis(400);

/// What a segment brings into the budget of retries, until it is known that a node took it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u64);

/// What a submission costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price {
    /// Some node took the segment on before.
    pub(crate) retry: bool,
    /// The submission before was refused.
    pub(crate) refusal: bool,
    /// The segment is not lost without it: stands back for those that are.
    pub(crate) can_wait: bool,
    /// A hedge against nothing in particular: keeps to a part of the budget.
    pub(crate) routine: bool,
}

impl Price {
    pub(crate) const NOTHING: Self = Self {
        retry: false,
        refusal: false,
        can_wait: false,
        routine: false,
    };
}

/// Which budget is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Short {
    Retries,
    Refusals,
}

/// All submissions so far, by what they were for. Refused ones are among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Segments that were sent for the first time, and not refused.
    pub segments: u64,
    /// Submissions that were paid from the budget of retries.
    pub retries: u64,
    /// Submissions that were paid from the budget of refusals.
    pub refusals: u64,
    /// Copies of precious segments: accounted apart, they draw on no budget.
    pub copies: u64,
}

#[derive(Debug)]
pub(crate) struct Purse {
    retries: Budget,
    refusals: Budget,
    routine: Budget,
    /// When something that cannot wait last found no retry left.
    missed: Option<Instant>,
    /// Segments that were sent and may be refused yet, oldest first.
    pending: VecDeque<Pending>,
    /// All there ever were; the pending ones are the last of them.
    shares: u64,
    spent: Spent,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    at: Instant,
    /// It is known what became of it.
    over: bool,
}

impl Purse {
    pub(super) fn new(retries: budget::Config, refusals: budget::Config, now: Instant) -> Self {
        Self {
            retries: Budget::new(retries, now),
            refusals: Budget::new(refusals, now),
            routine: Budget::new(ROUTINE, now),
            missed: None,
            pending: VecDeque::new(),
            shares: 0,
            spent: Spent::default(),
        }
    }

    /// Whether this could be paid.
    pub(crate) fn affords(&mut self, price: Price, now: Instant) -> Result<(), Short> {
        if price.retry {
            self.settle(now);
            let back = |at: Instant| now.saturating_duration_since(at) < STAND_BACK;
            let mut stands_back = price.can_wait && self.missed.is_some_and(back);
            stands_back |= price.routine && self.routine.available(now) == 0;
            if stands_back || self.retries.available(now) == 0 {
                if !price.can_wait {
                    self.missed = Some(now);
                }
                return Err(Short::Retries);
            }
        }
        if price.refusal && self.refusals.available(now) == 0 {
            return Err(Short::Refusals);
        }
        Ok(())
    }

    /// Pays for a submission that is made now.
    #[must_use]
    pub(crate) fn pay(&mut self, price: Price, now: Instant) -> bool {
        if self.affords(price, now).is_err() {
            return false;
        }
        // Both are there: neither can fail now.
        if price.retry && self.retries.take(now) {
            self.spent.retries += 1;
        }
        if price.routine && !self.routine.take(now) {
            return false;
        }
        if price.refusal && self.refusals.take(now) {
            self.spent.refusals += 1;
        }
        true
    }

    /// A segment is sent for the first time. It brings its share once it is known that the
    /// node takes it on.
    pub(crate) fn segment(&mut self, now: Instant) -> Share {
        self.settle(now);
        let share = Share(self.shares);
        self.shares += 1;
        self.pending.push_back(Pending {
            at: now,
            over: false,
        });
        self.spent.segments += 1;
        share
    }

    /// The segment came for the first time at all: it brings its share for refusals, of which
    /// its own may be one.
    pub(crate) fn arrived(&mut self) {
        self.refusals.segment();
        self.routine.segment();
    }

    /// The node took it on.
    pub(crate) fn admitted(&mut self, share: Share) {
        if let Some(at) = self.decide(share) {
            self.retries.segment_at(at);
        }
    }

    /// The node refused it, so that it brings its share when it is sent again. False if that
    /// comes so late that it counts as taken on.
    pub(crate) fn refused(&mut self, share: Share, now: Instant) -> bool {
        self.settle(now);
        let in_time = self.decide(share).is_some();
        if in_time {
            self.spent.segments = self.spent.segments.saturating_sub(1);
        }
        in_time
    }

    /// When a segment was sent of which it was not known yet; it is now.
    fn decide(&mut self, Share(share): Share) -> Option<Instant> {
        let first = self.shares - u64::try_from(self.pending.len()).ok()?;
        let index = usize::try_from(share.checked_sub(first)?).ok()?;
        let pending = self.pending.get_mut(index).filter(|p| !p.over)?;
        pending.over = true;
        Some(pending.at)
    }

    /// What was not refused by now was taken on.
    fn settle(&mut self, now: Instant) {
        while let Some(Pending { at, over }) = self.pending.front().copied() {
            if now.saturating_duration_since(at) < REFUSED_WITHIN {
                break;
            }
            self.pending.pop_front();
            if !over {
                self.retries.segment_at(at);
            }
        }
    }

    /// A copy of a precious segment is sent.
    pub(crate) fn copy(&mut self) {
        self.spent.copies += 1;
    }

    /// When time alone will have brought what is short.
    pub(crate) fn ready_at(&mut self, short: Short, now: Instant) -> Option<Instant> {
        match short {
            Short::Retries => self.retries.ready_at(now),
            Short::Refusals => self.refusals.ready_at(now),
        }
    }

    pub(super) fn retries_left(&mut self, now: Instant) -> u32 {
        self.settle(now);
        self.retries.available(now)
    }

    pub(super) fn refusals_left(&mut self, now: Instant) -> u32 {
        self.refusals.available(now)
    }

    pub(super) fn spent(&self) -> Spent {
        self.spent
    }
}
