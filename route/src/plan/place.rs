//! Finds a node for what no submission covers, and submits.

use std::time::{Duration, Instant};

use rand::Rng;

use super::attempt::AttemptId;
use super::flight::Flight;
use super::job::Action;
use super::reason::GiveUp;
use super::rescue::has_spare;
use super::trail::{Cause, NotHedged, Sent, Step, Wait};
use super::{Context, Plan};
use crate::member::NodeId;
use crate::renditions::Renditions;
use crate::router::{Need, Price, Short};
use crate::table::{Ask, Choice, NoNode, NoNodeReason, NodeRef, PickReason, Purpose};

/// The only chance is taken even if it is predicted to need so many times what is left.
/// Predictions are on the safe side, and a node that knows better refuses.
const ONLY_CHANCE: u32 = 2;

impl Plan {
    /// Submits what is uncovered, or waits for what is missing to do so, or gives up. When to
    /// look again, if it waits.
    pub(super) fn place<R: Rng>(
        &mut self,
        uncovered: Renditions,
        cx: &mut Context<'_, R>,
    ) -> Option<Instant> {
        if self.submitted() >= self.most(cx) {
            self.give_up(uncovered, GiveUp::Attempts, cx);
            return None;
        }
        let price = Price {
            retry: self.counted,
            refusal: self.refused,
            need: if self.claims.is_empty() {
                Need::Loss
            } else {
                Need::Doubt
            },
            deadline: self.job.deadline,
        };
        if let Err(short) = cx.router.purse().affords(price, cx.now) {
            let ready = cx.router.purse().ready_at(short, cx.now);
            let why = match short {
                Short::Retries | Short::Lateness => Wait::Retries,
                Short::Refusals => Wait::Refusals,
            };
            return Some(self.wait(why, ready, cx));
        }
        let purpose = match self.claims.first() {
            Some(node) => Purpose::SecondOpinion { not_zone_of: *node },
            None if !self.counted => Purpose::First,
            None => Purpose::Retry,
        };
        let cause = self.cause();
        let uncovered = self.still_allowed(uncovered, cx);
        if uncovered.is_empty() {
            return None;
        }
        let (choice, renditions) = match self.choose(uncovered, purpose, cx) {
            Ok(found) => found,
            Err(no_node) => return self.without_node(no_node, uncovered, cx),
        };
        self.give_up(uncovered.minus(renditions), GiveUp::Deadline, cx);
        if renditions.is_empty() {
            return None;
        }
        if !cx.router.purse().pay(price, cx.now) {
            return Some(self.wait(Wait::Retries, None, cx));
        }
        let moved_from = match purpose {
            Purpose::First => cx.router.set_home(self.job.stream, choice.home, cx.now),
            _ => None,
        };
        let first = self.next == 0;
        self.submit(&choice, renditions, cause, moved_from, cx);
        if first && self.job.precious {
            self.copies(choice.node, renditions, cx);
        }
        None
    }

    /// What has waited for a node while less came to be asked of the fleet is asked for less
    /// too: else the backlog of an overload is its dearest part.
    fn still_allowed<R>(&mut self, uncovered: Renditions, cx: &mut Context<'_, R>) -> Renditions {
        if !matches!(self.last_wait, Some(Wait::Node(_))) {
            return uncovered;
        }
        let rungs = self.job.works.len();
        let allowed = cx.router.allowed(self.job.stream, rungs);
        self.give_up(uncovered.minus(allowed), GiveUp::Degraded, cx);
        uncovered.intersection(allowed)
    }

    /// The most submissions.
    pub(super) fn most<R>(&self, cx: &Context<'_, R>) -> u32 {
        let config = cx.router.config();
        let copies = if self.job.precious {
            config.precious.copies.saturating_sub(1)
        } else {
            0
        };
        config.attempts.max.saturating_add(copies)
    }

    fn cause(&self) -> Cause {
        match self.last_failure {
            _ if self.next == 0 => Cause::First,
            _ if self.pushed_back => Cause::Refused,
            _ if !self.claims.is_empty() => Cause::SecondOpinion,
            Some(kind) => Cause::Retry(kind),
            None => Cause::Overtake,
        }
    }

    /// A node, and as much as it can be asked for. Nothing, if it is too late for anything.
    fn choose<R: Rng>(
        &mut self,
        uncovered: Renditions,
        purpose: Purpose,
        cx: &mut Context<'_, R>,
    ) -> Result<(Choice, Renditions), NoNode> {
        let left = self.left(cx.now);
        let patient = left.saturating_mul(ONLY_CHANCE);
        let within = if purpose == Purpose::First {
            patient
        } else {
            left
        };
        let mut renditions = uncovered;
        loop {
            let choice = self.pick(renditions, purpose, cx)?;
            if choice.predicted <= within {
                return Ok((choice, renditions));
            }
            let fewer = renditions.iter().next().map(|top| renditions.without(top));
            match fewer.filter(|fewer| !fewer.is_empty()) {
                Some(fewer) => renditions = fewer,
                None if choice.predicted <= patient => return Ok((choice, renditions)),
                None => return Ok((choice, Renditions::NONE)),
            }
        }
    }

    fn pick<R: Rng>(
        &mut self,
        renditions: Renditions,
        purpose: Purpose,
        cx: &mut Context<'_, R>,
    ) -> Result<Choice, NoNode> {
        let ask = Ask {
            work: self.job.work(renditions),
            time_left: self.left(cx.now),
            home: cx.router.home(self.job.stream),
            tried: &self.seen,
            purpose,
            trials: true,
            patient: self.counted || !cx.router.purse().presses(cx.now),
        };
        if !self.refused_by.is_empty() {
            // It may have room again, but nodes that have not refused are the better choice while
            // there are good ones.
            let failed = self.failed.iter().map(|f| f.node);
            let tried = self.seen.iter().chain(&self.refused_by).copied();
            let tried: Vec<NodeRef> = tried.chain(failed).collect();
            let others = Ask {
                tried: &tried,
                ..ask
            };
            let other = self.ask_table(&others, cx);
            let good = |c: &Choice| !matches!(c.reason, PickReason::LastResort | PickReason::Panic);
            if let Some(choice) = other.ok().filter(good) {
                return Ok(choice);
            }
        }
        let unreached = self.failed.iter().any(|f| f.unseen);
        if !unreached {
            match self.ask_table(&ask, cx) {
                Err(e) if e.reason == NoNodeReason::AllTried => {}
                result => return result,
            }
        }
        // Rare: a list of its own.
        let failed = self.failed.iter().map(|f| f.node);
        let mut tried: Vec<NodeRef> = self.seen.iter().copied().chain(failed).collect();
        let others = Ask {
            tried: &tried,
            ..ask
        };
        let result = self.ask_table(&others, cx);
        if !result.is_err_and(|e| e.reason == NoNodeReason::AllTried) {
            return result;
        }
        // A node that failed once is better than none.
        tried.retain(|node| !self.may_ask_again(*node, cx.now));
        let again = Ask {
            tried: &tried,
            ..ask
        };
        self.ask_table(&again, cx)
    }

    /// The table's choice; no node is tried out with a segment that could not be saved if that fails.
    fn ask_table<R: Rng>(&self, ask: &Ask<'_>, cx: &mut Context<'_, R>) -> Result<Choice, NoNode> {
        match cx.router.table().pick(ask, cx.now, cx.rng) {
            Ok(c) if c.reason == PickReason::Trial && !self.affords_trial(cx) => {
                let settled = Ask {
                    trials: false,
                    ..*ask
                };
                cx.router.table().pick(&settled, cx.now, cx.rng)
            }
            result => result,
        }
    }

    /// No node can have it: waiting helps, or nothing does.
    fn without_node<R: Rng>(
        &mut self,
        no_node: NoNode,
        uncovered: Renditions,
        cx: &mut Context<'_, R>,
    ) -> Option<Instant> {
        let NoNode { reason, retry_at } = no_node;
        if matches!(reason, NoNodeReason::AllBusy | NoNodeReason::AllFull) {
            self.trouble(cx);
        }
        let pauses = self.failed.iter().filter_map(|f| f.again);
        let again = pauses.filter(|again| *again > cx.now).min();
        let helps = reason.may_pass() || reason == NoNodeReason::NoMembers;
        if helps || again.is_some() {
            let ready = retry_at.into_iter().chain(again).min();
            return Some(self.wait(Wait::Node(reason), ready, cx));
        }
        let reason = match self.claims.is_empty() {
            true => GiveUp::NoNode(reason),
            false => GiveUp::Poison,
        };
        self.give_up(uncovered, reason, cx);
        None
    }

    /// Looks again soon, or when there is reason to.
    fn wait<R>(&mut self, why: Wait, ready: Option<Instant>, cx: &mut Context<'_, R>) -> Instant {
        self.waits = Some(why);
        if !self.counted {
            cx.router.purse().hindered(cx.now);
        }
        if self.last_wait != Some(why) {
            self.last_wait = Some(why);
            self.record(Step::Waiting { why }, cx);
        }
        let again = cx.now + cx.router.config().attempts.look_again;
        ready.map_or(again, |at| at.min(again))
    }

    pub(super) fn left(&self, now: Instant) -> Duration {
        self.job.deadline.saturating_duration_since(now)
    }

    /// Copies of a precious segment, to as many other nodes while these have slots to spare: what
    /// others are degraded for is not spent twice. One that finds no node is left out: the first
    /// submission is there.
    fn copies<R: Rng>(&mut self, first: NodeRef, renditions: Renditions, cx: &mut Context<'_, R>) {
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

    fn submit<R>(
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
