//! What only an oracle can know: when a job sent now would be finished.

use super::{Condition, Node, World};
use crate::time::Time;

/// A job that is to be placed, as an oracle sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) zone: usize,
    pub(crate) work: u64,
    pub(crate) input_bits: f64,
    pub(crate) output_bits: f64,
    pub(crate) deadline: Time,
    /// What the oracle knows to be the matter with a node.
    pub(crate) knows: fn(&Node) -> &Condition,
}

impl World {
    /// The node that finishes first, by its true speed, its true queue (what is still on its way
    /// there included) and the true ends of what it runs; and when. How long this very job will
    /// take beyond the mean, nobody knows before.
    pub(crate) fn earliest_finish(
        &self,
        ask: &Question,
        now: Time,
        member: impl Fn(u32) -> bool,
    ) -> Option<(u32, Time)> {
        let mut best: Option<(u32, Time)> = None;
        let mut best_in = f64::INFINITY;
        let least = self.network.near.min(self.network.far).as_secs_f64();
        for &i in &self.by_speed {
            let node = self.node(i);
            let alone = ask.work as f64 / node.spec.slot_rate;
            if alone + least >= best_in {
                break; // The rest is slower still.
            }
            let condition = (ask.knows)(node);
            let at_least = alone * condition.factor + condition.add.as_secs_f64() + least;
            if at_least >= best_in || condition.is_hopeless() || !member(i) {
                continue;
            }
            if node.first_free(now).as_secs_f64() + at_least >= best_in {
                continue;
            }
            let rtt = self.mean_round_trip(ask.zone, i);
            let there = now + rtt / 2 + self.transfer(ask.zone, i, ask.input_bits);
            let back = rtt / 2 + self.transfer(ask.zone, i, ask.output_bits);
            let at = self.finish_on(i, ask, there) + back;
            if best.is_none_or(|(_, best)| at < best) {
                best = Some((i, at));
                best_in = at.since(now).as_secs_f64();
            }
        }
        best
    }

    /// When the node would finish a job that is there at `there`.
    fn finish_on(&self, i: u32, ask: &Question, there: Time) -> Time {
        let node = self.node(i);
        let service = |work, busy| self.mean_service_if((ask.knows)(node), i, work, busy);
        let slots = node.spec.slots;
        let ahead = node.coming.len() + node.arriving.len() + node.waiting.len();
        let busy = node.running.len();
        if ahead + busy < slots {
            return there + service(ask.work, ahead + busy + 1);
        }
        let mut free: Vec<Time> = node.running.iter().map(|r| r.ends.max(there)).collect();
        free.resize(slots.max(free.len()), there);
        let queued = [&node.coming, &node.arriving, &node.waiting];
        let first = queued.into_iter().flatten();
        for job in first.filter(|j| j.deadline <= ask.deadline) {
            if let Some(slot) = free.iter_mut().min() {
                *slot = *slot + service(job.work, slots);
            }
        }
        let start = free.into_iter().min().unwrap_or(there);
        start + service(ask.work, slots)
    }
}
