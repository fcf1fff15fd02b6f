//! The two budgets, and who goes first when one is short.

use std::time::{Duration, Instant};

use super::budget::{self, Budget};

/// How long what can wait stands back after something that cannot went away empty-handed.
const STAND_BACK: Duration = Duration::from_millis(200);

/// What a submission costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price {
    /// Some node took the segment on before.
    pub(crate) retry: bool,
    /// The submission before was refused.
    pub(crate) refusal: bool,
    /// The segment is not lost without it: stands back for those that are.
    pub(crate) can_wait: bool,
}

impl Price {
    pub(crate) const NOTHING: Self = Self {
        retry: false,
        refusal: false,
        can_wait: false,
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
    /// When something that cannot wait last found no retry left.
    missed: Option<Instant>,
    spent: Spent,
}

impl Purse {
    pub(super) fn new(retries: budget::Config, refusals: budget::Config, now: Instant) -> Self {
        Self {
            retries: Budget::new(retries, now),
            refusals: Budget::new(refusals, now),
            missed: None,
            spent: Spent::default(),
        }
    }

    /// Whether this could be paid.
    pub(crate) fn affords(&mut self, price: Price, now: Instant) -> Result<(), Short> {
        if price.retry {
            let back = |at: Instant| now.saturating_duration_since(at) < STAND_BACK;
            let stands_back = price.can_wait && self.missed.is_some_and(back);
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
        if price.refusal && self.refusals.take(now) {
            self.spent.refusals += 1;
        }
        true
    }

    /// A segment is sent for the first time: it brings its share.
    pub(crate) fn segment(&mut self) {
        self.retries.segment();
        self.refusals.segment();
        self.spent.segments += 1;
    }

    /// That was refused: it brings its share again when it is sent again. It keeps what it
    /// brought for refusals, of which this is one.
    pub(crate) fn take_back(&mut self) {
        self.retries.take_back();
        self.spent.segments = self.spent.segments.saturating_sub(1);
    }

    /// A segment whose first submission was refused is sent again.
    pub(crate) fn segment_again(&mut self) {
        self.retries.segment();
        self.spent.segments += 1;
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
        self.retries.available(now)
    }

    pub(super) fn refusals_left(&mut self, now: Instant) -> u32 {
        self.refusals.available(now)
    }

    pub(super) fn spent(&self) -> Spent {
        self.spent
    }
}
