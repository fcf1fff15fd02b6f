//! What a decision costs: `pick` over a subset of 24 nodes and over one of 1,000, the whole of pick,
//! start and finish, and the same for 24 large nodes that are full of long jobs of this one ingest.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rackcast_route::table::{
    Ask, Config, Home, NodeRef, Outcome, Purpose, Residence, SubsetConfig, Table, Ticket,
};
use rackcast_route::{Endpoint, Member};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Each measurement lasts about so long.
const SPAN: Duration = Duration::from_secs(1);
const WORK: u64 = 10_000_000;
/// From one segment of a stream to the next.
const PERIOD: Duration = Duration::from_secs(2);
/// What the architecture promises.
const TARGET: Duration = Duration::from_micros(2);

/// A fleet, and what one ingest has under way there.
#[derive(Clone, Copy)]
struct Fleet {
    what: &'static str,
    nodes: u32,
    /// The fewest slots of a node; some have up to six more.
    slots: u32,
    /// How long each job takes.
    takes: Duration,
    /// So many a node are under way.
    under_way: f64,
    /// The target holds here.
    promised: bool,
}

const FLEETS: [Fleet; 3] = [
    Fleet {
        what: "24 nodes",
        nodes: 24,
        slots: 2,
        takes: Duration::from_millis(100),
        under_way: 1.6,
        promised: true,
    },
    Fleet {
        what: "1000 nodes",
        nodes: 1000,
        slots: 2,
        takes: Duration::from_millis(100),
        under_way: 1.6,
        promised: true,
    },
    Fleet {
        what: "24 nodes of 40 slots",
        nodes: 24,
        slots: 40,
        takes: Duration::from_secs(1),
        under_way: 25.0,
        promised: false,
    },
];

struct World {
    fleet: Fleet,
    table: Table,
    now: Instant,
    rng: SmallRng,
    homes: Vec<Home>,
    /// From one job to the next.
    pause: Duration,
    /// When each is over, in order.
    flying: VecDeque<(Instant, Ticket)>,
    /// When the next segment of each stream is due, in order.
    due: VecDeque<(Instant, Residence)>,
}

/// A fleet of unlike nodes in the midst of its work.
fn world(fleet: Fleet) -> World {
    let nodes = fleet.nodes;
    let config = Config {
        subset: SubsetConfig {
            least: usize::try_from(nodes).unwrap(),
            ..SubsetConfig::default()
        },
        ..Config::default()
    };
    let mut w = World {
        fleet,
        table: Table::new(config, "ingest-1"),
        now: Instant::now(),
        rng: SmallRng::seed_from_u64(1),
        homes: Vec::new(),
        pause: fleet.takes.div_f64(fleet.under_way * f64::from(nodes)),
        flying: VecDeque::new(),
        due: VecDeque::new(),
    };
    w.table.update_members(
        (0..nodes).map(|i| Member {
            id: format!("node-{i}").into(),
            zone: format!("zone-{}", i % 3),
            endpoint: Endpoint::new(&format!("node-{i}"), 7000),
            slots: fleet.slots + i % 7,
            pixel_rate: Some(1e8 * f64::from(1 + i % 5)),
            weight: 1,
        }),
        w.now,
    );
    for _ in 0..nodes * 50 {
        let home = pick(&w, None, &[], Purpose::First);
        w.homes.push(home.0);
        turn(&mut w, home.1);
    }
    w
}

fn pick(w: &World, home: Option<Home>, tried: &[NodeRef], purpose: Purpose) -> (Home, NodeRef) {
    let ask = Ask {
        work: WORK,
        time_left: Duration::from_secs(3),
        home,
        tried,
        purpose,
        trials: true,
        patient: true,
    };
    let mut rng = w.rng.clone();
    let choice = w.table.pick(&ask, w.now, &mut rng).unwrap();
    (choice.home, choice.node)
}

/// A stream's job begins, and those end that are over.
fn turn(w: &mut World, node: NodeRef) {
    let takes = w.fleet.takes;
    let ticket = w.table.start(node, WORK, 3, takes, w.now);
    w.flying.push_back((w.now + takes, ticket));
    let next = w.now + PERIOD;
    w.due.push_back((next, w.table.expect(node, next)));
    w.now += w.pause;
    while w.due.front().is_some_and(|(at, _)| *at <= w.now) {
        let (_, residence) = w.due.pop_front().unwrap();
        w.table.unexpect(&residence);
    }
    while w.flying.front().is_some_and(|(end, _)| *end <= w.now) {
        let (_, ticket) = w.flying.pop_front().unwrap();
        let elapsed = takes.mul_f64(w.rng.random_range(0.8..1.2));
        let outcome = Outcome::Done {
            elapsed,
            timing: None,
            load: None,
        };
        let _ = w.table.finish(ticket, outcome, w.now, &mut w.rng);
    }
}

fn main() {
    let mut worst = Duration::ZERO;
    for fleet in FLEETS {
        let what = fleet.what;
        let mut w = world(fleet);
        let homes = w.homes.clone();
        let mut next = homes.iter().cycle();
        let tried = [homes[0].node()];
        let first = measure(&format!("pick, {what}, first"), || {
            black_box(pick(&w, next.next().copied(), &[], Purpose::First));
        });
        let retry = measure(&format!("pick, {what}, retry"), || {
            black_box(pick(&w, next.next().copied(), &tried, Purpose::Retry));
        });
        if fleet.promised {
            worst = worst.max(first).max(retry);
        }
        measure(&format!("pick, start and finish, {what}"), || {
            let node = pick(&w, next.next().copied(), &[], Purpose::First).1;
            turn(&mut w, node);
        });
    }
    let verdict = if worst < TARGET { "met" } else { "missed" };
    println!("\ntarget of {TARGET:?} a pick, of few slots: {verdict}");
}

/// Calls in a batch: enough to be measured, few enough to fit between two interruptions.
const BATCH: u32 = 100;

/// The time of a call in the median batch: what else runs on the machine is no part of it.
fn measure(what: &str, mut call: impl FnMut()) -> Duration {
    let began = Instant::now();
    let mut batches = Vec::new();
    while began.elapsed() < SPAN {
        let batch = Instant::now();
        for _ in 0..BATCH {
            call();
        }
        batches.push(batch.elapsed() / BATCH);
    }
    batches.sort();
    let at = |part: usize| batches[(batches.len() - 1) * part / 100];
    println!(
        "{what:<48} {:>8} ns   (p90 {} ns)",
        at(50).as_nanos(),
        at(90).as_nanos()
    );
    at(50)
}
