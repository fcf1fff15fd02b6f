//! A job that a node has: whatever happens to the task, the table hears of its end.

use std::time::{Duration, Instant};

use rackcast_route::{Change, NodeId, Outcome, Ticket};

use super::{Dispatcher, now};

/// Gives its ticket back when it ends; dropped without an end, the job was cancelled.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    dispatcher: &'a Dispatcher,
    node: NodeId,
    ticket: Option<Ticket>,
    sent: Instant,
}

impl<'a> Flight<'a> {
    pub(super) fn new(dispatcher: &'a Dispatcher, ticket: Ticket, sent: Instant) -> Self {
        Self {
            dispatcher,
            node: ticket.node().clone(),
            ticket: Some(ticket),
            sent,
        }
    }

    pub(super) fn node(&self) -> &NodeId {
        &self.node
    }

    /// How long the node has had the job.
    pub(super) fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.sent)
    }

    /// The job ended; `result` is how, as the metric calls it.
    pub(super) fn end(mut self, outcome: Outcome, result: &str) {
        self.settle(outcome, result);
    }

    /// The job was not sent after all.
    pub(super) fn call_off(mut self) {
        self.give_back(Outcome::Cancelled);
    }

    fn settle(&mut self, outcome: Outcome, result: &str) {
        if let Some(change) = self.give_back(outcome) {
            let attempts = &self.dispatcher.metrics.attempts;
            attempts.with_label_values(&[result]).inc();
            log_change(&self.node, change, result);
        }
    }

    /// What the end changed; `None` if the ticket was given back before.
    fn give_back(&mut self, outcome: Outcome) -> Option<Option<Change>> {
        let ticket = self.ticket.take()?;
        let mut table = self.dispatcher.table();
        let change = table.finish(ticket, outcome, now(), &mut rand::rng());
        drop(table);
        self.dispatcher.freed.notify_waiters();
        Some(change)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.settle(Outcome::Cancelled, "cancelled");
    }
}

/// Says when a node's standing changes.
pub(super) fn log_change(node: &NodeId, change: Option<Change>, reason: &str) {
    match change {
        Some(Change::Ejected(length)) => {
            log::warn!(rackcast_node = node.as_str(), rackcast_reason = reason;
                "the node is ejected for {:.1} s", length.as_secs_f64());
        }
        Some(Change::Returned) => {
            log::info!(rackcast_node = node.as_str(), rackcast_reason = "trial-passed";
                "the node is back");
        }
        None => {}
    }
}
