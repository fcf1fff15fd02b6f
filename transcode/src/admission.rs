//! Who is let in, and who goes first. Pure: the time comes in as a parameter.
//!
//! A node has a number of slots, and every slot may have one job waiting behind the one that
//! it runs; more would only grow old in a queue. Of those that wait, the earliest deadline
//! goes first. A job that would miss its deadline by the rate at which this node has worked
//! so far, or would make another miss it, is refused at once: a refusal before the upload
//! costs nobody anything, and the caller still has time to go elsewhere.
//!
//! A job is counted from the moment its headers were read, so that two uploads cannot both be
//! promised the last place; but it takes a slot only once its body is there, so that a slow
//! upload never keeps a worker idle.

mod rate;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rackcast_segment::wire::load::Load;
use rackcast_segment::wire::reply::RefusalCode;

pub use rate::Rate;

/// Jobs that may wait behind each slot.
const QUEUE_PER_SLOT: usize = 1;
/// What a refused caller is told at least and at most to wait before it asks again.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// About how long a worker takes to be replaced.
const RESTART: Duration = Duration::from_millis(500);

/// An admitted job's name within this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

impl From<Ticket> for u64 {
    fn from(ticket: Ticket) -> Self {
        ticket.0
    }
}

/// Why a job was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub code: RefusalCode,
    /// When asking again may help.
    pub retry_after: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    deadline: Instant,
    /// Output pixels.
    work: u64,
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
#[derive(Debug)]
pub struct Admission {
    slots: usize,
    draining: bool,
    rate: Rate,
    jobs: BTreeMap<Ticket, Job>,
    next: u64,
}

impl Admission {
    /// A node without slots yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            slots: 0,
            draining: false,
            rate,
            jobs: BTreeMap::new(),
            next: 0,
        }
    }

    /// Workers that can take a job or are at one.
    pub fn set_slots(&mut self, slots: usize) {
        self.slots = slots;
    }

    /// Whether to admit nothing; what is admitted goes on.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// No job is left.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Lets a job in or says why not. `work` is in output pixels.
    ///
    /// # Errors
    /// [`Refused`]; the node is unchanged.
    pub fn admit(&mut self, now: Instant, deadline: Instant, work: u64) -> Result<Ticket, Refused> {
        let code = self.obstacle(now, deadline, work);
        if let Some(code) = code {
            return Err(Refused {
                code,
                retry_after: self.retry_after(now),
            });
        }
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.jobs.insert(
            ticket,
            Job {
                deadline,
                work,
                state: State::Arriving,
            },
        );
        Ok(ticket)
    }

    fn obstacle(&self, now: Instant, deadline: Instant, work: u64) -> Option<RefusalCode> {
        if self.draining {
            return Some(RefusalCode::Draining);
        }
        if self.slots == 0 {
            return Some(RefusalCode::NoDevice);
        }
        if self.jobs.len() >= self.slots.saturating_mul(1 + QUEUE_PER_SLOT) {
            return Some(RefusalCode::NoSlot);
        }
        // An idle node whose measurement has grown old tries again: it may have been slowed
        // down by something that has passed, and only a job can tell.
        let trial = self.jobs.is_empty() && self.rate.is_stale(now);
        let late = deadline <= now || (!trial && self.would_be_late(now, deadline, work));
        late.then_some(RefusalCode::DeadlineTooClose)
    }

    /// The job's body is complete.
    pub fn arrived(&mut self, ticket: Ticket) {
        if let Some(job) = self.jobs.get_mut(&ticket) {
            job.state = State::Waiting;
        }
    }

    /// The next job to run, if a slot is free for one.
    pub fn start(&mut self, now: Instant) -> Option<Ticket> {
        if self.running().count() >= self.slots {
            return None;
        }
        let waiting = self
            .jobs
            .iter_mut()
            .filter(|(_, j)| j.state == State::Waiting);
        let (ticket, job) = waiting.min_by_key(|(ticket, job)| (job.deadline, **ticket))?;
        job.state = State::Running { since: now };
        Some(*ticket)
    }

    /// The job is over and its work was done: its speed counts.
    pub fn done(&mut self, ticket: Ticket, now: Instant) {
        if let Some(Job {
            work,
            state: State::Running { since },
            ..
        }) = self.jobs.remove(&ticket)
        {
            self.rate
                .observe(now, work, now.saturating_duration_since(since));
        }
    }

    /// The job is over and says nothing of the node's speed.
    pub fn abandon(&mut self, ticket: Ticket) {
        self.jobs.remove(&ticket);
    }

    /// Forgets a job that does not run; one that does is left to [`Admission::done`] and
    /// [`Admission::abandon`], when its worker is free again.
    pub fn withdraw(&mut self, ticket: Ticket) {
        if self
            .jobs
            .get(&ticket)
            .is_some_and(|j| !matches!(j.state, State::Running { .. }))
        {
            self.jobs.remove(&ticket);
        }
    }

    /// What the node says of itself.
    pub fn load(&self, now: Instant) -> Load {
        let busy = self.running().count();
        let wait = self.wait(now);
        Load {
            slots: count(self.slots),
            busy: count(busy),
            queued: count(self.jobs.len().saturating_sub(busy)),
            pixel_rate: self.rate.per_slot() * self.slots as f64,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            draining: self.draining,
        }
    }

    fn running(&self) -> impl Iterator<Item = (Instant, &Job)> {
        self.jobs.values().filter_map(|job| match job.state {
            State::Running { since } => Some((since, job)),
            _ => None,
        })
    }

    /// When each slot will be free, by the estimate.
    fn free_at(&self, now: Instant) -> Vec<Instant> {
        let mut free: Vec<_> = self
            .running()
            .map(|(since, job)| now.max(since + self.rate.time_for(job.work)))
            .collect();
        free.resize(free.len().max(self.slots), now);
        free
    }

    /// Whether a job admitted now would miss its deadline or make an admitted one miss its own.
    fn would_be_late(&self, now: Instant, deadline: Instant, work: u64) -> bool {
        let mut queue: Vec<_> = self
            .jobs
            .values()
            .filter(|j| !matches!(j.state, State::Running { .. }))
            .map(|j| (j.deadline, j.work))
            .collect();
        let late = |queue: &mut Vec<(Instant, u64)>| {
            queue.sort_by_key(|(deadline, _)| *deadline);
            let mut free = self.free_at(now);
            queue
                .iter()
                .filter(|(deadline, work)| {
                    take(&mut free, self.rate.time_for(*work)).is_none_or(|end| end > *deadline)
                })
                .count()
        };
        let before = late(&mut queue);
        queue.push((deadline, work));
        late(&mut queue) > before
    }

    /// How long a job admitted now, with the latest deadline of all, would wait.
    fn wait(&self, now: Instant) -> Duration {
        let mut free = self.free_at(now);
        for job in self
            .jobs
            .values()
            .filter(|j| !matches!(j.state, State::Running { .. }))
        {
            take(&mut free, self.rate.time_for(job.work));
        }
        free.iter()
            .min()
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    fn retry_after(&self, now: Instant) -> Duration {
        if self.draining {
            return RETRY_AFTER.1;
        }
        if self.slots == 0 {
            return RESTART;
        }
        let first = self.free_at(now).into_iter().min().unwrap_or(now);
        first
            .saturating_duration_since(now)
            .clamp(RETRY_AFTER.0, RETRY_AFTER.1)
    }
}

/// Puts a job of this length on the slot that is free first; answers when it ends.
fn take(free: &mut [Instant], length: Duration) -> Option<Instant> {
    let first = free.iter_mut().min()?;
    *first += length;
    Some(*first)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
