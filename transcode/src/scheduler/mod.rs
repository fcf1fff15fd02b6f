//! Between the front and the workers: [`Admission`] with the jobs' bodies and a lock around
//! it, and how the slots of each device are.
//!
//! The front asks for a [`Place`], uploads into it and listens; a worker asks for an
//! [`Assignment`] and answers. Both are guards: whatever ends either side (a client that hangs
//! up, a worker that dies, a task that is dropped) gives the place back.

mod assignment;
mod place;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_segment::id::RenditionName;
use rackcast_segment::ladder::MAX_RUNGS;
use rackcast_segment::rate::EncoderName;
use rackcast_segment::wire::job::Job;
use rackcast_segment::wire::load::Load;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::status::DeviceState;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Caller, DeviceLoad, Refused, Request, SlotId, Ticket, Work};
use crate::device::Device;
use crate::metrics::{Metrics, Sessions};
use crate::pipeline;

pub use assignment::{Assignment, Unwanted};
pub use place::Place;

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
        /// The encoder, where it was told a quality.
        encoder: Option<EncoderName>,
    },
    /// All of them are; nothing follows.
    Done {
        /// Pictures decoded.
        frames: u32,
        /// From admission until a worker took the job.
        queued: Duration,
        /// From then on.
        worked: Duration,
        /// The device that did it.
        device: Arc<str>,
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

/// How a slot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Whether it has a worker.
    pub state: DeviceState,
    /// Why it has none; empty while it has.
    pub why: String,
    /// Its worker, or the last that it had, has HEVC.
    pub hevc: bool,
}

impl Slot {
    fn working(hevc: bool) -> Self {
        Self {
            state: DeviceState::Working,
            why: String::new(),
            hevc,
        }
    }
}

struct State {
    admission: Admission,
    orders: HashMap<Ticket, Order>,
    stopping: bool,
    /// The slots that ever had a worker, or a reason to have none.
    slots: BTreeMap<SlotId, Slot>,
}

/// The jobs of this node.
pub struct Scheduler {
    state: Mutex<State>,
    changed: Notify,
    progress: AtomicU64,
    devices: Vec<Device>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Scheduler {
    /// A node with these devices, whose workers keep so many pipelines `warm`, and are not up yet.
    pub fn new(metrics: Metrics, devices: Vec<Device>, warm: usize) -> Arc<Self> {
        let state = State {
            admission: Admission::new(devices.iter().map(|device| device.spec(warm))),
            orders: HashMap::new(),
            stopping: false,
            slots: BTreeMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            progress: AtomicU64::new(0),
            devices,
            metrics,
        })
    }

    /// What does the work.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// A slot's device as metrics call it.
    pub fn device_name(&self, slot: SlotId) -> &str {
        self.devices.get(slot.device).map_or("", |d| &d.name)
    }

    /// Counts the encoder sessions of a worker of this slot for as long as it lives.
    pub(crate) fn sessions(&self, slot: SlotId) -> Sessions {
        self.metrics.workers.sessions(self.device_name(slot))
    }

    /// Asks for a place for a job, on behalf of who sends it.
    ///
    /// # Errors
    /// The reason, and when to come back.
    pub fn admit(
        self: &Arc<Self>,
        caller: Caller,
        deadline: Instant,
        job: &Job,
    ) -> Result<Place, Refused> {
        let spec = &job.spec;
        // A disposable worker leaves nothing behind.
        let kept = || pipeline::affinity(spec);
        let request = Request {
            caller,
            deadline,
            work: Work::from(spec),
            media: spec.source.duration.to_duration(),
            pipeline: (!job.quarantine).then(kept).flatten(),
            hevc: spec.needs_hevc(),
        };
        let admitted = Instant::now();
        let ticket = self.lock().admission.admit(admitted, request)?;
        self.metrics.jobs.admitted.inc();
        self.publish();
        Ok(Place::new(self.clone(), ticket, admitted, deadline))
    }

    /// What the node says of itself now.
    pub fn load(&self) -> Load {
        self.lock().admission.load(Instant::now())
    }

    /// What each device is at.
    pub fn device_loads(&self) -> Vec<DeviceLoad> {
        self.lock().admission.device_loads(Instant::now())
    }

    /// Admits nothing from now on: the node ends.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state.admission.set_draining(true);
    }

    /// Admits nothing while the machine drains.
    pub fn drain(&self, drains: bool) {
        let mut state = self.lock();
        let draining = drains || state.stopping;
        state.admission.set_draining(draining);
    }

    /// Nothing is admitted, uploading, waiting or running.
    pub fn is_idle(&self) -> bool {
        self.lock().admission.is_idle()
    }

    /// Grows while workers report progress or are alive and idle, or slots wait for new ones.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// A worker, or a slot that has none, has said that it lives.
    pub fn heartbeat(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a slot's worker in for as long as the guard lives.
    pub fn worker_up(self: &Arc<Self>, slot: SlotId, hevc: bool) -> WorkerUp {
        self.worker_changed(slot, hevc);
        WorkerUp(self.clone(), slot)
    }

    /// Another worker has taken the place of one that was up.
    pub fn worker_changed(&self, slot: SlotId, hevc: bool) {
        let mut state = self.lock();
        state.slots.insert(slot, Slot::working(hevc));
        state.admission.set_up(slot, true);
        state.admission.set_hevc(slot, hevc);
        drop(state);
        self.change();
    }

    /// Says why a slot has no worker, until it has one; and whether it has failed, or will have
    /// one in a moment.
    pub fn worker_down(&self, slot: SlotId, why: String, failed: bool) {
        let mut all = self.lock();
        let state = match failed {
            true => DeviceState::Failed,
            false => DeviceState::Starting,
        };
        if failed {
            all.admission.set_up(slot, false);
        }
        let hevc = all.slots.get(&slot).is_some_and(|slot| slot.hevc);
        all.slots.insert(slot, Slot { state, why, hevc });
    }

    /// How the slots are. One that nobody has spoken of is starting.
    pub fn slots(&self) -> BTreeMap<SlotId, Slot> {
        self.lock().slots.clone()
    }

    /// The next job for a slot's worker that has none. May be cancelled without losing a job.
    pub async fn next(self: &Arc<Self>, slot: SlotId) -> Assignment {
        loop {
            // Counts from here on, whenever it is waited for.
            let changed = self.changed.notified();
            if let Some(assignment) = self.try_next(slot) {
                return assignment;
            }
            changed.await;
        }
    }

    fn try_next(self: &Arc<Self>, slot: SlotId) -> Option<Assignment> {
        let mut state = self.lock();
        let now = Instant::now();
        let ticket = state.admission.start(now, slot)?;
        let order = state.orders.remove(&ticket)?;
        drop(state);
        // What was left to this worker's warm pipeline may be another's now.
        self.change();
        Some(Assignment::new(
            self.clone(),
            ticket,
            slot.device,
            now,
            order,
        ))
    }

    /// Every worker without a job looks again: which of them is to have one is admission's to say.
    fn change(&self) {
        self.changed.notify_waiters();
        self.publish();
    }

    fn publish(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        let (load, devices) = (state.admission.load(now), state.admission.device_loads(now));
        drop(state);
        self.metrics.load.node(&load);
        for (device, load) in self.devices.iter().zip(devices) {
            self.metrics.load.device(&device.name, &load);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that is up.
pub struct WorkerUp(Arc<Scheduler>, SlotId);

impl Drop for WorkerUp {
    fn drop(&mut self) {
        self.0.lock().admission.fell(Instant::now(), self.1);
        self.0.change();
    }
}
