//! What comes back to the ingest.

use super::{Engine, Happening, PROBE_TICK, PROBE_TIMEOUT, What};
use crate::noise::For;
use crate::policy::{Context, Event, Failure, Policy};
use crate::time::Time;
use crate::world::Load;

impl<P: Policy> Engine<'_, P> {
    /// Something that the ingest learns without the node.
    pub(super) fn reply(&mut self, attempt: u32, what: What, at: Time) {
        self.queue.push(
            at,
            Happening::Deliver {
                attempt,
                what,
                left: Time::ZERO,
            },
        );
    }

    pub(super) fn deliver(&mut self, index: u32, what: What, left: Time) {
        let attempt = &mut self.attempts[index as usize];
        let cut_off = self.world.node(attempt.node).condition.partition;
        // What the ingest finds out by itself left nobody.
        let lost = left > attempt.lost || (cut_off && left > Time::ZERO);
        if attempt.closed || lost {
            return;
        }
        let (segment, number) = (attempt.segment, attempt.number);
        let flight = &mut self.segments[segment as usize];
        let event = match what {
            What::Rendition(index) => Event::Rendition {
                attempt: number,
                index,
            },
            What::End(mut end) => {
                attempt.closed = true;
                flight.open.retain(|(n, _)| *n != number);
                // The summary is written when the job has ended.
                if let crate::policy::End::Complete { load, .. } = &mut end {
                    *load = self.world.node(attempt.node).load();
                }
                Event::Ended {
                    attempt: number,
                    end,
                }
            }
        };
        self.step(segment, event);
    }

    pub(super) fn tick(&mut self, index: usize) {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        self.queue
            .push(self.now + PROBE_TICK, Happening::Tick(number));
        let ingest = &mut self.ingests[index];
        let mut nodes = Vec::new();
        let mut cx = Context {
            now: self.now,
            zone: ingest.zone,
            world: &self.world,
            actions: &mut self.actions,
        };
        ingest.policy.to_probe(&mut cx, &mut nodes);
        let zone = ingest.zone;
        for node in nodes {
            let key = self.now.nanos();
            let there = self.world.one_way(zone, node, For::Probe, key);
            self.queue.push(
                self.now + there,
                Happening::Probe {
                    ingest: number,
                    node,
                    sent: self.now,
                },
            );
        }
    }

    pub(super) fn probe(&mut self, ingest: u32, node: u32, sent: Time) {
        let n = self.world.node(node);
        let zone = self.ingests[ingest as usize].zone;
        let back = self.world.one_way(zone, node, For::Probe, sent.nanos() + 1);
        let (load, at) = match n.condition.is_silent() {
            true => (None, sent + PROBE_TIMEOUT),
            false => (Some(n.load()), self.now + back),
        };
        let refused = n.condition.dead;
        self.queue.push(
            at,
            Happening::Probed {
                ingest,
                node,
                sent,
                load: load.filter(|_| !refused),
                refused,
            },
        );
    }

    pub(super) fn probed(
        &mut self,
        index: usize,
        node: u32,
        sent: Time,
        load: Option<Load>,
        refused: bool,
    ) {
        let ingest = &mut self.ingests[index];
        let failure = match refused {
            true => Failure::Connect,
            false => Failure::TimedOut,
        };
        let answer = load.map(|load| (self.now.since(sent), load)).ok_or(failure);
        let mut cx = Context {
            now: self.now,
            zone: ingest.zone,
            world: &self.world,
            actions: &mut self.actions,
        };
        ingest.policy.probed(node, answer, &mut cx);
    }
}
