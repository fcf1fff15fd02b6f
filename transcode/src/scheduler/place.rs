//! A job as the front holds it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rackcast_segment::wire::job::Job;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{EVENTS, Event, Order, Scheduler};
use crate::admission::Ticket;

/// A place in this node: dropping it withdraws the job, wherever it stands.
pub struct Place {
    scheduler: Arc<Scheduler>,
    ticket: Ticket,
    admitted: Instant,
    /// When the answer is worthless.
    pub deadline: Instant,
    cancel: CancellationToken,
}

impl Place {
    pub(super) fn new(
        scheduler: Arc<Scheduler>,
        ticket: Ticket,
        admitted: Instant,
        deadline: Instant,
    ) -> Self {
        Self {
            scheduler,
            ticket,
            admitted,
            deadline,
            cancel: CancellationToken::new(),
        }
    }

    /// The body is here. What becomes of it is heard over the channel, which closes without an
    /// end event only if the worker's task was dropped.
    pub fn submit(&self, job: Job, segment: Bytes) -> mpsc::Receiver<Event> {
        let (events, receiver) = mpsc::channel(EVENTS);
        let uploaded = self.admitted.elapsed().as_secs_f64();
        self.scheduler.metrics.jobs.upload.observe(uploaded);
        let order = Order {
            job,
            segment,
            admitted: self.admitted,
            deadline: self.deadline,
            events,
            cancel: self.cancel.clone(),
        };
        let mut state = self.scheduler.lock();
        state.orders.insert(self.ticket, order);
        state.admission.arrived(self.ticket);
        drop(state);
        self.scheduler.change();
        receiver
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cancel.cancel();
        let mut state = self.scheduler.lock();
        // One that runs is given back by its assignment, once the worker is free again.
        if state.orders.remove(&self.ticket).is_some() {
            self.scheduler.metrics.jobs.cancelled.inc();
        }
        state.admission.withdraw(self.ticket);
        drop(state);
        self.scheduler.publish();
    }
}
