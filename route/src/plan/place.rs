//! Finds a node for what no submission covers.

use std::time::{Duration, Instant};

use rand::Rng;

use super::reason::GiveUp;
use super::trail::{Cause, Step, Wait};
use super::{Context, Plan};
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

    pub(super) fn pick<R: Rng>(
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
}
