//! Between the front and the workers: [`Admission`] with the jobs' bodies and a lock around
//! it.
//!
//! The front asks for a [`Place`], uploads into it and listens; a worker asks for an
//! [`Assignment`] and answers. Both are guards: whatever ends either side (a client that hangs
//! up, a worker that dies, a task that is dropped) gives the place back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_segment::id::RenditionName;
use rackcast_segment::ladder::MAX_RUNGS;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::load::Load;
use rackcast_segment::wire::reply::RefusalCode;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Rate, Refused, Ticket};
use crate::metrics::Metrics;

/// What the front hears of a job; never more than fits [`EVENTS`], so that no worker waits
/// for a slow client.
#[derive(Debug)]
pub enum Event {
    /// A rendition is finished.
    Rendition {
        /// Its name.
        name: RenditionName,
        /// Its MPEG-TS.
        media: Bytes,
    },
    /// All of them are; nothing follows.
    Done {
        /// Pictures decoded.
        frames: u32,
        /// From admission until a worker took the job.
        queued: Duration,
        /// From then on.
        worked: Duration,
    },
    /// The job is over; nothing follows.
    Failed {
        /// Why.
        code: RefusalCode,
        /// The reason for a human.
        message: String,
    },
}

/// All renditions, a deadline that passed, and the end.
const EVENTS: usize = MAX_RUNGS + 2;

/// A job that is ready to run.
#[derive(Debug)]
struct Order {
    job: Job,
    segment: Bytes,
    admitted: Instant,
    deadline: Instant,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
}

struct State {
    admission: Admission,
    orders: HashMap<Ticket, Order>,
    workers: usize,
}

/// The jobs of this node.
pub struct Scheduler {
    state: Mutex<State>,
    changed: Notify,
    progress: AtomicU64,
    /// What is counted.
    pub metrics: Metrics,
}

impl Scheduler {
    /// A node without workers yet.
    pub fn new(metrics: Metrics) -> Arc<Self> {
        let state = State {
            admission: Admission::new(Rate::default()),
            orders: HashMap::new(),
            workers: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            progress: AtomicU64::new(0),
            metrics,
        })
    }

    /// Asks for a place for a job of `work` output pixels.
    ///
    /// # Errors
    /// The reason, and when to come back.
    pub fn admit(self: &Arc<Self>, deadline: Instant, work: u64) -> Result<Place, Refused> {
        let admitted = Instant::now();
        let ticket = self.lock().admission.admit(admitted, deadline, work)?;
        self.metrics.admitted.inc();
        self.publish();
        Ok(Place {
            scheduler: self.clone(),
            ticket,
            admitted,
            deadline,
            cancel: CancellationToken::new(),
        })
    }

    /// What the node says of itself now.
    pub fn load(&self) -> Load {
        self.lock().admission.load(Instant::now())
    }

    /// Admits nothing from now on.
    pub fn drain(&self) {
        self.lock().admission.drain();
    }

    /// Nothing is admitted, uploading, waiting or running.
    pub fn is_idle(&self) -> bool {
        self.lock().admission.is_idle()
    }

    /// Grows while workers report progress or are alive and idle.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// A worker has said that it lives.
    pub fn heartbeat(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a worker in for as long as the guard lives.
    pub fn worker_up(self: &Arc<Self>) -> WorkerUp {
        self.change_workers(|n| n + 1);
        WorkerUp(self.clone())
    }

    /// The next job for a worker that has none. May be cancelled without losing a job.
    pub async fn next(self: &Arc<Self>) -> Assignment {
        loop {
            let changed = self.changed.notified();
            if let Some(assignment) = self.try_next() {
                return assignment;
            }
            changed.await;
        }
    }

    fn try_next(self: &Arc<Self>) -> Option<Assignment> {
        let mut state = self.lock();
        let now = Instant::now();
        let ticket = state.admission.start(now)?;
        let order = state.orders.remove(&ticket)?;
        drop(state);
        // One notice may have stood for two jobs: whoever takes one passes it on.
        self.changed.notify_one();
        self.publish();
        Some(Assignment {
            scheduler: self.clone(),
            ticket,
            started: now,
            job: order.job,
            segment: order.segment,
            queued: now.saturating_duration_since(order.admitted),
            deadline: order.deadline,
            events: order.events,
            cancel: order.cancel,
        })
    }

    fn change_workers(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        state.workers = change(state.workers);
        let workers = state.workers;
        state.admission.set_slots(workers);
        drop(state);
        self.changed.notify_waiters();
        self.publish();
    }

    fn publish(&self) {
        self.metrics.load(&self.load());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that is up.
pub struct WorkerUp(Arc<Scheduler>);

impl Drop for WorkerUp {
    fn drop(&mut self) {
        self.0.change_workers(|n| n.saturating_sub(1));
    }
}

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
    /// The body is here. What becomes of it is heard over the channel, which closes without an
    /// end event only if the worker's task was dropped.
    pub fn submit(&self, job: Job, segment: Bytes) -> mpsc::Receiver<Event> {
        let (events, receiver) = mpsc::channel(EVENTS);
        self.scheduler
            .metrics
            .upload
            .observe(self.admitted.elapsed().as_secs_f64());
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
        self.scheduler.changed.notify_one();
        receiver
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cancel.cancel();
        let mut state = self.scheduler.lock();
        // One that runs is given back by its assignment, once the worker is free again.
        if state.orders.remove(&self.ticket).is_some() {
            self.scheduler.metrics.cancelled.inc();
        }
        state.admission.withdraw(self.ticket);
        drop(state);
        self.scheduler.publish();
    }
}

/// A job in the hands of a worker: dropping it frees the slot.
pub struct Assignment {
    scheduler: Arc<Scheduler>,
    ticket: Ticket,
    started: Instant,
    /// The job.
    pub job: Job,
    /// Its body; taken by whoever sends it.
    pub segment: Bytes,
    queued: Duration,
    deadline: Instant,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
}

impl Assignment {
    /// A name for the job, unique in this process.
    pub fn id(&self) -> u64 {
        self.ticket.into()
    }

    /// Passes a rendition on.
    pub fn rendition(&self, name: RenditionName, media: Bytes) {
        self.scheduler.metrics.bytes_out.inc_by(media.len() as u64);
        self.tell(Event::Rendition { name, media });
    }

    /// The job is done; the slot is free.
    pub fn done(self, frames: u32) {
        let worked = self.started.elapsed();
        self.scheduler
            .lock()
            .admission
            .done(self.ticket, Instant::now());
        let media = self.job.spec.source.duration.to_duration();
        self.scheduler.metrics.done(self.queued, worked, media);
        self.tell(Event::Done {
            frames,
            queued: self.queued,
            worked,
        });
    }

    /// The job has failed; the slot is free when this guard is gone.
    pub fn fail(&self, code: RefusalCode, message: String) {
        self.tell(Event::Failed { code, message });
    }

    /// Ends when nobody wants the job any more: its client is gone, or its deadline has
    /// passed, of which the client is told. To be awaited once.
    pub async fn unwanted(&self) {
        tokio::select! {
            () = self.cancel.cancelled() => self.scheduler.metrics.cancelled.inc(),
            () = tokio::time::sleep_until(self.deadline.into()) => {
                let message = "the deadline passed before the work was done".to_owned();
                self.fail(RefusalCode::DeadlinePassed, message);
            }
        }
    }

    fn tell(&self, event: Event) {
        // A client that is gone has closed the channel; a worker cannot overfill it, since
        // every rendition is passed on once.
        let _ = self.events.try_send(event);
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        self.scheduler.lock().admission.abandon(self.ticket);
        self.scheduler.changed.notify_one();
        self.scheduler.publish();
    }
}
