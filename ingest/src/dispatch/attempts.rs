//! Attempts at one segment, one after another, until everything is there or nothing more can
//! be done.
//!
//! Where the next one goes is `route`'s decision; whether there is a next one is decided here:
//! by what is missing, by the budgets, by the number of attempts, and by the time. An attempt
//! whose time is up is only given up for a node that can still make it.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rackcast_route::{
    self as route, Choice, FailureKind, NoNode, NoNodeReason, NodeId, Reason as Picked, Table,
};
use rackcast_segment::wire::job::{Job, JobSpec};
use tokio::time::sleep_until;

use super::attempt::{Ended, attempt};
use super::flight::Flight;
use super::outstanding::Outstanding;
use super::{Dispatcher, Order, Reason, now};

/// Nothing tells when a node's own report of being full or draining grows old, so whoever
/// waits for a node looks again this often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the next submission has to be paid from.
#[derive(Debug, Clone, Copy)]
enum Debt {
    /// A node worked on the segment in vain.
    Retry(&'static str),
    /// The segment's body was not taken: cheap, so it has a budget of its own.
    Refusal(&'static str),
}

/// Why an attempt was given up.
enum Stop {
    Ended(Ended),
    /// Its time is up and another node takes over; the retry is paid.
    Overtaken,
    /// The segment's deadline.
    Deadline,
}

/// What was done for a segment so far.
pub(super) struct Attempts<'a> {
    dispatcher: &'a Dispatcher,
    order: &'a Order,
    /// Submissions that a node took on.
    attempts: u32,
    /// Nodes that failed: not asked again while there are others.
    tried: Vec<NodeId>,
    /// Of those, the ones that would only fail again.
    barred: Vec<NodeId>,
    /// Nodes that blame the segment.
    claims: Vec<NodeId>,
    debt: Option<Debt>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(dispatcher: &'a Dispatcher, order: &'a Order) -> Self {
        Self {
            dispatcher,
            order,
            attempts: 0,
            tried: Vec::new(),
            barred: Vec::new(),
            claims: Vec::new(),
            debt: None,
        }
    }

    /// Makes attempts until nothing is missing.
    ///
    /// # Errors
    /// Why nothing more can be done for what is missing.
    pub(super) async fn run(mut self, outstanding: &mut Outstanding) -> Result<(), Reason> {
        while !outstanding.is_empty() {
            if self.attempts >= self.dispatcher.config.max_attempts {
                return Err(Reason::Attempts);
            }
            let spec = JobSpec {
                renditions: outstanding.specs().to_vec(),
                ..self.order.spec.clone()
            };
            let (choice, flight) = self.place(spec.work()).await?;
            if !self.pay() {
                flight.call_off();
                return Err(Reason::Budget);
            }
            self.log_choice(&choice);
            let stop = self.watch(&choice, spec, outstanding).await;
            self.settle(stop, &choice, flight)?;
        }
        Ok(())
    }

    /// Finds a node, waiting for one where that can help.
    async fn place(&self, work: u64) -> Result<(Choice, Flight<'a>), Reason> {
        let deadline = self.order.deadline;
        loop {
            let mut freed = pin!(self.dispatcher.freed.notified());
            freed.as_mut().enable();
            let now = now();
            if now >= deadline {
                return Err(Reason::Deadline);
            }
            let no_node = {
                let mut table = self.dispatcher.table();
                match self.pick(&table, work, now) {
                    Ok(choice) => {
                        let ticket = table.start(&choice.node, work, now);
                        return Ok((choice, Flight::new(self.dispatcher, ticket, now)));
                    }
                    Err(no_node) => no_node,
                }
            };
            if !no_node.reason.may_pass() {
                return Err(Reason::NoNode(no_node.reason));
            }
            let again = now + LOOK_AGAIN;
            let again = no_node.retry_at.map_or(again, |at| at.min(again));
            tokio::select! {
                () = freed => {}
                () = sleep_until(again.min(deadline).into()) => {}
            }
        }
    }

    fn pick(&self, table: &Table, work: u64, now: Instant) -> Result<Choice, NoNode> {
        let pick = |tried| table.pick(&route::Job { work, tried }, now, &mut rand::rng());
        pick(&self.tried).or_else(|e| match e.reason {
            // A node that failed once is better than none.
            NoNodeReason::AllTried if self.barred.len() < self.tried.len() => pick(&self.barred),
            _ => Err(e),
        })
    }

    /// Takes the next submission out of its budget, if there is enough.
    fn pay(&mut self) -> bool {
        let Some(debt) = self.debt.take() else {
            return true;
        };
        let mut budgets = self.dispatcher.budgets();
        let (paid, cause) = match debt {
            Debt::Retry(cause) => (budgets.retries.take(now()), cause),
            Debt::Refusal(cause) => (budgets.refusals.take(now()), cause),
        };
        drop(budgets);
        if paid {
            self.count_retry(cause);
        }
        paid
    }

    fn count_retry(&self, cause: &str) {
        let retries = &self.dispatcher.metrics.retries;
        retries.with_label_values(&[cause]).inc();
    }

    /// Runs one attempt until it ends, another node should take over, or the deadline.
    async fn watch(&self, choice: &Choice, spec: JobSpec, outstanding: &mut Outstanding) -> Stop {
        let (began, deadline) = (now(), self.order.deadline);
        let left = deadline.saturating_duration_since(began);
        let work = spec.work();
        let job = Job {
            stream: self.order.token.clone(),
            sequence: self.order.sequence,
            deadline: left,
            attempt: self.attempts.saturating_add(1),
            quarantine: false,
            spec,
        };
        let body = self.order.body.clone();
        let complete = outstanding.complete();
        let mut call = pin!(attempt(
            self.dispatcher,
            &choice.endpoint,
            job,
            body,
            outstanding
        ));
        let share = left.mul_f64(self.dispatcher.config.attempt_share);
        let enough = choice.predicted.saturating_mul(2);
        let mut until = began + share.max(enough).min(left);
        loop {
            tokio::select! {
                ended = &mut call => return Stop::Ended(ended),
                () = sleep_until(until.into()) => {}
            }
            if until >= deadline {
                return Stop::Deadline;
            }
            if !complete.load(Ordering::Relaxed) && self.can_overtake(choice, work) {
                return Stop::Overtaken;
            }
            // Nobody can or need take over: all the time that is left is this node's.
            until = deadline;
        }
    }

    /// Another node is fit, could make it in time, and the retry can be paid.
    fn can_overtake(&self, choice: &Choice, work: u64) -> bool {
        let now = now();
        if self.attempts.saturating_add(1) >= self.dispatcher.config.max_attempts {
            return false;
        }
        let mut tried = self.tried.clone();
        tried.push(choice.node.clone());
        let job = route::Job {
            work,
            tried: &tried,
        };
        let other = self.dispatcher.table().pick(&job, now, &mut rand::rng());
        let left = self.order.deadline.saturating_duration_since(now);
        other.is_ok_and(|other| other.reason != Picked::LastResort && other.predicted < left)
            && self.dispatcher.budgets().retries.take(now)
    }

    /// Draws the consequences of an attempt's end.
    fn settle(&mut self, stop: Stop, choice: &Choice, flight: Flight<'_>) -> Result<(), Reason> {
        let node = flight.node().clone();
        match stop {
            Stop::Ended(Ended::Complete { load }) => {
                self.attempts += 1;
                let elapsed = flight.elapsed();
                let load = Some(load);
                flight.end(route::Outcome::Done { elapsed, load }, "complete");
                self.contradict();
            }
            Stop::Ended(Ended::Refused {
                code,
                retry_after,
                load,
            }) => {
                self.log_end(&node, code, "the node pushes back");
                self.dispatcher
                    .metrics
                    .refusals
                    .with_label_values(&[code])
                    .inc();
                flight.end(route::Outcome::Refused { retry_after, load }, "refused");
                self.debt = Some(Debt::Refusal("refused"));
            }
            Stop::Ended(Ended::Claim { code }) => {
                self.attempts += 1;
                self.log_end(&node, code, "the node blames the segment");
                flight.end(route::Outcome::Cancelled, "claim");
                self.claims.push(node.clone());
                self.bar(node);
                if self.claims.len() > 1 {
                    return Err(Reason::Poison);
                }
                self.debt = Some(Debt::Retry("claim"));
            }
            Stop::Ended(Ended::Failed { kind, detail }) => {
                self.log_end(&node, kind.as_str(), &detail);
                flight.end(route::Outcome::Failed(kind), kind.as_str());
                if kind == FailureKind::Connect {
                    self.debt = Some(Debt::Refusal(kind.as_str()));
                } else {
                    self.attempts += 1;
                    self.debt = Some(Debt::Retry(kind.as_str()));
                }
                match kind {
                    FailureKind::Broken | FailureKind::TimedOut => self.tried.push(node),
                    _ => self.bar(node),
                }
            }
            Stop::Overtaken => {
                self.attempts += 1;
                self.count_retry("timed-out");
                self.log_end(&node, "timed-out", "another node takes over");
                time_out(choice, flight);
                self.tried.push(node);
            }
            Stop::Deadline => {
                self.log_end(&node, "deadline", "the node is cancelled at the deadline");
                time_out(choice, flight);
                return Err(Reason::Deadline);
            }
        }
        Ok(())
    }

    /// The segment could be transcoded after all: whoever said otherwise failed.
    fn contradict(&mut self) {
        for node in self.claims.drain(..) {
            self.dispatcher.blame(&node, FailureKind::FalseClaim);
        }
    }

    fn bar(&mut self, node: NodeId) {
        self.barred.push(node.clone());
        self.tried.push(node);
    }

    fn log_choice(&self, choice: &Choice) {
        let first = self.attempts == 0 && self.tried.is_empty();
        let level = if first && choice.reason.is_ordinary() {
            log::Level::Debug
        } else {
            log::Level::Info
        };
        log::log!(level,
            rackcast_stream = self.order.id.to_string(),
            rackcast_segment = self.order.sequence.0,
            rackcast_node = choice.node.as_str(), rackcast_reason = choice.reason.as_str();
            "attempt {} goes to the node, predicted {} ms",
            self.attempts + 1, choice.predicted.as_millis());
    }

    fn log_end(&self, node: &NodeId, reason: &str, what: &str) {
        log::info!(
            rackcast_stream = self.order.id.to_string(),
            rackcast_segment = self.order.sequence.0,
            rackcast_node = node.as_str(), rackcast_reason = reason; "{what}");
    }
}

/// A node is to blame for its time being up only if it had the time that it should have needed.
fn time_out(choice: &Choice, flight: Flight<'_>) {
    if flight.elapsed() >= choice.predicted {
        let kind = FailureKind::TimedOut;
        flight.end(route::Outcome::Failed(kind), kind.as_str());
    } else {
        flight.end(route::Outcome::Cancelled, "cancelled");
    }
}
