//! What a decision costs: `pick` over a subset of 24 nodes and over one of 1,000, and the
//! whole of pick, start and finish.
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
/// How long each job takes.
const TAKES: Duration = Duration::from_millis(100);
/// From one segment of a stream to the next.
const PERIOD: Duration = Duration::from_secs(2);
/// So many a node are under way, of five slots on average.
const UNDER_WAY: f64 = 1.6;
/// What the architecture promises.
const TARGET: Duration = Duration::from_micros(2);

struct World {
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
fn world(nodes: u32) -> World {
    let config = Config {
        subset: SubsetConfig {
            least: usize::try_from(nodes).unwrap(),
            ..SubsetConfig::default()
        },
        ..Config::default()
    };
    let mut w = World {
        table: Table::new(config, "ingest-1"),
        now: Instant::now(),
        rng: SmallRng::seed_from_u64(1),
        homes: Vec::new(),
        pause: TAKES.div_f64(UNDER_WAY * f64::from(nodes)),
        flying: VecDeque::new(),
        due: VecDeque::new(),
    };
    w.table.update_members(
        (0..nodes).map(|i| Member {
            id: format!("node-{i}").into(),
            zone: format!("zone-{}", i % 3),
            endpoint: Endpoint::new(&format!("node-{i}"), 7000),
            slots: 2 + i % 7,
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
    let ticket = w.table.start(node, WORK, 3, TAKES, w.now);
    w.flying.push_back((w.now + TAKES, ticket));
    let next = w.now + PERIOD;
    w.due.push_back((next, w.table.expect(node, next)));
    w.now += w.pause;
    while w.due.front().is_some_and(|(at, _)| *at <= w.now) {
        let (_, residence) = w.due.pop_front().unwrap();
        w.table.unexpect(&residence);
    }
    while w.flying.front().is_some_and(|(end, _)| *end <= w.now) {
        let (_, ticket) = w.flying.pop_front().unwrap();
        let elapsed = TAKES.mul_f64(w.rng.random_range(0.8..1.2));
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
    for nodes in [24, 1000] {
        let mut w = world(nodes);
        let homes = w.homes.clone();
        let mut next = homes.iter().cycle();
        let tried = [homes[0].node()];
        worst = worst.max(measure(&format!("pick, {nodes} nodes, first"), || {
            black_box(pick(&w, next.next().copied(), &[], Purpose::First));
        }));
        worst = worst.max(measure(&format!("pick, {nodes} nodes, retry"), || {
            black_box(pick(&w, next.next().copied(), &tried, Purpose::Retry));
        }));
        measure(&format!("pick, start and finish, {nodes} nodes"), || {
            let node = pick(&w, next.next().copied(), &[], Purpose::First).1;
            turn(&mut w, node);
        });
    }
    let verdict = if worst < TARGET { "met" } else { "missed" };
    println!("\ntarget of {TARGET:?} a pick: {verdict}");
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
        "{what:<40} {:>8} ns   (p90 {} ns)",
        at(50).as_nanos(),
        at(90).as_nanos()
    );
    at(50)
}
