//! What submissions cost, and who pays first when there is not enough for all.

mod flow;
mod precedence;
mod price;
mod recent;
mod shares;
#[cfg(test)]
mod tests;

use std::time::Instant;

use super::budget::{self, Budget};
use super::config::Retries;
pub(super) use flow::Entry;
use flow::Flow;
pub(super) use precedence::ASKS_AGAIN;
use precedence::Precedence;
pub(crate) use price::{Need, Price, Short};
use recent::Recent;
pub(crate) use shares::Share;
use shares::Shares;

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

/// The budgets of one ingest, and what was paid.
#[derive(Debug)]
pub(crate) struct Purse {
    retries: Budget,
    refusals: Recent,
    lateness: Budget,
    flow: Flow,
    precedence: Precedence,
    shares: Shares,
    spent: Spent,
    /// What is due counts before it comes.
    ahead: bool,
}

impl Purse {
    pub(super) fn new(retries: Retries, refusals: budget::Config, now: Instant) -> Self {
        Self {
            retries: Budget::new(retries.into(), now),
            refusals: Recent::new(refusals),
            lateness: Budget::new(retries.for_lateness(), now),
            flow: Flow::new(retries.into(), retries.ahead, now),
            precedence: Precedence::default(),
            shares: Shares::default(),
            spent: Spent::default(),
            ahead: true,
        }
    }

    /// Another budget for retries. What is due is forgotten with the old one.
    pub(super) fn set_retries(&mut self, config: Retries, now: Instant) {
        self.retries = Budget::new(config.into(), now);
        self.lateness = Budget::new(config.for_lateness(), now);
        self.flow = Flow::new(config.into(), config.ahead, now);
    }

    /// Another cap for refusals.
    pub(super) fn set_refusals(&mut self, config: budget::Config) {
        self.refusals = Recent::new(config);
    }

    /// Whether this could be paid.
    pub(crate) fn affords(&mut self, price: Price, now: Instant) -> Result<(), Short> {
        if price.retry {
            self.settle(now);
            let late = price.need == Need::Lateness && self.lateness.available(now) == 0;
            let first = self.precedence.stands_back(price, now);
            if late || first || self.available_for(price.need, now) == 0 {
                self.precedence.missed(price, now);
                return Err(if late {
                    Short::Lateness
                } else {
                    Short::Retries
                });
            }
        }
        if price.refusal && self.refusals.available(now) == 0 {
            return Err(Short::Refusals);
        }
        Ok(())
    }

    /// What is only late, and what a trial costs, is paid by what came.
    fn available_for(&mut self, need: Need, now: Instant) -> u32 {
        match need {
            Need::Loss | Need::Doubt | Need::Slow => self.available(now),
            Need::Trial | Need::Lateness => self.retries.available(now),
        }
    }

    fn available(&mut self, now: Instant) -> u32 {
        // What is allowed even if nothing comes any more is allowed.
        let strict = self.retries.available(now);
        let ahead = match self.ahead {
            true => self.flow.available(self.retries.grants(), now),
            false => 0,
        };
        if ahead <= strict {
            return strict;
        }
        // The cast saturates, and takes what is below 0 for 0.
        let long = self.retries.long(self.shares.undecided(), now) as u32;
        ahead.min(long).max(strict)
    }

    /// Whether enough of the fleet is well for what is due to be sent when it comes.
    pub(super) fn count_ahead(&mut self, well: bool) {
        self.ahead = well;
    }

    /// A segment is due at `at`.
    pub(super) fn expect(&mut self, at: Instant, now: Instant) -> Option<Entry> {
        self.flow.expect(at, now)
    }

    /// What was due came, or will not.
    pub(super) fn unexpect(&mut self, entry: Entry) {
        self.flow.unexpect(entry);
    }

    /// A segment cannot be sent for the first time, or not now.
    pub(crate) fn hindered(&mut self, now: Instant) {
        self.flow.distrust(now);
    }

    /// Whether retries were granted for segments that were due, of which so many have not been sent
    /// that none may wait any more.
    pub(crate) fn presses(&mut self, now: Instant) -> bool {
        let long = self.retries.long(self.shares.undecided(), now);
        long < 0.0 || self.flow.is_short(self.retries.grants(), now)
    }

    /// Pays for a submission that is made now.
    #[must_use]
    pub(crate) fn pay(&mut self, price: Price, now: Instant) -> bool {
        if self.affords(price, now).is_err() {
            return false;
        }
        // All of it is there: none can fail now.
        if price.retry {
            self.retries.grant(now);
            self.spent.retries += 1;
            self.precedence.served(price);
        }
        if price.need == Need::Lateness && !self.lateness.take(now) {
            return false;
        }
        if price.refusal && self.refusals.take(now) {
            self.spent.refusals += 1;
        }
        true
    }

    /// A segment is sent for the first time. What it brings waits until it is known that the node
    /// takes it on: it does unless it refuses it by `until`.
    pub(crate) fn segment(&mut self, until: Instant, now: Instant) -> Share {
        self.settle(now);
        let share = self.shares.sent(until, now);
        self.flow.sent(now);
        self.spent.segments += 1;
        share
    }

    /// The segment came for the first time at all: it brings its share for refusals, of which
    /// its own may be one.
    pub(crate) fn arrived(&mut self, now: Instant) {
        self.refusals.segment(now);
        self.lateness.segment();
    }

    /// The node took it on.
    pub(crate) fn admitted(&mut self, share: Share) {
        if let Some(at) = self.shares.decide(share) {
            self.retries.segment_taken(at);
        }
    }

    /// The node refused it, so that it brings its share when it is sent again. False if that
    /// comes so late that it counts as taken on.
    pub(crate) fn refused(&mut self, share: Share, now: Instant) -> bool {
        self.settle(now);
        let Some(at) = self.shares.decide(share) else {
            return false;
        };
        self.flow.refused(at, now);
        self.spent.segments = self.spent.segments.saturating_sub(1);
        true
    }

    /// What was not refused by now was taken on.
    fn settle(&mut self, now: Instant) {
        while let Some(at) = self.shares.settled(now) {
            self.retries.segment_taken(at);
        }
    }

    /// What was paid at `at` was for nothing: the node did not take it on. What is refused so late
    /// that it counts as taken on, after `until`, stays paid.
    pub(crate) fn refund(&mut self, at: Instant, until: Instant, now: Instant) {
        if now < until && self.retries.refund(at, now) {
            self.spent.retries = self.spent.retries.saturating_sub(1);
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
            Short::Lateness => self.lateness.ready_at(now),
            Short::Refusals => self.refusals.ready_at(now),
        }
    }

    pub(crate) fn retries_left(&mut self, now: Instant) -> u32 {
        self.settle(now);
        self.available(now)
    }

    pub(super) fn refusals_left(&mut self, now: Instant) -> u32 {
        self.refusals.available(now)
    }

    pub(super) fn spent(&self) -> Spent {
        self.spent
    }
}
