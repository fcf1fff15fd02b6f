//! Runs one scenario with one policy and one seed, event by event, on virtual time.

mod catalog;
mod deliver;
mod dispatch;
mod serve;
mod spell;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::measure::{Record, Sent, Taken};
use crate::noise::{For, Noise};
use crate::policy::{Action, Context, End, Event, Policy, Segment};
use crate::queue::Queue;
use crate::scenario::{Kind, Scenario};
use crate::time::Time;
use crate::world::{Episode, Load, Spec, World, episodes};
use catalog::Catalog;

/// An ingest looks this often whether a probe is due.
const PROBE_TICK: Duration = Duration::from_millis(100);
/// A probe that is not answered within this has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection on which nothing is heard is given up after this; from then on, to connect
/// fails.
const LINK_TIMEOUT: Duration = Duration::from_secs(4);

/// After the scenario's length its streams end one after another within this time. What they bring
/// then is no longer judged; but a window of time that begins before has all that belongs to it.
const WIND_DOWN: Duration = Duration::from_secs(12);

#[derive(Debug, Clone, Copy)]
enum Happening {
    Cut(u32),
    Wake(u32),
    /// An attempt's headers are at the node.
    Headers(u32),
    /// Its body is.
    Body(u32),
    /// It was cancelled, and the node has heard of it.
    Withdraw(u32),
    /// The node has finished it.
    Served(u32),
    /// Something of it is at the ingest, sent at `left`.
    Deliver {
        attempt: u32,
        what: What,
        left: Time,
    },
    Spell {
        index: u32,
        begins: bool,
    },
    /// The catalog's checks of a node that nothing was heard of since.
    Critical {
        node: u32,
        since: Time,
    },
    /// What the node has answered by now tells what is the matter with it.
    Shown(u32),
    Members(u32),
    Tick(u32),
    Probe {
        ingest: u32,
        node: u32,
        sent: Time,
    },
    Probed {
        ingest: u32,
        node: u32,
        sent: Time,
        load: Option<Load>,
        refused: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum What {
    Rendition(u8),
    End(End),
}

/// Who publishes.
#[derive(Debug)]
struct Stream {
    ingest: u32,
    works: Arc<[u64]>,
    media: Duration,
    content: f64,
    input_bytes: u64,
    until: Time,
    sequence: u64,
}

struct Ingest<P> {
    policy: P,
    zone: usize,
    /// Segments without an attempt under way.
    waiting: Vec<u32>,
    freed: bool,
    /// The catalog has been empty since.
    emptied: Option<Time>,
}

/// A segment under way, or what is left of it.
struct Flight<P: Policy> {
    plan: Option<P::Plan>,
    ingest: u32,
    /// Chance's key.
    key: u64,
    deadline: Time,
    input_bytes: u64,
    works: Arc<[u64]>,
    content: f64,
    poison: bool,
    /// The policy's numbers and the attempts that are under way.
    open: Vec<(u32, u32)>,
    armed: Time,
    waits: bool,
}

#[derive(Debug)]
struct Attempt {
    segment: u32,
    number: u32,
    node: u32,
    renditions: u16,
    work: u64,
    sent: Time,
    arrived: Time,
    started: Time,
    /// The ingest has heard its end, or cancelled it.
    closed: bool,
    /// The node lost it then: what had not left is not coming.
    lost: Time,
}

pub(crate) struct Engine<'a, P: Policy> {
    scenario: &'a Scenario,
    now: Time,
    world: World,
    queue: Queue<Happening>,
    ingests: Vec<Ingest<P>>,
    streams: Vec<Stream>,
    segments: Vec<Flight<P>>,
    attempts: Vec<Attempt>,
    spells: Vec<Episode>,
    /// Faults of each node at this moment.
    faults: Vec<Vec<Kind>>,
    poison: f64,
    catalog: Catalog,
    actions: Vec<Action>,
    record: Record,
}

/// Runs a scenario to its end; `policy` makes one for each ingest, numbered, and `tells` keeps what
/// was decided for each segment.
pub(crate) fn run<P: Policy>(
    scenario: &Scenario,
    seed: u64,
    tells: bool,
    policy: impl Fn(u32, &World) -> P,
) -> (Record, Vec<Spec>) {
    let mut engine = Engine::new(scenario, seed, policy);
    engine.record.tells = tells;
    engine.run()
}

impl<'a, P: Policy> Engine<'a, P> {
    fn new(scenario: &'a Scenario, seed: u64, policy: impl Fn(u32, &World) -> P) -> Self {
        let world = World::new(scenario, Noise::new(seed));
        let (spells, wholes) = episodes(scenario, &world);
        let mut engine = Self {
            scenario,
            now: Time::ZERO,
            queue: Queue::new(),
            ingests: Vec::new(),
            streams: Vec::new(),
            segments: Vec::new(),
            attempts: Vec::new(),
            spells,
            faults: vec![Vec::new(); world.nodes.len()],
            poison: 0.0,
            catalog: Catalog::new(world.nodes.len()),
            actions: Vec::new(),
            record: Record::new(wholes),
            world,
        };
        engine.publish(policy);
        engine.befall();
        engine
    }

    /// Ingests and their streams, each beginning at a chance moment of its first segment.
    fn publish(&mut self, policy: impl Fn(u32, &World) -> P) {
        for spec in &self.scenario.ingests {
            let rungs = spec.ladder.iter();
            let pixels = |rate: f64| (rate * spec.segment.as_secs_f64()) as u64;
            let works: Arc<[u64]> = rungs.map(|r| pixels(r.0)).collect();
            for copy in 0..spec.count {
                if !spec.same || self.ingests.is_empty() {
                    let number = u32::try_from(self.ingests.len()).unwrap_or(u32::MAX);
                    let zones = &self.world.zones;
                    self.ingests.push(Ingest {
                        policy: policy(number, &self.world),
                        zone: zones.iter().position(|z| *z == spec.zone).unwrap_or(0),
                        waiting: Vec::new(),
                        freed: false,
                        emptied: None,
                    });
                    let tick = PROBE_TICK.mul_f64(f64::from(copy) / f64::from(spec.count));
                    self.queue.push(Time::ZERO + tick, Happening::Tick(number));
                }
                let ingest = self.ingests.len() - 1;
                for _ in 0..spec.streams {
                    let stream = self.streams.len();
                    let phase = self.world.noise.uniform(For::Phase, stream as u64, 0);
                    let first = spec.from + spec.segment.mul_f64(phase);
                    let late = self.world.noise.uniform(For::Phase, stream as u64, 1);
                    let end = self.scenario.length + WIND_DOWN.mul_f64(late);
                    self.queue.push(
                        Time::after(first),
                        Happening::Cut(u32::try_from(stream).unwrap_or(u32::MAX)),
                    );
                    self.streams.push(Stream {
                        ingest: u32::try_from(ingest).unwrap_or(u32::MAX),
                        works: Arc::clone(&works),
                        media: spec.segment,
                        content: spec.content,
                        input_bytes: (spec.bitrate * spec.segment.as_secs_f64() / 8.0) as u64,
                        until: Time::after(spec.until.unwrap_or(end)),
                        sequence: 0,
                    });
                }
            }
        }
    }

    fn befall(&mut self) {
        for (i, spell) in (0..).zip(&self.spells) {
            let event = |begins| Happening::Spell { index: i, begins };
            self.queue.push(spell.from, event(true));
            self.queue.push(spell.until, event(false));
        }
        self.schedule_late_nodes();
        for ingest in 0..self.ingests.len() {
            self.members(ingest);
        }
    }

    fn run(mut self) -> (Record, Vec<Spec>) {
        // The last segments have their time; what ticks for ever ends with them.
        let longest = self.streams.iter().map(|s| s.media).max();
        let grace = longest.unwrap_or_default().mul_f64(self.scenario.deadline);
        let end = Time::after(self.scenario.length + WIND_DOWN + grace + Duration::from_secs(1));
        while let Some((at, event)) = self.queue.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.handle(event);
        }
        self.record.close();
        let nodes = self.world.nodes.into_iter().map(|n| n.spec);
        (self.record, nodes.collect())
    }

    fn handle(&mut self, event: Happening) {
        match event {
            Happening::Cut(stream) => self.cut(stream),
            Happening::Wake(segment) => self.woken(segment),
            Happening::Headers(attempt) => self.headers(attempt),
            Happening::Body(attempt) => self.body(attempt),
            Happening::Withdraw(attempt) => self.withdraw(attempt),
            Happening::Served(attempt) => self.served(attempt),
            Happening::Deliver {
                attempt,
                what,
                left,
            } => self.deliver(attempt, what, left),
            Happening::Spell { index, begins } => self.spell(index as usize, begins),
            Happening::Critical { node, since } => self.critical(node, since),
            Happening::Shown(node) => self.shown(node),
            Happening::Members(ingest) => self.members(ingest as usize),
            Happening::Tick(ingest) => self.tick(ingest as usize),
            Happening::Probe { ingest, node, sent } => self.probe(ingest, node, sent),
            Happening::Probed {
                ingest,
                node,
                sent,
                load,
                refused,
            } => self.probed(ingest as usize, node, sent, load, refused),
        }
    }

    /// A stream has a segment more.
    fn cut(&mut self, index: u32) {
        let stream = &mut self.streams[index as usize];
        if self.now >= stream.until {
            let ingest = &mut self.ingests[stream.ingest as usize];
            let mut cx = Context {
                now: self.now,
                zone: ingest.zone,
                world: &self.world,
                actions: &mut self.actions,
            };
            ingest.policy.close(index, &mut cx);
            return;
        }
        self.queue
            .push(self.now + stream.media, Happening::Cut(index));
        let key = u64::from(index) << 32 | stream.sequence;
        let deadline = self.now + stream.media.mul_f64(self.scenario.deadline);
        let noise = self.world.noise;
        let poison = self.poison > 0.0 && noise.uniform(For::Poison, key, 0) < self.poison;
        let segment = Segment {
            stream: index,
            sequence: stream.sequence,
            works: Arc::clone(&stream.works),
            media: stream.media,
            deadline,
            input_bytes: stream.input_bytes,
        };
        stream.sequence += 1;
        let content = noise.around_one(stream.content, For::Content, key, 0);
        let (ingest, works) = (stream.ingest, Arc::clone(&stream.works));
        let input_bytes = stream.input_bytes;
        let shell = &mut self.ingests[ingest as usize];
        let mut cx = Context {
            now: self.now,
            zone: shell.zone,
            world: &self.world,
            actions: &mut self.actions,
        };
        let (plan, asked) = shell.policy.plan(segment, &mut cx);
        self.record
            .cut(Taken::new(index, self.now, deadline, asked, &works, poison));
        let number = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        self.segments.push(Flight {
            plan: Some(plan),
            ingest,
            key,
            deadline,
            input_bytes,
            works,
            content,
            poison,
            open: Vec::new(),
            armed: Time::NEVER,
            waits: false,
        });
        self.step(number, Event::Begin);
    }

    fn woken(&mut self, segment: u32) {
        let now = self.now;
        let flight = &mut self.segments[segment as usize];
        if flight.armed <= now {
            flight.armed = Time::NEVER;
            let ingest = &self.ingests[flight.ingest as usize];
            let due = |plan: &P::Plan| ingest.policy.wake(plan).is_some_and(|at| at <= now);
            if flight.plan.as_ref().is_some_and(due) {
                self.step(segment, Event::Wake);
            } else {
                self.arm(segment);
            }
        }
    }

    fn submitted(&mut self, attempt: &SentAttempt) {
        let flight = &self.segments[attempt.segment as usize];
        self.record.submitted(Sent {
            at: attempt.sent,
            segment: attempt.segment,
            ingest: flight.ingest,
            node: attempt.node,
            number: attempt.number,
        });
    }
}

/// What the record wants to know of a submission.
struct SentAttempt {
    segment: u32,
    node: u32,
    number: u32,
    sent: Time,
}
