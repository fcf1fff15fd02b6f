//! The table's policy, exactly, on virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod choose;
mod fail;
mod fleet;
mod invariants;
mod learn;
mod slow;
mod zones;

use std::time::{Duration, Instant};

use rackcast_route::table::{
    Ask, Change, Choice, Config, FailureKind, Home, HomeConfig, NoNode, NodeRef, NodeView, Outcome,
    Purpose, Table, Ticket, Timing,
};
use rackcast_route::{Endpoint, Load, Member};
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Ten million pixels: 0.1 s on a node of the prior's speed.
pub(crate) const WORK: u64 = 10_000_000;
/// Until the deadline.
pub(crate) const LEFT: Duration = Duration::from_secs(3);

pub(crate) struct World {
    pub(crate) table: Table,
    pub(crate) now: Instant,
    pub(crate) rng: SmallRng,
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn member(id: &str, zone: &str, slots: u32) -> Member {
    Member {
        id: id.into(),
        zone: zone.to_owned(),
        endpoint: Endpoint::new(id, 7000),
        slots,
        pixel_rate: None,
        weight: 1,
    }
}

/// Without what is spent on finding out and on balance, which tests of other things would meet.
pub(crate) fn incurious() -> Config {
    Config {
        curiosity: 0.0,
        contention: 0.0,
        home: HomeConfig {
            balance: 0.0,
            ..HomeConfig::default()
        },
        ..Config::default()
    }
}

impl World {
    /// Nodes of one zone and four slots.
    pub(crate) fn new(ids: &[&str]) -> Self {
        Self::with(incurious(), ids.iter().map(|id| member(id, "z", 4)))
    }

    pub(crate) fn with(config: Config, members: impl Iterator<Item = Member>) -> Self {
        let mut table = Table::new(config, "ingest-1");
        let now = Instant::now();
        table.update_members(members, now);
        Self {
            table,
            now,
            rng: SmallRng::seed_from_u64(1),
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn node(&self, id: &str) -> NodeRef {
        self.table.find(&id.into()).unwrap()
    }

    pub(crate) fn id(&self, node: NodeRef) -> &str {
        self.table.member(node).unwrap().id.as_str()
    }

    pub(crate) fn view(&self, id: &str) -> NodeView<'_> {
        let node = self.node(id);
        self.table.nodes(self.now).find(|v| v.node == node).unwrap()
    }

    pub(crate) fn ask(
        &mut self,
        purpose: Purpose,
        home: Option<Home>,
        tried: &[NodeRef],
    ) -> Result<Choice, NoNode> {
        self.ask_within(LEFT, purpose, home, tried)
    }

    pub(crate) fn ask_within(
        &mut self,
        time_left: Duration,
        purpose: Purpose,
        home: Option<Home>,
        tried: &[NodeRef],
    ) -> Result<Choice, NoNode> {
        let ask = Ask {
            work: WORK,
            time_left,
            home,
            tried,
            purpose,
            trials: true,
            patient: true,
        };
        self.table.pick(&ask, self.now, &mut self.rng)
    }

    pub(crate) fn first(&mut self, home: Option<Home>) -> Choice {
        self.ask(Purpose::First, home, &[]).unwrap()
    }

    pub(crate) fn start(&mut self, node: NodeRef) -> Ticket {
        self.start_predicted(node, ms(100))
    }

    pub(crate) fn start_predicted(&mut self, node: NodeRef, predicted: Duration) -> Ticket {
        self.table.start(node, WORK, 3, predicted, self.now)
    }

    pub(crate) fn finish(&mut self, ticket: Ticket, outcome: Outcome) -> Option<Change> {
        self.table.finish(ticket, outcome, self.now, &mut self.rng)
    }

    pub(crate) fn done(&mut self, ticket: Ticket) -> Option<Change> {
        let elapsed = self.now - ticket.sent();
        self.finish(ticket, done(elapsed))
    }

    /// One job alone on a node, from now on.
    pub(crate) fn run(&mut self, id: &str, took: Duration) -> Option<Change> {
        let ticket = self.start(self.node(id));
        self.pass(took);
        self.finish(ticket, done(took))
    }

    /// Every node is measured to take 100 ms, and its slow start is over.
    pub(crate) fn settle(&mut self) {
        let ids: Vec<String> = self
            .table
            .nodes(self.now)
            .map(|v| v.member.id.to_string())
            .collect();
        self.pass(Duration::from_secs(20));
        for _ in 0..3 {
            let tickets: Vec<Ticket> = ids.iter().map(|id| self.start(self.node(id))).collect();
            self.pass(ms(100));
            for ticket in tickets {
                self.done(ticket);
            }
        }
    }

    pub(crate) fn fail(&mut self, id: &str, kind: FailureKind) -> Option<Change> {
        let node = self.node(id);
        self.table.blame(node, kind, self.now, &mut self.rng)
    }

    /// What part of `n` picks that follow no home falls on the node.
    pub(crate) fn share(&mut self, id: &str, n: u32) -> f64 {
        let node = self.node(id);
        let pick = |w: &mut Self| {
            w.ask(Purpose::Retry, None, &[])
                .is_ok_and(|c| c.node == node)
        };
        let hits = (0..n).filter(|_| pick(self)).count();
        f64::from(u32::try_from(hits).unwrap()) / f64::from(n)
    }
}

pub(crate) fn done(elapsed: Duration) -> Outcome {
    Outcome::Done {
        elapsed,
        timing: None,
        load: None,
    }
}

pub(crate) fn timed(elapsed: u64, queue: u64, work: u64) -> Outcome {
    Outcome::Done {
        elapsed: ms(elapsed),
        timing: Some(Timing {
            queue: ms(queue),
            work: ms(work),
        }),
        load: None,
    }
}

pub(crate) fn load(slots: u32, jobs: u32) -> Load {
    Load {
        slots,
        jobs,
        draining: false,
    }
}
