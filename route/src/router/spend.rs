//! The two budgets, and who goes first when one is short.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::budget::{self, Budget};
use super::config::Retries;
use super::flow::{Entry, Flow};
use super::recent::Recent;

/// How long what can wait stands back after something that cannot went away empty-handed.
const STAND_BACK: Duration = Duration::from_millis(200);
/// Whoever found nothing left asks again within this time, or needs nothing any more.
const ASKS_AGAIN: Duration = Duration::from_millis(60);
/// Deadlines that are as good as the same.
const ABOUT: Duration = Duration::from_millis(300);

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
    /// Its node is slow, so that the segment will be late.
    Slow,
    /// Its node is on trial, and may turn out to be no better.
    Trial,
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
    flow: Flow,
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
    pub(super) fn new(retries: Retries, refusals: budget::Config, now: Instant) -> Self {
        Self {
            retries: Budget::new(retries.into(), now),
            refusals: Recent::new(refusals),
            lateness: Budget::new(retries.for_lateness(), now),
            flow: Flow::new(retries.into(), retries.ahead, now),
            missed: None,
            pending: VecDeque::new(),
            shares: 0,
            spent: Spent::default(),
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
            if self.stands_back(price, now) || self.available(now) == 0 {
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
            (Need::Lateness, _) => self.lateness.available(now) == 0,
            (Need::Doubt | Need::Slow | Need::Trial, _) => false,
        }
    }

    fn available(&mut self, now: Instant) -> u32 {
        // What is allowed even if nothing comes any more is allowed.
        let ahead = self.retries.long(now).min(self.flow.available(now));
        ahead.max(self.retries.available(now))
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
        if price.retry {
            self.retries.grant(now);
            self.flow.granted(now);
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
        if let Some(at) = self.decide(share) {
            self.retries.segment_taken(at);
        }
    }

    /// The node refused it, so that it brings its share when it is sent again. False if that
    /// comes so late that it counts as taken on.
    pub(crate) fn refused(&mut self, share: Share, now: Instant) -> bool {
        self.settle(now);
        let sent = self.decide(share);
        let in_time = sent.is_some();
        if in_time {
            self.retries.segment_refused();
            if let Some(at) = sent {
                self.flow.refused(at, now);
            }
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

    /// What was paid at `at` was for nothing: the node did not take it on. What is refused so late
    /// that it counts as taken on stays paid.
    pub(crate) fn refund(&mut self, at: Instant, now: Instant) {
        let in_time = now.saturating_duration_since(at) < REFUSED_WITHIN;
        if in_time && self.retries.refund(at, now) {
            self.flow.refunded(at, now);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn purse(now: Instant) -> Purse {
        Purse::new(Retries::default(), budget::Config::refusals(), now)
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

    #[test]
    fn a_burst_is_paid_at_once_and_no_window_exceeds_the_bound() {
        let t0 = Instant::now();
        let mut p = purse(t0);
        // A hundred streams whose segments come every two seconds; all that a node has fails
        // again and again, and everybody wants to be paid.
        let period = 2000 * MS;
        let mut due = vec![None; 100];
        let (mut segments, mut grants) = (Vec::new(), Vec::new());
        for tick in 0..1200u32 {
            let now = t0 + 20 * MS * tick;
            let stream = usize::try_from(tick % 100).unwrap();
            if let Some(entry) = due[stream].take() {
                p.unexpect(entry);
            }
            due[stream] = p.expect(now + period, now);
            let share = p.segment(now);
            p.arrived(now);
            p.admitted(share);
            segments.push(now);
            // Bursts of eight every three seconds, and one at a time between them.
            let wanted = if tick % 150 == 0 {
                8
            } else {
                u32::from(tick % 40 == 0)
            };
            for _ in 0..wanted {
                if p.pay(retry(Need::Slow, now + 3000 * MS), now) {
                    grants.push(now);
                }
            }
        }
        let at_once = |at| grants.iter().filter(|g| **g == at).count();
        let most = grants.iter().map(|g| at_once(*g)).max().unwrap();
        assert!((4..=6).contains(&most), "{most} at once");
        for (i, from) in grants.iter().enumerate() {
            for to in &grants[i..] {
                let length = (*to - *from).max(1000 * MS);
                let within = |at: &&Instant| **at >= *from && **at <= *from + length;
                let n = segments.iter().filter(within).count();
                let spent = grants.iter().filter(within).count();
                // Windows that reach beyond the end lack what did not come any more.
                let whole = *from + length <= t0 + 20 * MS * 1199;
                let most = 0.1 * n as f64 + length.as_secs_f64();
                assert!(!whole || spent as f64 <= most + 1e-6, "{spent} > {most}");
            }
        }
    }

    #[test]
    fn what_a_node_refused_at_once_is_given_back() {
        let t0 = Instant::now();
        let mut p = purse(t0);
        let loss = retry(Need::Loss, t0 + 3000 * MS);
        assert!(p.pay(loss, t0));
        assert_eq!(p.affords(loss, t0 + MS), Err(Short::Retries));
        p.refund(t0, t0 + 100 * MS);
        assert_eq!(p.spent().retries, 0);
        assert!(p.pay(loss, t0 + 100 * MS));
        // What comes so late is no refusal: the node had read it.
        p.refund(t0 + 100 * MS, t0 + 100 * MS + REFUSED_WITHIN);
        assert_eq!(p.spent().retries, 1);
    }
}
