//! Who decides where segments go: ours, and what it is compared with.

mod attempts;
mod bound;
mod least_in_flight;
mod nearest;
mod oracle;
mod ours;
mod peak_ewma;
mod round_robin;

use std::sync::Arc;
use std::time::Duration;

use crate::engine::run;
use crate::measure::Record;
use crate::scenario::Scenario;
use crate::time::Time;
use crate::world::{Load, Spec, World};

pub(crate) use attempts::Attempts;
pub(crate) use bound::{Bound, Submission, excess};
pub(crate) use least_in_flight::LeastInFlight;
pub(crate) use nearest::Nearest;
pub(crate) use oracle::Oracle;
pub(crate) use ours::Ours;
pub(crate) use peak_ewma::PeakEwma;
pub(crate) use round_robin::RoundRobin;

/// A segment that is to be transcoded.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Its stream, counted over all ingests.
    pub(crate) stream: u32,
    pub(crate) sequence: u64,
    /// Output pixels of each rendition, top rung first.
    pub(crate) works: Arc<[u64]>,
    pub(crate) media: Duration,
    pub(crate) deadline: Time,
    pub(crate) input_bytes: u64,
}

/// What a policy is told of a segment under way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Begin,
    /// The time that it asked to be woken at has come.
    Wake,
    /// A node may have become free.
    Freed,
    Rendition {
        attempt: u32,
        index: u8,
    },
    Ended {
        attempt: u32,
        end: End,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Complete {
        queue: Duration,
        work: Duration,
        load: Load,
    },
    /// Before the body.
    Refused {
        draining: bool,
        retry_after: Duration,
        load: Load,
    },
    /// 422.
    Claim,
    Failed(Failure),
}

/// What a node did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Connect,
    Broken,
    TimedOut,
    WrongMedia,
    Internal,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// `attempt` is the policy's own number, new for the segment; `renditions` a bit each.
    Send {
        attempt: u32,
        node: u32,
        renditions: u16,
    },
    Cancel {
        attempt: u32,
    },
    /// The rendition that just came counts.
    Deliver {
        index: u8,
    },
    /// Segments that wait for a node may look again.
    NodeFreed,
}

/// What is asked for of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// A bit for each rendition whose absence is a gap.
    pub(crate) renditions: u16,
    /// None of them is sent: the stream keeps failing.
    pub(crate) withheld: bool,
}

/// What a policy may see and do while it decides.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    /// The ingest's zone.
    pub(crate) zone: usize,
    /// Only the oracle looks at more than who is who.
    pub(crate) world: &'a World,
    pub(crate) actions: &'a mut Vec<Action>,
}

/// One ingest's policy.
pub(crate) trait Policy {
    /// What it keeps for a segment under way.
    type Plan;

    /// The catalog's word on who is a member.
    fn members(&mut self, nodes: &[u32], cx: &mut Context<'_>);

    /// A new segment, and what of it is asked for.
    fn plan(&mut self, segment: Segment, cx: &mut Context<'_>) -> (Self::Plan, Asked);

    fn step(&mut self, plan: &mut Self::Plan, event: Event, cx: &mut Context<'_>);

    /// When the plan wants [`Event::Wake`].
    fn wake(&self, plan: &Self::Plan) -> Option<Time>;

    fn is_over(&self, plan: &Self::Plan) -> bool;

    /// What was decided for the segment and why, a line each; for whoever wants to know why it
    /// was lost.
    fn story(&self, _plan: &Self::Plan) -> Vec<String> {
        Vec::new()
    }

    /// Nodes to be asked for their load.
    fn to_probe(&mut self, _cx: &mut Context<'_>, _out: &mut Vec<u32>) {}

    /// A probe was answered (after so long), or was not.
    fn probed(
        &mut self,
        _node: u32,
        _answer: Result<(Duration, Load), Failure>,
        _cx: &mut Context<'_>,
    ) {
    }

    /// A stream ended.
    fn close(&mut self, _stream: u32, _cx: &mut Context<'_>) {}
}

/// The policies, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The code that runs in production.
    Ours,
    /// One node after another.
    RoundRobin,
    /// The fewest in flight.
    LeastInFlight,
    /// The better of two by peak-EWMA.
    PeakEwma,
    /// The nearest system's rule.
    Nearest,
    /// Knows every node's true speed and queue.
    Oracle,
    /// The same, but of a fault only what answers can have told.
    LateOracle,
}

impl Name {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Ours,
        Self::RoundRobin,
        Self::LeastInFlight,
        Self::PeakEwma,
        Self::Nearest,
        Self::Oracle,
        Self::LateOracle,
    ];

    /// As it is called in tables and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::RoundRobin => "round-robin",
            Self::LeastInFlight => "least-in-flight",
            Self::PeakEwma => "peak-ewma",
            Self::Nearest => "nearest",
            Self::Oracle => "oracle",
            Self::LateOracle => "late-oracle",
        }
    }

    /// What ours must beat: knows no more than we do, and keeps the same bound.
    pub(crate) fn is_baseline(self) -> bool {
        matches!(
            self,
            Self::RoundRobin | Self::LeastInFlight | Self::PeakEwma
        )
    }

    /// Runs a scenario once; `tells` keeps what was decided for each segment.
    pub(crate) fn run(self, scenario: &Scenario, seed: u64, tells: bool) -> (Record, Vec<Spec>) {
        // A chance of its own, apart from the world's.
        let own = |ingest: u32| {
            seed.wrapping_mul(0x9e37_79b9)
                .wrapping_add(u64::from(ingest))
        };
        match self {
            Self::Ours => run(scenario, seed, tells, |i, _| Ours::new(i, own(i))),
            Self::RoundRobin => run(scenario, seed, tells, |_, _| {
                Attempts::new(RoundRobin::default())
            }),
            Self::LeastInFlight => run(scenario, seed, tells, |i, _| {
                Attempts::new(LeastInFlight::new(own(i)))
            }),
            Self::PeakEwma => run(scenario, seed, tells, |i, _| {
                Attempts::new(PeakEwma::new(own(i)))
            }),
            Self::Nearest => run(scenario, seed, tells, |_, _| {
                Attempts::new(Nearest::default())
            }),
            Self::Oracle => run(scenario, seed, tells, |_, _| Attempts::new(Oracle::new())),
            Self::LateOracle => run(scenario, seed, tells, |_, _| Attempts::new(Oracle::late())),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
