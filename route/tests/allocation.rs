//! A pick allocates nothing, in a small subset and in a large one.

#![allow(unsafe_code, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use rackcast_route::table::{Ask, Config, Outcome, Purpose, Table};
use rackcast_route::{Endpoint, Member};
use rand::SeedableRng;
use rand::rngs::SmallRng;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is the system allocator's; the counter is a thread's own and needs none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn picks(nodes: u32) -> u64 {
    let config = Config {
        subset: rackcast_route::table::SubsetConfig {
            least: usize::try_from(nodes).unwrap(),
            ..Default::default()
        },
        ..Config::default()
    };
    let mut table = Table::new(config, "ingest-1");
    let mut now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(1);
    table.update_members(
        (0..nodes).map(|i| Member {
            id: format!("n{i}").into(),
            zone: format!("z{}", i % 3),
            endpoint: Endpoint::new(&format!("n{i}"), 1),
            slots: 4,
            pixel_rate: None,
            weight: 1,
        }),
        now,
    );
    let mut home = None;
    let mut tried = Vec::new();
    let mut counted = 0;
    let mut lives = Vec::new();
    for i in 0..200u64 {
        now += Duration::from_millis(50);
        let purpose = [Purpose::First, Purpose::Retry, Purpose::Hedge][(i % 3) as usize];
        let ask = Ask {
            work: 10_000_000,
            time_left: Duration::from_secs(3),
            home,
            tried: &tried,
            purpose,
            trials: true,
            patient: true,
        };
        let before = ALLOCATIONS.with(Cell::get);
        let choice = table.pick(&ask, now, &mut rng);
        counted += ALLOCATIONS.with(Cell::get) - before;
        let choice = choice.unwrap();
        home = Some(choice.home);
        tried.clear();
        if i % 3 != 2 {
            tried.push(choice.node);
        }
        // Streams that are due soon live wherever something went.
        lives.push(table.expect(choice.node, now + Duration::from_millis(60)));
        let ticket = table.start(choice.node, 10_000_000, 3, choice.predicted, now);
        let elapsed = Duration::from_millis(100);
        let outcome = Outcome::Done {
            elapsed,
            timing: None,
            load: None,
        };
        let _ = table.finish(ticket, outcome, now + elapsed, &mut rng);
    }
    counted
}

#[test]
fn a_pick_allocates_nothing() {
    let before = ALLOCATIONS.with(Cell::get);
    drop(std::hint::black_box(vec![1u8]));
    assert!(ALLOCATIONS.with(Cell::get) > before, "the counter counts");
    assert_eq!(picks(24), 0);
    assert_eq!(picks(1000), 0);
}
