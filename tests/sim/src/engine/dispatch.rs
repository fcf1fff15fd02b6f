//! The ingest's side: the policy decides, and what it decides is done.

use std::time::Duration;

use super::{Attempt, Engine, Happening, LINK_TIMEOUT, What};
use crate::noise::For;
use crate::policy::{Action, Context, End, Event, Failure, Policy};
use crate::time::Time;
use crate::world::Job;

impl<P: Policy> Engine<'_, P> {
    /// Tells the plan of an event and does what it wants.
    pub(super) fn step(&mut self, segment: u32, event: Event) {
        let ingest = self.segments[segment as usize].ingest as usize;
        self.tell(segment, event);
        self.serve_waiting(ingest);
    }

    /// Each round serves those that wait, and may free a node again.
    pub(super) fn serve_waiting(&mut self, ingest: usize) {
        while std::mem::take(&mut self.ingests[ingest].freed) {
            for waiting in std::mem::take(&mut self.ingests[ingest].waiting) {
                let flight = &mut self.segments[waiting as usize];
                if std::mem::take(&mut flight.waits) && flight.plan.is_some() {
                    self.tell(waiting, Event::Freed);
                }
            }
        }
    }

    fn tell(&mut self, segment: u32, event: Event) {
        let flight = &mut self.segments[segment as usize];
        let Some(plan) = flight.plan.as_mut() else {
            return;
        };
        let ingest = &mut self.ingests[flight.ingest as usize];
        let mut actions = std::mem::take(&mut self.actions);
        let mut cx = Context {
            now: self.now,
            zone: ingest.zone,
            world: &self.world,
            actions: &mut actions,
        };
        ingest.policy.step(plan, event, &mut cx);
        let over = ingest.policy.is_over(plan);
        for action in actions.drain(..) {
            self.act(segment, action);
        }
        self.actions = actions;
        self.settle(segment, over);
    }

    fn settle(&mut self, segment: u32, over: bool) {
        let flight = &mut self.segments[segment as usize];
        if over {
            assert!(flight.open.is_empty(), "a plan that is over has requests");
            if let Some(plan) = flight.plan.take() {
                let policy = &self.ingests[flight.ingest as usize].policy;
                self.record.ended(segment, || policy.story(&plan));
            }
            return;
        }
        if flight.open.is_empty() && !flight.waits {
            flight.waits = true;
            self.ingests[flight.ingest as usize].waiting.push(segment);
        }
        self.arm(segment);
    }

    /// Sees to it that the plan is woken when it wants to be.
    pub(super) fn arm(&mut self, segment: u32) {
        let flight = &mut self.segments[segment as usize];
        let ingest = &self.ingests[flight.ingest as usize];
        let wake = flight.plan.as_ref().and_then(|p| ingest.policy.wake(p));
        if let Some(at) = wake.map(|at| at.max(self.now))
            && at < flight.armed
        {
            flight.armed = at;
            self.queue.push(at, Happening::Wake(segment));
        }
    }

    fn act(&mut self, segment: u32, action: Action) {
        match action {
            Action::Send {
                attempt,
                node,
                renditions,
            } => self.send(segment, attempt, node, renditions),
            Action::Cancel { attempt } => self.cancel(segment, attempt),
            Action::Deliver { index } => self.record.came(segment, index, self.now),
            Action::NodeFreed => {
                let ingest = self.segments[segment as usize].ingest;
                self.ingests[ingest as usize].freed = true;
            }
        }
    }

    fn send(&mut self, segment: u32, number: u32, node: u32, renditions: u16) {
        let flight = &mut self.segments[segment as usize];
        let index = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        let asked = |i: &usize| renditions & (1 << i) != 0;
        let works = flight.works.iter().enumerate();
        let work = works.filter(|(i, _)| asked(i)).map(|(_, w)| w).sum();
        flight.open.push((number, index));
        self.attempts.push(Attempt {
            segment,
            number,
            node,
            renditions,
            work,
            sent: self.now,
            arrived: Time::NEVER,
            started: Time::NEVER,
            closed: false,
            lost: Time::NEVER,
        });
        let job = Job {
            attempt: index,
            deadline: flight.deadline,
            work,
        };
        let (key, ingest) = (flight.key, flight.ingest);
        let zone = self.ingests[ingest as usize].zone;
        let cut_off = self.catalog.cut_off(node);
        if cut_off.is_some_and(|since| self.now.since(since) >= LINK_TIMEOUT) {
            // The link is known to be down.
            let at = self.now + Duration::from_millis(1);
            self.reply(index, What::End(End::Failed(Failure::Connect)), at);
            return;
        }
        let there = self.world.one_way(zone, node, For::There, key);
        self.world.node_mut(node).coming.push(job);
        self.queue.push(self.now + there, Happening::Headers(index));
    }

    fn cancel(&mut self, segment: u32, number: u32) {
        let flight = &mut self.segments[segment as usize];
        let Some(i) = flight.open.iter().position(|(n, _)| *n == number) else {
            return;
        };
        let (_, index) = flight.open.swap_remove(i);
        let (key, ingest) = (flight.key, flight.ingest);
        let attempt = &mut self.attempts[index as usize];
        attempt.closed = true;
        let zone = self.ingests[ingest as usize].zone;
        let there = self.world.one_way(zone, attempt.node, For::There, key);
        self.queue
            .push(self.now + there, Happening::Withdraw(index));
    }
}
