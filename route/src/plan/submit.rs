//! Submits: the first time, again, beside another, in several copies.

use std::time::{Duration, Instant};

use rand::Rng;

use super::attempt::AttemptId;
use super::flight::Flight;
use super::job::Action;
use super::rescue::has_spare;
use super::trail::{Cause, NotHedged, Sent, Step};
use super::{Context, Plan};
use crate::member::NodeId;
use crate::renditions::Renditions;
use crate::table::{Choice, NodeRef, PickReason, Purpose};

impl Plan {
    /// Copies of a precious segment, to as many other nodes while these have slots to spare: what
    /// others are degraded for is not spent twice. One that finds no node is left out: the first
    /// submission is there.
    pub(super) fn copies<R: Rng>(
        &mut self,
        first: NodeRef,
        renditions: Renditions,
        cx: &mut Context<'_, R>,
    ) {
        let copies = cx.router.config().precious.copies;
        if copies > 1 && !has_spare(cx) {
            return self.not_hedged(NotHedged::NoSpare, cx);
        }
        for _ in 1..copies {
            let purpose = Purpose::Copy { not_zone_of: first };
            let Ok(choice) = self.pick(renditions, purpose, cx) else {
                return;
            };
            if self.seen.contains(&choice.node) || choice.predicted > self.left(cx.now) {
                return;
            }
            cx.router.purse().copy();
            self.send(&choice, renditions, Cause::Copy, cx);
        }
    }

    /// Submits, and the stream stays at home. What it costs is paid.
    pub(super) fn send<R>(
        &mut self,
        choice: &Choice,
        renditions: Renditions,
        cause: Cause,
        cx: &mut Context<'_, R>,
    ) {
        self.submit(choice, renditions, cause, None, cx);
    }

    pub(super) fn submit<R>(
        &mut self,
        choice: &Choice,
        renditions: Renditions,
        cause: Cause,
        moved_from: Option<NodeId>,
        cx: &mut Context<'_, R>,
    ) {
        let attempt = AttemptId(self.next);
        let paid = cause != Cause::Copy && self.counted;
        let refusable_until = cx.router.refusable_until(choice.node, cx.now);
        self.next = self.next.saturating_add(1);
        if cause != Cause::Copy {
            self.count(attempt, refusable_until, cx);
            self.refused = false;
            self.pushed_back = false;
            self.last_wait = None;
        }
        let number = self.submitted().saturating_add(1);
        let suspect = !self.claims.is_empty();
        let table = cx.router.table_mut();
        let work = self.job.work(renditions);
        let ticket = table.start(
            choice.node,
            work,
            renditions.len(),
            choice.predicted,
            cx.now,
        );
        let trial = ticket.is_trial();
        let named = |node: NodeRef| table.member(node).map(|m| m.id.clone());
        let name = named(choice.node).unwrap_or_else(|| "".into());
        let alternatives = choice.alternatives.map(|alternative| {
            let alternative = alternative?;
            Some((named(alternative.node)?, alternative.predicted))
        });
        let sent = Sent {
            attempt,
            moved_from,
            number,
            node: name.clone(),
            cause,
            renditions,
            reason: choice.reason,
            predicted: choice.predicted,
            alternatives,
        };
        if !self.seen.contains(&choice.node) {
            self.seen.push(choice.node);
        }
        self.flights.push(Flight {
            attempt,
            node: choice.node,
            name,
            ticket,
            sent: cx.now,
            predicted: choice.predicted,
            renditions,
            got: Renditions::NONE,
            last: cx.now,
            hedge: cause == Cause::Hedge,
            paid,
            trial,
            refusable_until,
            hung_at: self.hung_at(choice, cx),
        });
        cx.actions.push(Action::Send {
            attempt,
            node: choice.node,
            renditions,
            number,
            suspect,
        });
        self.record(Step::Sent(sent), cx);
    }

    /// The segment is sent for the first time, or as if it were.
    fn count<R>(&mut self, attempt: AttemptId, until: Instant, cx: &mut Context<'_, R>) {
        if self.counted {
            return;
        }
        self.counted = true;
        if self.next == 1 {
            cx.router.purse().arrived(cx.now);
        }
        self.share = Some((attempt, cx.router.purse().segment(until, cx.now)));
    }

    fn hung_at<R>(&self, choice: &Choice, cx: &Context<'_, R>) -> Instant {
        let config = &cx.router.config().attempts;
        let predicted = choice.predicted;
        let share = self.left(cx.now).mul_f64(config.share);
        // What is predicted of a node that was never measured is what the catalog claims: work
        // that is nearly done is not thrown away for that.
        let patience = match choice.reason {
            PickReason::Unmeasured => f64::INFINITY,
            _ => predicted.as_secs_f64() * config.patience,
        };
        let patience = Duration::try_from_secs_f64(patience).unwrap_or(Duration::MAX);
        let least = predicted.saturating_mul(2).max(config.look_again);
        let patience = patience.min(share).max(least);
        cx.now
            .checked_add(patience)
            .unwrap_or(self.job.deadline)
            .min(self.job.deadline)
    }
}
