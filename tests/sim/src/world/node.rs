//! A simulated transcode node: it admits, queues and refuses as the real one does
//! (`transcode/src/admission/`), and is as fast as the scenario says.

use std::time::Duration;

use super::condition::Condition;
use crate::time::{Time, secs};

/// Jobs that may wait behind each slot.
const QUEUE_PER_SLOT: usize = 1;
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// The newest job's weight in the node's measure of its own speed.
const RATE_WEIGHT: f64 = 0.2;
/// An idle node doubts its measure after this.
const RATE_STALE: Duration = Duration::from_secs(10);

/// What a node is, whatever befalls it.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) zone: usize,
    pub(crate) slots: usize,
    /// Output pixels a second of one slot of a node that is otherwise idle.
    pub(crate) slot_rate: f64,
    /// Its whole speed, as the catalog has it.
    pub(crate) claimed_rate: f64,
    pub(crate) noise: f64,
    pub(crate) contention: f64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// The attempt, in the engine's list.
    pub(crate) attempt: u32,
    pub(crate) deadline: Time,
    pub(crate) work: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) job: Job,
    pub(crate) since: Time,
    pub(crate) ends: Time,
}

/// What a node says of its load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) slots: u32,
    pub(crate) jobs: u32,
    pub(crate) draining: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) retry_after: Duration,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) spec: Spec,
    pub(crate) condition: Condition,
    /// Of that, what its answers have told, or should have, by now.
    pub(crate) shown: Condition,
    /// When they will have told the rest.
    pub(crate) shows_at: Time,
    /// Sent to it and not there yet: only an oracle knows.
    pub(crate) coming: Vec<Job>,
    /// Admitted; the body is on its way.
    pub(crate) arriving: Vec<Job>,
    pub(crate) waiting: Vec<Job>,
    pub(crate) running: Vec<Running>,
    /// Its own measure of a slot's speed, and when it was taken.
    measured: Option<(f64, Time)>,
}

impl Node {
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            spec,
            condition: Condition::default(),
            shown: Condition::default(),
            shows_at: Time::NEVER,
            coming: Vec::new(),
            arriving: Vec::new(),
            waiting: Vec::new(),
            running: Vec::new(),
            measured: None,
        }
    }

    fn jobs(&self) -> usize {
        self.arriving.len() + self.waiting.len() + self.running.len()
    }

    /// A job's headers are here.
    pub(crate) fn admit(&mut self, job: Job, now: Time) -> Result<(), Refused> {
        if self.condition.draining {
            return Err(Refused {
                retry_after: RETRY_AFTER.1,
            });
        }
        let full = self.jobs() >= self.spec.slots * (1 + QUEUE_PER_SLOT);
        let stale = |(_, at): (f64, Time)| now.since(at) >= RATE_STALE;
        let trial = self.jobs() == 0 && self.measured.is_some_and(stale);
        if full || job.deadline <= now || (!trial && self.would_be_late(job, now)) {
            let free = self.free_at(now).into_iter().min().unwrap_or(now);
            let wait = free.since(now);
            return Err(Refused {
                retry_after: wait.clamp(RETRY_AFTER.0, RETRY_AFTER.1),
            });
        }
        self.arriving.push(job);
        Ok(())
    }

    /// The job's body is here. False if the job was withdrawn meanwhile.
    pub(crate) fn arrived(&mut self, attempt: u32) -> bool {
        match take(&mut self.arriving, attempt) {
            Some(job) => {
                self.waiting.push(job);
                true
            }
            None => false,
        }
    }

    /// The next job for a free slot: the earliest deadline.
    pub(crate) fn next(&mut self) -> Option<Job> {
        if self.running.len() >= self.spec.slots {
            return None;
        }
        let first = |(_, job): &(usize, &Job)| (job.deadline, job.attempt);
        let (i, _) = self.waiting.iter().enumerate().min_by_key(first)?;
        Some(self.waiting.swap_remove(i))
    }

    pub(crate) fn start(&mut self, job: Job, now: Time, ends: Time) {
        self.running.push(Running {
            job,
            since: now,
            ends,
        });
    }

    /// A job came to its own end; its speed counts. False if it was withdrawn before.
    pub(crate) fn finish(&mut self, attempt: u32, now: Time) -> bool {
        let Some(i) = self.running.iter().position(|r| r.job.attempt == attempt) else {
            return false;
        };
        let ran = self.running.swap_remove(i);
        let took = now.since(ran.since).as_secs_f64();
        if took > 0.0 {
            let rate = ran.job.work as f64 / took;
            let smooth = |(old, _): (f64, Time)| old + RATE_WEIGHT * (rate - old);
            self.measured = Some((self.measured.map_or(rate, smooth), now));
        }
        true
    }

    /// Forgets a job, wherever it is. The slot of one that ran is free at once.
    pub(crate) fn withdraw(&mut self, attempt: u32) {
        take(&mut self.arriving, attempt);
        take(&mut self.waiting, attempt);
        self.running.retain(|r| r.job.attempt != attempt);
    }

    /// From now until the first slot is truly free.
    pub(crate) fn first_free(&self, now: Time) -> Duration {
        if self.running.len() < self.spec.slots {
            return Duration::ZERO;
        }
        let ends = self.running.iter().map(|r| r.ends);
        ends.min().map_or(Duration::ZERO, |at| at.since(now))
    }

    /// When the segment with this deadline is truly over, if it runs.
    pub(crate) fn end_of(&self, deadline: Time) -> Option<Time> {
        let mut running = self.running.iter();
        let running = running.find(|r| r.job.deadline == deadline);
        running.map(|r| r.ends)
    }

    /// Whether the segment with this deadline is here, or on its way, and does not run yet.
    pub(crate) fn is_queued(&self, deadline: Time) -> bool {
        let queued = [&self.coming, &self.arriving, &self.waiting];
        queued.into_iter().flatten().any(|j| j.deadline == deadline)
    }

    /// When the first of what runs is truly over.
    pub(crate) fn first_end(&self) -> Option<Time> {
        self.running.iter().map(|r| r.ends).min()
    }

    /// Loses everything; says what.
    pub(crate) fn lose_all(&mut self) -> Vec<u32> {
        let queued = self.arriving.drain(..).chain(self.waiting.drain(..));
        let mut lost: Vec<u32> = queued.map(|j| j.attempt).collect();
        lost.extend(self.running.drain(..).map(|r| r.job.attempt));
        self.measured = None;
        lost
    }

    pub(crate) fn load(&self) -> Load {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Load {
            slots: count(self.spec.slots),
            jobs: count(self.jobs()),
            draining: self.condition.draining,
        }
    }

    /// How long the node thinks that a job takes; nothing while it has measured none.
    fn time_for(&self, work: u64) -> Duration {
        self.measured
            .map_or(Duration::ZERO, |(rate, _)| secs(work as f64 / rate))
    }

    /// When each slot will be free, as the node thinks.
    fn free_at(&self, now: Time) -> Vec<Time> {
        let busy = self.running.iter();
        let mut free: Vec<_> = busy
            .map(|r| now.max(r.since + self.time_for(r.job.work)))
            .collect();
        free.resize(free.len().max(self.spec.slots), now);
        free
    }

    /// Whether the job would miss its deadline or make another miss its own.
    fn would_be_late(&self, job: Job, now: Time) -> bool {
        let queued = self.arriving.len() + self.waiting.len();
        if queued + self.running.len() < self.spec.slots {
            return now + self.time_for(job.work) > job.deadline;
        }
        let mut queue: Vec<Job> = self.arriving.iter().chain(&self.waiting).copied().collect();
        let late = |queue: &mut Vec<Job>| {
            queue.sort_by_key(|j| j.deadline);
            let mut free = self.free_at(now);
            let missed = |j: &&Job| {
                let slot = free.iter_mut().min();
                slot.is_none_or(|slot| {
                    *slot = *slot + self.time_for(j.work);
                    *slot > j.deadline
                })
            };
            queue.iter().filter(missed).count()
        };
        let before = late(&mut queue);
        queue.push(job);
        late(&mut queue) > before
    }
}

pub(super) fn take(jobs: &mut Vec<Job>, attempt: u32) -> Option<Job> {
    let i = jobs.iter().position(|j| j.attempt == attempt)?;
    Some(jobs.swap_remove(i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{For, Noise};
    use crate::queue::Queue;

    fn at(ms: u64) -> Time {
        Time::after(Duration::from_millis(ms))
    }

    fn node(slots: usize) -> Node {
        Node::new(Spec {
            name: "n".to_owned(),
            zone: 0,
            slots,
            slot_rate: 1e6,
            claimed_rate: 1e6,
            noise: 0.0,
            contention: 0.0,
        })
    }

    fn job(attempt: u32, deadline: u64) -> Job {
        Job {
            attempt,
            deadline: at(deadline),
            work: 1_000_000,
        }
    }

    fn accept(node: &mut Node, job: Job, now: Time) {
        node.admit(job, now).unwrap();
        assert!(node.arrived(job.attempt));
    }

    #[test]
    fn the_earliest_deadline_goes_first() {
        let mut n = node(2);
        for (attempt, deadline) in [(1, 900), (2, 700), (3, 800)] {
            accept(&mut n, job(attempt, deadline), at(0));
        }
        let order: Vec<_> = std::iter::from_fn(|| {
            let next = n.next()?;
            n.start(next, at(0), at(100));
            Some(next.attempt)
        })
        .collect();
        assert_eq!(order, [2, 3], "two slots");
        assert!(n.finish(2, at(100)));
        assert_eq!(n.next().map(|j| j.attempt), Some(1));
    }

    #[test]
    fn one_is_queued_behind_each_slot_and_no_more() {
        let mut n = node(2);
        for attempt in 0..4 {
            accept(&mut n, job(attempt, 9000), at(0));
        }
        assert!(n.admit(job(4, 9000), at(0)).is_err());
        n.withdraw(3);
        assert!(n.admit(job(5, 9000), at(0)).is_ok(), "a place was freed");
    }

    #[test]
    fn what_would_be_late_is_refused_before_the_body() {
        let mut n = node(1);
        accept(&mut n, job(1, 9000), at(0));
        let first = n.next().unwrap();
        n.start(first, at(0), at(500));
        assert!(n.finish(1, at(500)), "half a second a job, as measured");
        accept(&mut n, job(2, 9000), at(500));
        let second = n.next().unwrap();
        n.start(second, at(500), at(1000));
        let refused = n.admit(job(3, 1400), at(500)).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(500));
        assert!(n.admit(job(4, 1500), at(500)).is_ok());
    }

    #[test]
    fn a_draining_node_refuses_and_finishes() {
        let mut n = node(1);
        accept(&mut n, job(1, 9000), at(0));
        n.condition.draining = true;
        assert!(n.admit(job(2, 9000), at(0)).is_err());
        assert_eq!(n.next().map(|j| j.attempt), Some(1));
    }

    #[test]
    fn a_withdrawn_job_leaves_its_slot() {
        let mut n = node(1);
        accept(&mut n, job(1, 9000), at(0));
        accept(&mut n, job(2, 9000), at(0));
        let first = n.next().unwrap();
        n.start(first, at(0), at(100));
        assert!(n.next().is_none());
        n.withdraw(1);
        assert_eq!(n.next().map(|j| j.attempt), Some(2));
        assert!(!n.finish(1, at(100)), "its end means nothing any more");
    }

    /// Poisson arrivals, exponential jobs, deadlines far away: the share that is refused.
    fn refused(slots: usize, load: f64) -> f64 {
        let noise = Noise::new(9);
        let exponential = |what, i| -(1.0 - noise.uniform(what, i, 0)).ln();
        let mut n = node(slots);
        let (mut ends, mut next) = (Queue::new(), 0.0);
        const ARRIVALS: u32 = 100_000;
        let mut refused = 0;
        for i in 0..ARRIVALS {
            next += exponential(For::There, u64::from(i)) / (load * slots as f64);
            let now = Time::after(secs(next));
            // Jobs that ended before make room for those that wait.
            while let Some((at, attempt)) = ends.pop() {
                if at > now {
                    ends.push(at, attempt);
                    break;
                }
                assert!(n.finish(attempt, at));
                begin(&mut n, at, &mut ends, &exponential);
            }
            let far = Time::after(Duration::from_secs(1_000_000_000));
            let job = Job {
                attempt: i,
                deadline: far,
                work: 1,
            };
            match n.admit(job, now) {
                Ok(()) => assert!(n.arrived(i)),
                Err(_) => refused += 1,
            }
            begin(&mut n, now, &mut ends, &exponential);
        }
        f64::from(refused) / f64::from(ARRIVALS)
    }

    fn begin(
        n: &mut Node,
        now: Time,
        ends: &mut Queue<u32>,
        exponential: &impl Fn(For, u64) -> f64,
    ) {
        while let Some(job) = n.next() {
            let at = now + secs(exponential(For::Service, u64::from(job.attempt)));
            n.start(job, now, at);
            ends.push(at, job.attempt);
        }
    }

    /// Of M/M/c/2c, whose formula every book has.
    fn blocked(slots: u32, load: f64) -> f64 {
        let offered = load * f64::from(slots);
        let mut weight = 1.0;
        let mut weights = vec![weight];
        for n in 1..=2 * slots {
            weight *= offered / f64::from(n.min(slots));
            weights.push(weight);
        }
        weight / weights.iter().sum::<f64>()
    }

    #[test]
    fn it_queues_as_the_formula_says() {
        assert!((blocked(1, 1.0) - 1.0 / 3.0).abs() < 1e-12);
        for (slots, load) in [(1, 0.5), (1, 1.0), (4, 0.9), (2, 1.5)] {
            let (seen, expected) = (refused(slots, load), blocked(slots as u32, load));
            assert!(
                (seen / expected - 1.0).abs() < 0.05,
                "{slots} slots at {load}: {seen}, not {expected}"
            );
        }
    }
}
