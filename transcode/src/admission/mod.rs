//! Who is let in, where, and who goes first. Pure: the time comes in as a parameter.
//!
//! A node has devices of unlike speed, each with slots for one job, and behind every slot one job
//! may wait; more would only grow old. What would miss its deadline, or make another miss its own,
//! is refused at once: a refusal before the upload costs nobody anything, and the caller still has
//! time to go elsewhere. Each question has its own answer:
//!
//! | | |
//! |---|---|
//! | how long? | [`speed`]: calibrated rates, corrected by what jobs take |
//! | on which device? | that which, with the job, has the least busy time over media time ([`standing`]); one that has its pipeline warm where that is as good. None goes above [`BAR`] while another has room |
//! | who goes first? | the earliest deadline on the device (Liu and Layland, 1973); a slot that would idle takes a job that waits elsewhere if it is done sooner for it |
//! | in which slot? | one with the pipeline warm, if it is free |
//! | for whom? | when places are short, each caller, and each size of jobs, gets its max-min fair share of them ([`shares`]) |
//!
//! A job is counted from the moment its headers were read, so that two uploads cannot both be
//! promised the last place; but it takes a slot only once its body is there, so that a slow
//! upload never keeps a worker idle.

mod device;
mod estimate;
mod place;
mod refused;
mod report;
mod request;
mod shares;
mod speed;
mod standing;
mod turn;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use device::Spec;
pub use refused::{Cause, Refused};
pub use report::DeviceLoad;
pub use request::{Affinity, Caller, Request, SlotId, Ticket};
pub use speed::{Rates, Speed, Work};

use device::Device;
use shares::{Shares, Size};
use standing::{Share, Standing, WHOLE};

/// Jobs that may wait behind each slot.
const QUEUE_PER_SLOT: usize = 1;
/// Busy time over media time up to which a device works in real time, whatever comes between.
pub const BAR: f64 = 0.8;
/// The same as a share of a slot.
const BAR_SHARE: Share = (BAR * WHOLE as f64) as Share;

#[derive(Debug, Clone)]
struct Job {
    request: Request,
    device: usize,
    /// When it stands for its stream no longer.
    until: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Admitted; the body is on its way.
    Arriving,
    /// The body is here.
    Waiting,
    Running {
        since: Instant,
    },
}

/// The jobs of a node.
#[derive(Debug, Default)]
pub struct Admission {
    devices: Vec<Device>,
    draining: bool,
    jobs: BTreeMap<Ticket, Job>,
    shares: Shares,
    next: u64,
}

impl Admission {
    /// A node with these devices, none of whose slots has a worker yet.
    pub fn new(devices: impl IntoIterator<Item = Spec>) -> Self {
        Self {
            devices: devices.into_iter().map(Device::new).collect(),
            ..Self::default()
        }
    }

    /// Whether the slot has a worker, a new one, that can take a job or is at one. Where it has none,
    /// none is expected.
    pub fn set_up(&mut self, id: SlotId, up: bool) {
        if let Some(slot) = self.slot_mut(id) {
            slot.set(up);
        }
    }

    /// Whether the slot's worker has HEVC.
    pub fn set_hevc(&mut self, id: SlotId, hevc: bool) {
        if let Some(slot) = self.slot_mut(id) {
            slot.hevc = hevc;
        }
    }

    /// The slot's worker has died. Another is expected in a moment: what comes until then waits for it,
    /// if it has the time.
    pub fn fell(&mut self, now: Instant, id: SlotId) {
        if let Some(slot) = self.slot_mut(id) {
            slot.fall(now);
        }
    }

    fn slot_mut(&mut self, id: SlotId) -> Option<&mut device::Slot> {
        self.devices.get_mut(id.device)?.slot_mut(id.slot)
    }

    /// Whether to admit nothing; what is admitted goes on.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// No job is left.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Lets a job in or says why not.
    ///
    /// # Errors
    /// [`Refused`]; only the wish is remembered, for its party's share.
    pub fn admit(&mut self, now: Instant, request: Request) -> Result<Ticket, Refused> {
        let size = size(request.work);
        match self.place(now, &request) {
            Ok(device) => {
                self.shares.take(&request.caller, size);
                Ok(self.insert(now, request, device))
            }
            Err(cause) => {
                if cause.is_for_want_of_room() && self.could_ever(now, &request) {
                    self.shares.claim(now, &request.caller, size);
                }
                let retry_after = self.retry_after(now, cause);
                Err(Refused { cause, retry_after })
            }
        }
    }

    fn insert(&mut self, now: Instant, request: Request, device: usize) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        let job = Job {
            device,
            until: Standing::until(now, request.media),
            request,
            state: State::Arriving,
        };
        if let Some(device) = self.devices.get_mut(device) {
            let share = share(device, &job.request);
            device.standing.set(job.until, ticket, share);
        }
        self.jobs.insert(ticket, job);
        ticket
    }

    /// The job's body is complete.
    pub fn arrived(&mut self, ticket: Ticket) {
        if let Some(job) = self.jobs.get_mut(&ticket) {
            job.state = State::Waiting;
        }
    }

    /// The job is over and its work was done: its speed counts.
    pub fn done(&mut self, ticket: Ticket, now: Instant) {
        if let Some((job, took, device)) = self.ran(ticket, now) {
            device.speed.observe(now, job.request.work, took);
            let share = Standing::share(took, job.request.media);
            device.standing.correct(job.until, ticket, share);
        }
    }

    /// The job was stopped at `at`, before its end: whether that was late for its device counts.
    pub fn stopped(&mut self, ticket: Ticket, at: Instant) {
        if let Some((job, after, device)) = self.ran(ticket, at) {
            device.speed.observe_stopped(at, job.request.work, after);
        }
    }

    /// Takes out a job that is over: how long it ran, and on which device, if it did.
    fn ran(&mut self, ticket: Ticket, until: Instant) -> Option<(Job, Duration, &mut Device)> {
        let job = self.remove(ticket)?;
        let State::Running { since } = job.state else {
            return None;
        };
        let device = self.devices.get_mut(job.device)?;
        Some((job, until.saturating_duration_since(since), device))
    }

    /// The job is over, not done where it ran, and says nothing of its device's speed.
    pub fn abandon(&mut self, ticket: Ticket) {
        if let Some(job) = self.jobs.get(&ticket)
            && let Some(pipeline) = job.request.pipeline
            && let Some(device) = self.devices.get_mut(job.device)
        {
            device.failed(ticket, pipeline);
        }
        self.remove(ticket);
    }

    /// Forgets a job that does not run; one that does is left to [`Admission::done`] and
    /// [`Admission::abandon`], when its worker is free again.
    pub fn withdraw(&mut self, ticket: Ticket) {
        let running = |job: &Job| matches!(job.state, State::Running { .. });
        let Some(job) = self.jobs.get(&ticket).filter(|job| !running(job)) else {
            return;
        };
        if let Some(device) = self.devices.get_mut(job.device) {
            device.standing.remove(job.until, ticket);
        }
        self.remove(ticket);
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Job> {
        let job = self.jobs.remove(&ticket)?;
        self.shares
            .give_back(&job.request.caller, size(job.request.work));
        if let Some(device) = self.devices.get_mut(job.device) {
            device.end(ticket);
        }
        Some(job)
    }

    /// Jobs that may be in the node at a time.
    fn places(&self, now: Instant) -> usize {
        let slots: usize = self.devices.iter().map(|d| d.present(now)).sum();
        slots.saturating_mul(1 + QUEUE_PER_SLOT)
    }

    fn queued(&self) -> impl Iterator<Item = &Job> {
        let running = |job: &Job| matches!(job.state, State::Running { .. });
        self.jobs.values().filter(move |job| !running(job))
    }

    fn waiting(&self) -> impl Iterator<Item = (Ticket, &Job)> {
        let waiting = |(_, job): &(&Ticket, &Job)| job.state == State::Waiting;
        self.jobs.iter().filter(waiting).map(|(t, job)| (*t, job))
    }
}

/// What a job's stream takes of one of the device's slots.
fn share(device: &Device, request: &Request) -> Share {
    Standing::share(device.speed.expected(request.work), request.media)
}

/// Jobs of one size differ by less than a factor of four.
fn size(work: Work) -> Size {
    let pixels = work.encode.saturating_add(work.decode / 8);
    pixels.checked_ilog2().unwrap_or(0) / 2
}

#[cfg(test)]
mod tests;
