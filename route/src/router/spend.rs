//! The two budgets, and who goes first when one is short.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::budget::{self, Budget};
use super::recent::Recent;

/// How long what can wait stands back after something that cannot went away empty-handed.
const STAND_BACK: Duration = Duration::from_millis(200);
/// Whoever found nothing left asks again within this time, or needs nothing any more.
const ASKS_AGAIN: Duration = Duration::from_millis(60);
/// Deadlines that are as good as the same.
const ABOUT: Duration = Duration::from_millis(300);

/// What hedges may cost of which nothing but the lateness of that one segment is the reason: so
/// little of the budget that some is always left for segments on nodes that fail.
const LATENESS: budget::Config = budget::Config {
    per_segment: 0.03,
    per_second: 1.0,
};
/// A refusal comes before the body is read: a submission that was not refused for so long was
/// taken on.
const REFUSED_WITHIN: Duration = Duration::from_millis(250);

/// What a segment brings into the budget of retries, until it is known that a node took it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u64);

/// What a submission costs, and how much depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price {
    /// Some node took the segment on before.
    pub(crate) retry: bool,
    /// The submission before was refused.
    pub(crate) refusal: bool,
    /// Who goes first.
    pub(crate) need: Need,
    /// When the segment is lost.
    pub(crate) deadline: Instant,
}

/// What a submission beyond the first is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Without it the segment is lost, or probably is.
    Loss,
    /// A second opinion: the segment may be lost whatever is done.
    Doubt,
    /// The segment is late, and nothing else is against its node: keeps to a part of the
    /// budget.
    Lateness,
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
    refusals: Recent,
    lateness: Budget,
    /// What may be lost and last found no retry left; of several, what is lost first.
    missed: Option<Missed>,
    /// Segments that were sent and may be refused yet, oldest first.
    pending: VecDeque<Pending>,
    /// All there ever were; the pending ones are the last of them.
    shares: u64,
    spent: Spent,
}

#[derive(Debug, Clone, Copy)]
struct Missed {
    at: Instant,
    deadline: Instant,
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
            refusals: Recent::new(refusals),
            lateness: Budget::new(LATENESS, now),
            missed: None,
            pending: VecDeque::new(),
            shares: 0,
            spent: Spent::default(),
        }
    }

    /// Another budget for retries.
    pub(super) fn set_retries(&mut self, config: budget::Config, now: Instant) {
        self.retries = Budget::new(config, now);
    }

    /// Another cap for refusals.
    pub(super) fn set_refusals(&mut self, config: budget::Config) {
        self.refusals = Recent::new(config);
    }

    /// Whether this could be paid.
    pub(crate) fn affords(&mut self, price: Price, now: Instant) -> Result<(), Short> {
        if price.retry {
            self.settle(now);
            if self.stands_back(price, now) || self.retries.available(now) == 0 {
                self.miss(price, now);
                return Err(Short::Retries);
            }
        }
        if price.refusal && self.refusals.available(now) == 0 {
            return Err(Short::Refusals);
        }
        Ok(())
    }

    /// Whether others go first. Among those that may lose their segment it is the one that loses
    /// it first, by and large: whoever comes shortly after it need not wait for it to ask again.
    fn stands_back(&mut self, price: Price, now: Instant) -> bool {
        let within = |at: Instant, time| now.saturating_duration_since(at) < time;
        match (price.need, self.missed) {
            (Need::Loss, None) => false,
            (Need::Loss, Some(Missed { at, deadline })) => {
                within(at, ASKS_AGAIN) && deadline + ABOUT < price.deadline
            }
            (_, Some(Missed { at, .. })) if within(at, STAND_BACK) => true,
            (Need::Doubt, _) => false,
            (Need::Lateness, _) => self.lateness.available(now) == 0,
        }
    }

    /// Something went away empty-handed.
    fn miss(&mut self, price: Price, now: Instant) {
        let Price { need, deadline, .. } = price;
        let sooner = self.missed.is_none_or(|m| {
            deadline <= m.deadline || now.saturating_duration_since(m.at) >= ASKS_AGAIN
        });
        if need == Need::Loss && sooner {
            self.missed = Some(Missed { at: now, deadline });
        }
    }

    /// Pays for a submission that is made now.
    #[must_use]
    pub(crate) fn pay(&mut self, price: Price, now: Instant) -> bool {
        if self.affords(price, now).is_err() {
            return false;
        }
        // All of it is there: none can fail now.
        if price.retry && self.retries.take(now) {
            self.spent.retries += 1;
            self.missed.take_if(|m| price.deadline <= m.deadline);
        }
        if price.need == Need::Lateness && !self.lateness.take(now) {
            return false;
        }
        if price.refusal && self.refusals.take(now) {
            self.spent.refusals += 1;
        }
        true
    }

    /// A segment is sent for the first time. Part of what it brings waits until it is known that
    /// the node takes it on.
    pub(crate) fn segment(&mut self, now: Instant) -> Share {
        self.settle(now);
        let share = Share(self.shares);
        self.shares += 1;
        self.pending.push_back(Pending {
            at: now,
            over: false,
        });
        self.retries.segment_sent();
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
        if let Some(at) = self.decide(share) {
            self.retries.segment_taken(at);
        }
    }

    /// The node refused it, so that it brings its share when it is sent again. False if that
    /// comes so late that it counts as taken on.
    pub(crate) fn refused(&mut self, share: Share, now: Instant) -> bool {
        self.settle(now);
        let in_time = self.decide(share).is_some();
        if in_time {
            self.retries.segment_refused();
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
                self.retries.segment_taken(at);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn purse(now: Instant) -> Purse {
        Purse::new(budget::Config::default(), budget::Config::refusals(), now)
    }

    fn retry(need: Need, deadline: Instant) -> Price {
        Price {
            retry: true,
            refusal: false,
            need,
            deadline,
        }
    }

    /// Segments that bring a token.
    fn bring(purse: &mut Purse, now: Instant) {
        for _ in 0..10 {
            let share = purse.segment(now);
            purse.admitted(share);
        }
    }

    #[test]
    fn what_is_only_late_stands_back_for_what_may_be_lost() {
        let t0 = Instant::now();
        let mut p = purse(t0);
        let (loss, late) = (
            retry(Need::Loss, t0 + 3000 * MS),
            retry(Need::Lateness, t0 + 1000 * MS),
        );
        assert!(p.pay(loss, t0), "there is one");
        assert_eq!(p.affords(loss, t0), Err(Short::Retries));
        bring(&mut p, t0 + MS);
        for need in [Need::Lateness, Need::Doubt] {
            let other = retry(need, t0 + 1000 * MS);
            assert_eq!(p.affords(other, t0 + 2 * MS), Err(Short::Retries));
        }
        assert!(p.pay(loss, t0 + 2 * MS));
        // Nobody is in need any more.
        let later = t0 + 4000 * MS;
        assert!(p.pay(late, later));
    }

    #[test]
    fn what_is_lost_first_goes_first_unless_it_does_not_ask_again() {
        let t0 = Instant::now();
        let mut p = purse(t0);
        let (soon, far) = (
            retry(Need::Loss, t0 + 500 * MS),
            retry(Need::Loss, t0 + 2500 * MS),
        );
        assert!(p.pay(far, t0));
        assert_eq!(p.affords(soon, t0), Err(Short::Retries));
        bring(&mut p, t0 + MS);
        assert_eq!(p.affords(far, t0 + 2 * MS), Err(Short::Retries));
        let mut gone = p;
        assert!(
            gone.pay(far, t0 + 100 * MS),
            "it waits for no one who is gone"
        );
        assert_eq!(gone.affords(soon, t0 + 100 * MS), Err(Short::Retries));
    }

    #[test]
    fn what_is_only_late_keeps_to_its_part() {
        let t0 = Instant::now();
        let mut p = purse(t0);
        let mut paid = 0;
        for i in 0..1000u32 {
            let now = t0 + 2 * MS * i;
            let share = p.segment(now);
            p.arrived(now);
            p.admitted(share);
            paid += u32::from(p.pay(retry(Need::Lateness, now + 3000 * MS), now));
        }
        assert!((20..=33).contains(&paid), "{paid} of 1000");
    }

    #[test]
    fn a_segment_that_is_refused_brings_nothing_until_it_is_taken_on() {
        let t0 = Instant::now();
        let mut p = purse(t0);
        let loss = retry(Need::Loss, t0 + 3000 * MS);
        assert!(p.pay(loss, t0));
        let shares: Vec<Share> = (0..10).map(|_| p.segment(t0)).collect();
        assert_eq!(
            p.affords(loss, t0 + MS),
            Err(Short::Retries),
            "not known yet"
        );
        for share in &shares {
            assert!(p.refused(*share, t0 + MS));
        }
        let later = t0 + 2 * REFUSED_WITHIN;
        assert_eq!(p.affords(loss, later), Err(Short::Retries));
        assert_eq!(p.spent().segments, 0);
        bring(&mut p, later);
        assert!(p.pay(loss, later));
        let share = p.segment(later);
        assert!(
            !p.refused(share, later + REFUSED_WITHIN),
            "too late for a refusal"
        );
    }
}
