//! A submission that is slow or hangs: a second one beside it, or in its place.

use std::time::{Duration, Instant};

use rand::Rng;

use super::flight::Flight;
use super::trail::{CancelReason, Cause, NotHedged, Step};
use super::{Context, Plan};
use crate::router::{Need, Price, Short};
use crate::table::{Ask, Choice, PickReason, Purpose, Standing};

/// A submission of a class of which too little is known is slow after this many times what was
/// predicted.
const SLOW: f64 = 1.5;
/// Of what a node has when it turns out to be late, what was sent last is hedged first: it gains
/// most. What was sent before stands back by this part of the time that it has been out.
const STANDS_BACK: f64 = 0.02;
/// When a hedge is due.
struct Due {
    at: Instant,
    /// When to look again, if it is not yet.
    look_at: Instant,
    need: Need,
}

impl Plan {
    /// Looks after the submission on which everything that is missing depends; when to look
    /// again.
    pub(super) fn rescue<R: Rng>(&mut self, cx: &mut Context<'_, R>) -> Option<Instant> {
        // A segment that is blamed is not sent to ever more nodes.
        if !self.claims.is_empty() || self.submitted() >= self.most(cx) {
            return None;
        }
        let Some((at, flight)) = self.lonely() else {
            return self.rescue_from_all(cx);
        };
        let hung_at = flight.hung_at;
        let mut again = hung_at;
        if cx.router.config().hedge.enabled && !self.hedged {
            let due = self.hedge_due(flight, cx);
            if due.at <= cx.now {
                match self.hedge(at, due.need, cx) {
                    Ok(()) => return self.rescue(cx),
                    Err(why) => self.not_hedged(why, cx),
                }
            }
            again = again.min(due.look_at);
        }
        if cx.now >= hung_at && self.take_over(at, cx) {
            return self.rescue(cx);
        }
        let soon = cx.now + cx.router.config().attempts.look_again;
        Some(if again > cx.now { again } else { soon })
    }

    /// Several can still bring something: while one of them does not hang, that will do. When all do,
    /// the one that was sent first is given up.
    fn rescue_from_all<R: Rng>(&mut self, cx: &mut Context<'_, R>) -> Option<Instant> {
        let all_hang_at = self.useful().map(|f| f.hung_at).max()?;
        if cx.now < all_hang_at {
            return Some(all_hang_at);
        }
        let first = self.useful().min_by_key(|f| f.sent)?.attempt;
        let at = self.flights.iter().position(|f| f.attempt == first)?;
        if self.take_over(at, cx) {
            return self.rescue(cx);
        }
        Some(cx.now + cx.router.config().attempts.look_again)
    }

    /// The only submission that can still bring something, if there is but one.
    fn lonely(&self) -> Option<(usize, &Flight)> {
        let mut useful = self.useful();
        let flight = useful.next()?;
        if useful.next().is_some() {
            return None;
        }
        let at = self
            .flights
            .iter()
            .position(|f| f.attempt == flight.attempt);
        Some((at?, flight))
    }

    /// When a second submission is due beside this one: at once if it is a trial of its node;
    /// after what was predicted if its node has come under suspicion since; else when it takes
    /// longer than nearly all of its class.
    fn hedge_due<R>(&self, flight: &Flight, cx: &Context<'_, R>) -> Due {
        let expected = flight.expected_at();
        if flight.trial {
            return Due {
                at: flight.sent,
                look_at: expected,
                need: Need::Trial,
            };
        }
        let config = &cx.router.config().hedge;
        let usual = cx.router.slow_after(self.job.work(flight.renditions));
        let times = usual.unwrap_or(SLOW).max(1.0);
        let slow = Duration::try_from_secs_f64(flight.predicted.as_secs_f64() * times);
        let slow = slow.unwrap_or(Duration::MAX).max(config.min_delay);
        let slow = flight.sent.checked_add(slow).unwrap_or(flight.hung_at);
        let table = cx.router.table();
        let bad = table.stands(flight.node, cx.now).is_none_or(|standing| {
            use Standing::{Ejected, Failed, Slow, ZoneLeft};
            matches!(standing, Ejected(..) | Failed | Slow | ZoneLeft)
        });
        let late_from = table.late_from(flight.node);
        let late_since = late_from.filter(|at| *at <= cx.now);
        if let Some(since) = late_since.filter(|_| flight.got.is_empty()) {
            let at = since
                + since
                    .saturating_duration_since(flight.sent)
                    .mul_f64(STANDS_BACK);
            return Due {
                at,
                look_at: if at > cx.now { at } else { expected },
                need: Need::Slow,
            };
        }
        let late = late_since.is_some();
        let suspect = bad || late || table.is_suspect(flight.node, cx.now);
        let suspect = suspect && cx.now >= expected;
        let look_at = if cx.now < expected { expected } else { slow };
        Due {
            at: if suspect { expected } else { slow },
            look_at: late_from.map_or(look_at, |at| at.min(look_at)),
            // What is only late may yet come: what has failed goes first.
            need: match () {
                () if suspect && bad => Need::Loss,
                () if suspect && late => Need::Slow,
                () => Need::Lateness,
            },
        }
    }

    fn hedge<R: Rng>(
        &mut self,
        at: usize,
        need: Need,
        cx: &mut Context<'_, R>,
    ) -> Result<(), NotHedged> {
        let price = Price {
            retry: true,
            refusal: false,
            need,
            deadline: self.job.deadline,
        };
        let purse = cx.router.purse();
        purse.affords(price, cx.now).map_err(|short| match short {
            Short::Lateness => NotHedged::Lateness,
            Short::Retries | Short::Refusals => NotHedged::Budget,
        })?;
        if !has_spare(cx) {
            return Err(NotHedged::NoSpare);
        }
        let choice = self.another(at, Purpose::Hedge, cx);
        let choice = choice.ok_or(NotHedged::NoNode)?;
        if !cx.router.purse().pay(price, cx.now) {
            return Err(NotHedged::Budget);
        }
        self.hedged = true;
        self.send(&choice, self.missing, Cause::Hedge, cx);
        Ok(())
    }

    /// Whether a node may be tried out: another one has to have the segment as well.
    pub(super) fn affords_trial<R>(&self, cx: &mut Context<'_, R>) -> bool {
        let price = Price {
            retry: true,
            refusal: false,
            need: Need::Trial,
            deadline: self.job.deadline,
        };
        !cx.router.config().hedge.enabled
            || (cx.router.purse().affords(price, cx.now).is_ok() && has_spare(cx))
    }

    /// Cancels a submission that hangs, in favour of one that can be in time.
    fn take_over<R: Rng>(&mut self, at: usize, cx: &mut Context<'_, R>) -> bool {
        let price = Price {
            retry: true,
            refusal: false,
            need: Need::Loss,
            deadline: self.job.deadline,
        };
        if cx.router.purse().affords(price, cx.now).is_err() {
            return false;
        }
        let Some(choice) = self.another(at, Purpose::Retry, cx) else {
            return false;
        };
        if matches!(choice.reason, PickReason::LastResort | PickReason::Panic)
            || !cx.router.purse().pay(price, cx.now)
        {
            return false;
        }
        self.cancel(at, CancelReason::Hung, cx);
        self.send(&choice, self.missing, Cause::Overtake, cx);
        true
    }

    /// Another node that can have all that is missing there in time.
    fn another<R: Rng>(
        &self,
        at: usize,
        purpose: Purpose,
        cx: &mut Context<'_, R>,
    ) -> Option<Choice> {
        let ask = Ask {
            work: self.job.work(self.missing),
            time_left: self.left(cx.now),
            home: cx.router.home(self.job.stream),
            tried: &self.seen,
            purpose,
            trials: false,
            patient: true,
        };
        let slow = self.flights.get(at)?.node;
        let choice = cx.router.table().pick(&ask, cx.now, cx.rng).ok()?;
        let fit = choice.node != slow && choice.predicted <= self.left(cx.now);
        fit.then_some(choice)
    }

    pub(super) fn not_hedged<R>(&mut self, why: NotHedged, cx: &mut Context<'_, R>) {
        if self.not_hedged != Some(why) {
            self.not_hedged = Some(why);
            self.record(Step::NotHedged { why }, cx);
        }
    }
}

/// So many slots are free that a second submission takes none from a first.
pub(super) fn has_spare<R>(cx: &Context<'_, R>) -> bool {
    cx.router.free_share(cx.now) > cx.router.config().hedge.free_slots
}
