//! All that one ingest knows of its fleet, and all that it may spend.
//!
//! One router is shared by all streams of an ingest, since what one of them learns of a node
//! holds for all, and since what they may cost together is what counts. It owns the
//! [`Table`], the [budgets](budget), what each class of work takes, each stream's home and
//! [circuit], and the level of [degradation](crate::degrade). A [`Plan`](crate::plan::Plan)
//! talks to nothing else.

mod attempts;
pub mod budget;
pub mod circuit;
mod config;
mod latency;
mod purse;
mod stream;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::Rng;

pub use attempts::{Attempts, Hedge, Precious};
pub use config::{Refusals, Retries, RouterConfig};
pub use purse::Spent;
pub(crate) use purse::{Need, Price, Share, Short};
pub use stream::StreamKey;

use crate::degrade::{self, Degrade, Level, Pressure, Reduction, Shift};
use crate::member::NodeId;
use crate::renditions::Renditions;
use crate::table::{Home, NodeRef, Table};
use circuit::{Gate, Turn, Verdict};
use latency::Latency;
use purse::Purse;
use stream::Stream;

/// For how long a stream counts after its last segment, in durations of that segment.
const IDLE_SEGMENTS: u32 = 4;
/// The least for which it counts.
const IDLE_LEAST: Duration = Duration::from_secs(10);
/// What is due counts before it comes while so much of the fleet is there to take it.
const READY: f64 = 0.4;
/// Weight of one segment in what is remembered of how the fleet's segments came out.
const FLEET_WEIGHT: f64 = 0.01;

/// What a stream may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// These renditions.
    pub asked: Renditions,
    /// Why not all of them.
    pub why: Option<Reduction>,
}

/// What a router spent and how it stands, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// Streams that are open.
    pub streams: usize,
    /// Of those, the ones that are not transcoded because they keep failing.
    pub circuits_open: usize,
    /// Retries and hedges that could be made at this instant.
    pub retries_left: u32,
    /// Submissions after a refusal that could be made at this instant.
    pub refusals_left: u32,
    /// How much is left out of every ladder.
    pub level: Level,
    /// What that was last decided by.
    pub pressure: Pressure,
    /// All submissions so far.
    pub spent: Spent,
}

/// What one ingest knows and may spend. Plans talk to nothing else.
#[derive(Debug)]
pub struct Router {
    config: RouterConfig,
    table: Table,
    streams: HashMap<StreamKey, Stream>,
    opened: u64,
    purse: Purse,
    latency: Latency,
    degrade: Degrade,
    /// The most rungs above the lowest that any stream has.
    deepest: u32,
    /// A change of the level that no plan has noted yet.
    shift: Option<Shift>,
    /// Share of the fleet's segments that came out well, poison apart.
    fleet_good: f64,
}

impl Router {
    /// An empty table and fresh budgets. `identity` names this ingest.
    pub fn new(config: RouterConfig, identity: &str, now: Instant) -> Self {
        Self {
            table: Table::new(config.route.clone(), identity),
            streams: HashMap::new(),
            opened: 0,
            purse: Purse::new(config.retries, config.refusals.into(), now),
            latency: Latency::new(),
            degrade: Degrade::new(now),
            deepest: 0,
            shift: None,
            fleet_good: 1.0,
            config,
        }
    }

    /// A stream begins.
    pub fn open(&mut self, now: Instant) -> StreamKey {
        self.opened += 1;
        let key = StreamKey(self.opened);
        self.streams.insert(key, Stream::new(key, now));
        key
    }

    /// A stream is over. Plans of it may still run.
    pub fn close(&mut self, stream: StreamKey) {
        if let Some(known) = self.streams.get_mut(&stream) {
            known.no_longer_due(&mut self.purse, &mut self.table);
        }
        self.streams.remove(&stream);
    }

    /// Who gets it.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Who gets it, to tell it of members and probes.
    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Goes by other constants from now on. What was measured stays; a budget that changes begins
    /// with nothing saved and nothing owed.
    pub fn reconfigure(&mut self, config: RouterConfig, now: Instant) {
        self.table.reconfigure(config.route.clone());
        if config.retries != self.config.retries {
            self.purse.set_retries(config.retries, now);
        }
        if config.refusals != self.config.refusals {
            self.purse.set_refusals(config.refusals.into());
        }
        if config.degrade.order != self.config.degrade.order {
            self.streams.values_mut().for_each(Stream::demand_anew);
        }
        self.config = config;
    }

    /// The constants it works by.
    pub fn config(&self) -> &RouterConfig {
        &self.config
    }

    /// What may be asked for at all, for a ladder of `works` output pixels (top rung first) and
    /// a segment of this duration. Called once a segment, before its plan is made: it is how
    /// the router knows the demand.
    pub fn allowance(
        &mut self,
        stream: StreamKey,
        works: &[u64],
        media: Duration,
        now: Instant,
    ) -> Allowance {
        let rungs = works.len().min(Renditions::MAX);
        let all = Renditions::first(rungs);
        if let Some(known) = self.streams.get_mut(&stream) {
            known.demands(works, media, &self.config.degrade.order, now);
            known.no_longer_due(&mut self.purse, &mut self.table);
        }
        self.degrade.begun();
        if self.degrade.is_due(now) {
            self.decide(now);
        }
        let Some(known) = self.streams.get_mut(&stream) else {
            return Allowance {
                asked: all,
                why: None,
            };
        };
        let patience = IDLE_LEAST.max(media.saturating_mul(IDLE_SEGMENTS));
        if let Gate::Shut { left } = known.circuit.gate(patience, now) {
            return Allowance {
                asked: Renditions::NONE,
                why: Some(Reduction::Circuit { left }),
            };
        }
        let asked = self.allowed(stream, rungs);
        let level = self.degrade.level();
        if level > Level::NONE {
            // Of a fleet that cannot carry all, nothing is taken for granted.
            self.purse.hindered(now);
        } else if !asked.is_empty() {
            self.expect(stream, media, now);
        }
        let level = level.as_milli();
        Allowance {
            asked,
            why: (asked != all).then_some(Reduction::Overload { level }),
        }
    }

    /// The stream's next segment will probably come when this one's duration is over: if this
    /// one did.
    fn expect(&mut self, stream: StreamKey, media: Duration, now: Instant) {
        let Some(known) = self.streams.get_mut(&stream) else {
            return;
        };
        if known.is_regular(now) {
            known.due = self.purse.expect(now + media, now);
        }
        known.next = Some(now + media);
    }

    /// What degradation leaves of a ladder of `rungs` at this moment.
    pub(crate) fn allowed(&self, stream: StreamKey, rungs: usize) -> Renditions {
        let Some(known) = self.streams.get(&stream) else {
            return Renditions::first(rungs);
        };
        let level = self.degrade.level();
        let drops = degrade::drops(rungs, level, known.group, self.deepest);
        degrade::left(rungs, drops, &self.config.degrade.order)
    }

    /// How it stands, for metrics.
    pub fn snapshot(&mut self, now: Instant) -> Snapshot {
        let circuits = self.streams.values();
        Snapshot {
            circuits_open: circuits.filter(|s| s.circuit.is_broken()).count(),
            streams: self.streams.len(),
            retries_left: self.purse().retries_left(now),
            refusals_left: self.purse.refusals_left(now),
            level: self.degrade.level(),
            pressure: self.degrade.pressure(),
            spent: self.purse.spent(),
        }
    }

    fn decide(&mut self, now: Instant) {
        let live = |s: &&Stream| s.is_live(now);
        let rungs = self.streams.values().filter(live).map(Stream::rungs);
        let deepest = rungs.max().unwrap_or(0).saturating_sub(1);
        self.deepest = u32::try_from(deepest).unwrap_or(u32::MAX);
        let (streams, deepest) = (&self.streams, self.deepest);
        let demand = |level: Level| -> f64 {
            let live = streams.values().filter(live);
            live.map(|s| s.rate(level, deepest)).sum()
        };
        let capacity = self.table.capacity(now);
        let shift = self
            .degrade
            .decide(capacity, deepest, demand, &self.config.degrade, now);
        self.shift = shift.or(self.shift.take());
    }

    pub(crate) fn home(&self, stream: StreamKey) -> Option<Home> {
        self.streams.get(&stream)?.home()
    }

    /// The stream's home from now on. The one that it moves away from, if it does: a home may
    /// have left the catalog since, and is remembered by name.
    pub(crate) fn set_home(
        &mut self,
        stream: StreamKey,
        home: Home,
        now: Instant,
    ) -> Option<NodeId> {
        let known = self.streams.get_mut(&stream)?;
        if let Some(before) = known.lives.take() {
            self.table.unexpect(&before);
        }
        if let Some(next) = known.next.filter(|at| *at > now) {
            known.lives = Some(self.table.expect(home.node(), next));
        }
        let id = &self.table.member(home.node())?.id;
        known.set_home(home, id)
    }

    pub(crate) fn purse(&mut self) -> &mut Purse {
        let well = self.table.ready_share() >= READY;
        self.purse.count_ahead(well);
        &mut self.purse
    }

    /// Work took so long, or had taken so long already when it was given up.
    pub(crate) fn took(&mut self, work: u64, elapsed: Duration, predicted: Duration, now: Instant) {
        let hedge = &self.config.hedge;
        self.latency.observe(work, elapsed, predicted, hedge, now);
    }

    /// After how many times what was predicted work of this class is slow: only so few of it take longer as
    /// `[dispatch.hedge]` says. `None` while too little is known.
    pub fn slow_after(&self, work: u64) -> Option<f64> {
        self.latency.quantile(work, &self.config.hedge)
    }

    /// Until when a node may refuse what is sent to it now: later, it has taken it on.
    pub(crate) fn refusable_until(&self, node: NodeRef, now: Instant) -> Instant {
        let there_and_back = self.table.network(node, now).saturating_mul(2);
        // Grants are given back within the shortest window only.
        now + (self.config.refusals.within + there_and_back).min(budget::WINDOW)
    }

    /// Share of the fleet's slots that is free.
    pub(crate) fn free_share(&self, now: Instant) -> f64 {
        let capacity = self.table.capacity(now);
        f64::from(capacity.free) / f64::from(capacity.slots.max(1))
    }

    /// A segment is in trouble that overload can explain; told once for each.
    pub(crate) fn troubled(&mut self) {
        self.degrade.troubled();
    }

    /// A change of the level that nobody has noted yet.
    pub(crate) fn take_shift(&mut self) -> Option<Shift> {
        self.shift.take()
    }

    /// A segment came to its end.
    pub(crate) fn ended(
        &mut self,
        stream: StreamKey,
        verdict: Verdict,
        begun: Instant,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Turn> {
        let others_good = self.fleet_good >= self.config.circuit.fleet_good;
        let verdict = match verdict {
            Verdict::Failed if !others_good => Verdict::Unknown,
            verdict => verdict,
        };
        let broken = |s: &Stream| s.circuit.is_broken();
        let is_broken = self.streams.get(&stream).is_some_and(broken);
        if let Some(good) = match verdict {
            Verdict::Good => Some(1.0),
            // What a stream at rest tries again says nothing of the others.
            Verdict::Failed | Verdict::Unknown if is_broken => None,
            Verdict::Failed | Verdict::Unknown => Some(0.0),
            Verdict::Poison => None,
        } {
            self.fleet_good += (good - self.fleet_good) * FLEET_WEIGHT;
        }
        let known = self.streams.get_mut(&stream)?;
        known
            .circuit
            .end(verdict, begun, &self.config.circuit, now, rng)
    }
}
