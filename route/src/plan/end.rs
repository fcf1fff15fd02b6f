//! How submissions end, and what follows.

use std::time::Instant;

use rand::Rng;

use super::attempt::AttemptId;
use super::flight::Flight;
use super::job::{Action, End};
use super::reason::GiveUp;
use super::trail::{CancelReason, Ending, Step, Wait};
use super::{Context, Failure, Plan};
use crate::table::{FailureKind, NodeRef, Outcome};

impl Plan {
    /// A submission ended by itself.
    pub(super) fn ended<R: Rng>(&mut self, attempt: AttemptId, end: End, cx: &mut Context<'_, R>) {
        let Some(at) = self.flights.iter().position(|f| f.attempt == attempt) else {
            return;
        };
        let flight = self.flights.swap_remove(at);
        let end = plausible(end, &flight);
        let unseen = FailureKind::Connect;
        if !matches!(end, End::Refused { .. }) && end != (End::Failed { kind: unseen }) {
            self.admitted(attempt, cx);
        }
        match end {
            End::Complete { timing, load } if flight.is_complete() => {
                let elapsed = flight.took();
                let work = self.job.work(flight.renditions);
                cx.router.took(work, elapsed, flight.predicted, cx.now);
                self.taken += 1;
                self.ending(&flight, Ending::Complete, cx);
                let outcome = Outcome::Done {
                    elapsed,
                    timing,
                    load,
                };
                self.settle(flight, outcome, cx);
            }
            End::Complete { .. } => self.failure(flight, FailureKind::Protocol, cx),
            End::Refused {
                code,
                retry_after,
                load,
            } => {
                self.ending(&flight, Ending::Refused { code, retry_after }, cx);
                self.not_taken(&flight, cx);
                self.pushed_back |= !flight.hedge;
                self.refused_by.push(flight.node);
                if !load.is_some_and(|load| load.draining) {
                    self.trouble(cx);
                }
                self.settle(flight, Outcome::Refused { retry_after, load }, cx);
            }
            End::Claim { code } => {
                self.taken += 1;
                self.ending(&flight, Ending::Claim { code }, cx);
                let node = flight.node;
                self.settle(flight, Outcome::Claimed, cx);
                self.claimed(node, cx);
            }
            End::Failed { kind } => self.failure(flight, kind, cx),
        }
    }

    fn failure<R: Rng>(&mut self, flight: Flight, kind: FailureKind, cx: &mut Context<'_, R>) {
        self.ending(&flight, Ending::Failed(kind), cx);
        self.last_failure = Some(kind);
        self.pushed_back = false;
        let unseen = kind == FailureKind::Connect;
        if unseen {
            self.not_taken(&flight, cx);
        } else {
            self.taken += 1;
        }
        let certain = matches!(kind, FailureKind::WrongMedia | FailureKind::Protocol);
        let again = cx.now + cx.router.config().attempts.again;
        self.failed.retain(|f| f.node != flight.node);
        self.failed.push(Failure {
            node: flight.node,
            again: (!certain).then_some(again),
            unseen,
        });
        self.settle(flight, Outcome::Failed(kind), cx);
    }

    /// The body was not read: nothing was done, and the next submission is paid for as one
    /// after a refusal.
    fn not_taken<R>(&mut self, flight: &Flight, cx: &mut Context<'_, R>) {
        let again = self.failed.iter().any(|f| f.node == flight.node);
        if !again {
            self.seen.retain(|node| *node != flight.node);
        }
        if flight.paid {
            let until = flight.refusable_until;
            cx.router.purse().refund(flight.sent, until, cx.now);
        }
        if flight.hedge {
            return;
        }
        self.refused = true;
        if let Some((_, share)) = self.share.take_if(|(of, _)| *of == flight.attempt) {
            self.share_back = cx.router.purse().refused(share, cx.now);
        }
        // Unless another is out that may have been taken on instead.
        if self.share_back && self.submitted() == 0 {
            self.share_back = false;
            self.counted = false;
        }
    }

    fn ending<R>(&mut self, flight: &Flight, how: Ending, cx: &mut Context<'_, R>) {
        let step = Step::Ended {
            attempt: flight.attempt,
            node: flight.name.clone(),
            elapsed: flight.elapsed(cx.now),
            how,
        };
        self.record(step, cx);
    }

    /// Gives the ticket back; the node's slot is free from now on.
    pub(super) fn settle<R: Rng>(
        &mut self,
        flight: Flight,
        outcome: Outcome,
        cx: &mut Context<'_, R>,
    ) {
        let node = flight.name.clone();
        let table = cx.router.table_mut();
        let change = table.finish(flight.ticket, outcome, cx.now, cx.rng);
        if let Some(change) = change {
            self.record(Step::Standing { node, change }, cx);
        }
        cx.actions.push(Action::NodeFreed);
    }

    /// Cancels the submission at this place in the list.
    pub(super) fn cancel<R: Rng>(&mut self, at: usize, why: CancelReason, cx: &mut Context<'_, R>) {
        if at >= self.flights.len() {
            return;
        }
        let flight = self.flights.swap_remove(at);
        self.taken += 1;
        cx.actions.push(Action::Cancel {
            attempt: flight.attempt,
        });
        let elapsed = flight.elapsed(cx.now);
        let step = Step::Cancelled {
            attempt: flight.attempt,
            node: flight.name.clone(),
            elapsed,
            why,
        };
        self.record(step, cx);
        let late = matches!(why, CancelReason::Hung | CancelReason::Deadline);
        let outcome = if flight.is_complete() {
            Outcome::Done {
                elapsed: flight.took(),
                timing: None,
                load: None,
            }
        } else if late && flight.is_overdue(cx.now) {
            Outcome::Failed(FailureKind::TimedOut)
        } else {
            Outcome::Cancelled
        };
        if why != CancelReason::Abandoned {
            let work = self.job.work(flight.renditions);
            cx.router.took(work, elapsed, flight.predicted, cx.now);
        }
        self.settle(flight, outcome, cx);
    }

    /// Cancels what has nothing left to win. What has only its summary left to send may send
    /// it, and a trial is to show how long it takes.
    pub(super) fn drop_losers<R: Rng>(&mut self, cx: &mut Context<'_, R>) {
        let missing = self.missing;
        let lost = |f: &Flight| {
            !f.trial && !f.is_complete() && f.outstanding().intersection(missing).is_empty()
        };
        while let Some(at) = self.flights.iter().position(lost) {
            self.cancel(at, CancelReason::Lost, cx);
        }
    }

    /// The deadline: everything is cancelled and what is missing will not come.
    pub(super) fn expire<R: Rng>(&mut self, cx: &mut Context<'_, R>) {
        let uncovered = self.uncovered();
        let late = self.missing.minus(uncovered);
        self.cancel_all(CancelReason::Deadline, cx);
        // After a failure it is that which took the time.
        if !self.missing.is_empty() && self.failed.is_empty() && self.claims.is_empty() {
            self.trouble(cx);
        }
        self.give_up(late, GiveUp::Deadline, cx);
        let reason = match self.last_wait {
            Some(Wait::Node(reason)) => GiveUp::NoNode(reason),
            Some(Wait::Retries | Wait::Refusals) => GiveUp::Budget,
            None => GiveUp::Deadline,
        };
        self.give_up(uncovered, reason, cx);
    }

    pub(super) fn abandon<R: Rng>(&mut self, cx: &mut Context<'_, R>) {
        self.cancel_all(CancelReason::Abandoned, cx);
        self.over = true;
        self.wake = None;
        self.waits = None;
    }

    pub(super) fn cancel_all<R: Rng>(&mut self, why: CancelReason, cx: &mut Context<'_, R>) {
        while !self.flights.is_empty() {
            self.cancel(0, why, cx);
        }
    }

    /// Nodes that may be asked again, since no other is left.
    pub(super) fn may_ask_again(&self, node: NodeRef, now: Instant) -> bool {
        let failure = self.failed.iter().find(|f| f.node == node);
        let pause = failure.and_then(|f| f.again);
        let out = self.flights.iter().any(|f| f.node == node);
        pause.is_some_and(|again| now >= again) && !out && !self.claims.contains(&node)
    }
}

/// Whoever sent a rendition cannot have refused the segment, nor be unable to transcode it.
fn plausible(end: End, flight: &Flight) -> End {
    let kind = match end {
        _ if flight.got.is_empty() => return end,
        End::Refused { .. } => FailureKind::Protocol,
        End::Claim { .. } => FailureKind::Internal,
        End::Failed {
            kind: FailureKind::Connect,
        } => FailureKind::Broken,
        End::Complete { .. } | End::Failed { .. } => return end,
    };
    End::Failed { kind }
}
