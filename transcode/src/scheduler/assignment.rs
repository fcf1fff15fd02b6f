//! A job as a worker holds it, and as the worker after that does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_segment::id::RenditionName;
use rackcast_segment::wire::job::{Job, JobSpec};
use rackcast_segment::wire::reply::RefusalCode;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Event, Order, Scheduler};
use crate::admission::Ticket;
use crate::device::Device;
use crate::metrics::{Took, class};
use crate::pipeline::Spent;

/// Why nobody waits for a job any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// Its client went away.
    Gone,
    /// Its deadline has passed.
    Late,
}

/// A job in the hands of a worker: dropping it frees the slot.
///
/// It outlives a worker that dies over it: it knows which renditions have left, and asks the
/// next worker for the others only.
pub struct Assignment {
    scheduler: Arc<Scheduler>,
    ticket: Ticket,
    device: usize,
    started: Instant,
    /// The job, as the caller sent it.
    pub job: Job,
    /// Its body.
    pub segment: Bytes,
    queued: Duration,
    deadline: Instant,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
    sent: Vec<RenditionName>,
    told: bool,
    retried: bool,
    /// When nobody wanted it any more.
    stopped: Option<Instant>,
}

impl Assignment {
    pub(super) fn new(
        scheduler: Arc<Scheduler>,
        ticket: Ticket,
        device: usize,
        started: Instant,
        order: Order,
    ) -> Self {
        Self {
            scheduler,
            ticket,
            device,
            started,
            job: order.job,
            segment: order.segment,
            queued: started.saturating_duration_since(order.admitted),
            deadline: order.deadline,
            events: order.events,
            cancel: order.cancel,
            sent: Vec::new(),
            told: false,
            retried: false,
            stopped: None,
        }
    }

    /// A name for the job, unique in this process.
    pub fn id(&self) -> u64 {
        self.ticket.into()
    }

    /// What is still to be done.
    pub fn missing(&self) -> JobSpec {
        let mut spec = self.job.spec.clone();
        spec.renditions.retain(|r| !self.sent.contains(&r.name));
        spec
    }

    /// Every rendition has been passed on.
    pub fn is_complete(&self) -> bool {
        self.missing().renditions.is_empty()
    }

    /// Passes a rendition on. False if it is not missing, and is not passed on.
    #[must_use]
    pub fn rendition(&mut self, name: RenditionName, media: Bytes) -> bool {
        if !self.missing().renditions.iter().any(|r| r.name == name) {
            return false;
        }
        self.scheduler
            .metrics
            .jobs
            .bytes_out
            .inc_by(media.len() as u64);
        self.sent.push(name.clone());
        let device = self.scheduler.devices.get(self.device);
        let encoder = device
            .filter(|_| self.job.spec.rates.contains_key(&name))
            .and_then(Device::rate_name);
        self.tell(Event::Rendition {
            name,
            media,
            encoder,
        });
        true
    }

    /// The job goes to a second worker: how long it takes says nothing of the node's speed.
    pub fn retry(&mut self) {
        self.retried = true;
    }

    /// The job is done; the slot is free. What it took of the processor is known if one worker did
    /// all of it.
    pub fn done(self, frames: u32, spent: Option<Spent>) {
        let worked = self.started.elapsed();
        if !self.retried {
            let mut state = self.scheduler.lock();
            state.admission.done(self.ticket, Instant::now());
        }
        let media = self.job.spec.source.duration.to_duration();
        let metrics = &self.scheduler.metrics;
        let device = self.scheduler.devices.get(self.device);
        let (name, label) = device
            .map(|d| (d.name.clone(), d.label()))
            .unwrap_or_default();
        let took = Took {
            queued: self.queued,
            worked,
            media,
            spent: spent.filter(|_| !self.retried),
        };
        metrics.jobs.done(&name, class(&self.job.spec), &took);
        self.tell(Event::Done {
            frames,
            queued: self.queued,
            worked,
            device: label,
        });
    }

    /// The job has failed; the slot is free when this guard is gone.
    pub fn fail(&mut self, code: RefusalCode, message: String) {
        self.told = true;
        self.tell(Event::Failed { code, message });
    }

    /// Ends when nobody wants the job any more; what to do then is [`give_up`](Self::give_up).
    pub fn unwanted(&self) -> impl Future<Output = Unwanted> + Send + use<> {
        let (cancel, deadline) = (self.cancel.clone(), self.deadline);
        async move {
            tokio::select! {
                () = cancel.cancelled() => Unwanted::Gone,
                () = tokio::time::sleep_until(deadline.into()) => Unwanted::Late,
            }
        }
    }

    /// Counts a client that is gone, tells one whose deadline has passed.
    pub fn give_up(&mut self, why: Unwanted) {
        self.stopped = Some(Instant::now());
        match why {
            Unwanted::Gone => {
                self.told = true;
                self.scheduler.metrics.jobs.cancelled.inc();
            }
            Unwanted::Late => {
                let message = "the deadline passed before the work was done".to_owned();
                self.fail(RefusalCode::DeadlinePassed, message);
            }
        }
    }

    /// The caller still waits and has not been told of an end.
    pub fn is_open(&self) -> bool {
        !self.told
    }

    fn tell(&self, event: Event) {
        // A client that is gone has closed the channel; a worker cannot overfill it, since
        // every rendition is passed on once.
        let _ = self.events.try_send(event);
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        let mut state = self.scheduler.lock();
        match self.stopped.filter(|_| !self.retried) {
            Some(at) => state.admission.stopped(self.ticket, at),
            None => state.admission.abandon(self.ticket),
        }
        drop(state);
        self.scheduler.change();
    }
}
