//! The node's side: what comes in is admitted, run and answered.

use std::time::Duration;

use super::{Engine, Happening, SentAttempt, What};
use crate::noise::For;
use crate::policy::{End, Failure, Policy};
use crate::time::Time;
use crate::world::{Job, rendition_bits, share_done};

/// From a body's end until a node that fails has said so.
const FAST_ERROR: Duration = Duration::from_millis(2);
/// From a body's end until a node has found that it cannot be decoded.
const CLAIM: Duration = Duration::from_millis(30);
/// A job that takes so many times what it should is no chance: one in a hundred takes longer.
const CHANCE: f64 = 1.5;
/// What a node that refuses everything says.
const REFUSE_FOR: Duration = Duration::from_secs(1);

impl<P: Policy> Engine<'_, P> {
    pub(super) fn headers(&mut self, index: u32) {
        let attempt = &mut self.attempts[index as usize];
        attempt.arrived = self.now;
        let (node_index, segment, work) = (attempt.node, attempt.segment, attempt.work);
        let sent = SentAttempt {
            segment,
            node: node_index,
            number: attempt.number,
            sent: attempt.sent,
        };
        let closed = attempt.closed;
        let flight = &self.segments[segment as usize];
        let job = Job {
            attempt: index,
            deadline: flight.deadline,
            work,
        };
        let zone = self.ingests[flight.ingest as usize].zone;
        let upload = self
            .world
            .transfer(zone, node_index, flight.input_bytes as f64 * 8.0);
        let now = self.now;
        let node = self.world.node_mut(node_index);
        node.coming.retain(|j| j.attempt != index);
        let condition = node.condition;
        if condition.is_silent() {
            // Who sent it cannot know better: it counts, and nothing will come back.
            self.submitted(&sent);
            let shown = self.world.node(node_index).shown;
            let time = self.world.mean_service_if(&shown, node_index, work, 1);
            self.shows(node_index, now + upload + time);
            return;
        }
        if condition.dead || condition.refuse || condition.draining {
            self.shows(node_index, now);
        }
        if condition.dead {
            self.answer(index, What::End(End::Failed(Failure::Connect)), now, 0.0);
            return;
        }
        if closed {
            return;
        }
        let node = self.world.node_mut(node_index);
        let refused = match condition.refuse {
            true => Some(REFUSE_FOR),
            false => node.admit(job, now).err().map(|r| r.retry_after),
        };
        match refused {
            Some(retry_after) => {
                let end = End::Refused {
                    draining: condition.draining,
                    retry_after,
                    load: node.load(),
                };
                self.record.refused(segment);
                self.answer(index, What::End(end), now, 0.0);
            }
            None => {
                self.submitted(&sent);
                self.queue.push(now + upload, Happening::Body(index));
            }
        }
    }

    pub(super) fn body(&mut self, index: u32) {
        let attempt = &self.attempts[index as usize];
        let node_index = attempt.node;
        let flight = &self.segments[attempt.segment as usize];
        let (key, poison) = (flight.key, flight.poison);
        let now = self.now;
        let chance = self
            .world
            .noise
            .uniform(For::Fault, key, u64::from(node_index));
        if !self.world.node_mut(node_index).arrived(index) {
            return;
        }
        let condition = self.world.node(node_index).condition;
        if chance < condition.errors {
            self.world.node_mut(node_index).withdraw(index);
            self.shows(node_index, now + FAST_ERROR);
            let end = End::Failed(Failure::Internal);
            self.answer(index, What::End(end), now + FAST_ERROR, 0.0);
        } else if poison || chance < condition.false_claims {
            self.world.node_mut(node_index).withdraw(index);
            self.shows(node_index, now + CLAIM);
            self.answer(index, What::End(End::Claim), now + CLAIM, 0.0);
        } else {
            self.begin_jobs(node_index);
        }
    }

    pub(super) fn withdraw(&mut self, index: u32) {
        let node = self.attempts[index as usize].node;
        if self.world.node(node).condition.partition {
            return;
        }
        self.world.node_mut(node).withdraw(index);
        self.begin_jobs(node);
    }

    pub(super) fn served(&mut self, index: u32) {
        let (node, now) = (self.attempts[index as usize].node, self.now);
        if self.world.node_mut(node).finish(index, now) {
            self.begin_jobs(node);
        }
    }

    /// Gives free slots to those that wait; what cannot make it any more is dropped.
    pub(super) fn begin_jobs(&mut self, node: u32) {
        while let Some(job) = self.world.node_mut(node).next() {
            if job.deadline <= self.now {
                let end = End::Failed(Failure::TimedOut);
                self.answer(job.attempt, What::End(end), self.now, 0.0);
                continue;
            }
            self.begin(node, job);
        }
    }

    /// A job has a slot: when it ends, and when each rendition does, is known from now on.
    fn begin(&mut self, node: u32, job: Job) {
        let now = self.now;
        let attempt = &mut self.attempts[job.attempt as usize];
        attempt.started = now;
        let (asked, queue) = (attempt.renditions, now.since(attempt.arrived));
        let flight = &self.segments[attempt.segment as usize];
        let (key, works) = (flight.key, flight.works.clone());
        let n = self.world.node(node);
        let time = self
            .world
            .service(&n.condition, node, job.work, flight.content, key);
        let busy = n.running.len() + 1;
        let usual = self.world.mean_service_if(&n.shown, node, job.work, busy);
        let usual = usual.mul_f64(CHANCE);
        // Nothing runs past its deadline.
        let ends = (now + time).min(job.deadline);
        let chance = self.world.noise.uniform(For::Fault, key, u64::from(node));
        let wrong = chance < self.world.node(node).condition.wrong_media;
        self.shows(node, now + time.min(usual));
        self.world.node_mut(node).start(job, now, ends);
        let position = |i: usize| (asked & ((1 << i) - 1)).count_ones() as usize;
        let count = asked.count_ones() as usize;
        let renditions = works.iter().enumerate();
        // The lowest rung is the first to be finished.
        for (i, work) in renditions.rev().filter(|(i, _)| asked & (1 << i) != 0) {
            let done = now.toward(time, share_done(position(i), count));
            let bits = rendition_bits(*work);
            if done > job.deadline {
                continue;
            }
            if wrong {
                let end = End::Failed(Failure::WrongMedia);
                self.answer(job.attempt, What::End(end), done, bits);
                // The ingest resets the request when it has read that far.
                let reset = self.world.mean_round_trip(0, node);
                self.queue
                    .push(done + reset, Happening::Withdraw(job.attempt));
                return;
            }
            let index = u8::try_from(i).unwrap_or(u8::MAX);
            self.answer(job.attempt, What::Rendition(index), done, bits);
        }
        let end = match now + time > job.deadline {
            true => End::Failed(Failure::TimedOut),
            false => End::Complete {
                queue,
                work: time,
                load: self.world.node(node).load(),
            },
        };
        let bits = works
            .iter()
            .enumerate()
            .find(|(i, _)| asked & (1 << i) != 0);
        let bits = bits.map_or(0.0, |(_, work)| rendition_bits(*work));
        self.answer(job.attempt, What::End(end), ends, bits);
        self.queue.push(ends, Happening::Served(job.attempt));
    }

    /// The node sends something at `left`; it is there when the network has brought it.
    pub(super) fn answer(&mut self, index: u32, what: What, left: Time, bits: f64) {
        let attempt = &self.attempts[index as usize];
        let flight = &self.segments[attempt.segment as usize];
        let zone = self.ingests[flight.ingest as usize].zone;
        let way = self
            .world
            .one_way(zone, attempt.node, For::Back, flight.key);
        let at = left + way + self.world.transfer(zone, attempt.node, bits);
        self.queue.push(
            at,
            Happening::Deliver {
                attempt: index,
                what,
                left,
            },
        );
    }
}
