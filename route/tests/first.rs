//! The table's policy, exactly, on virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use rackcast_route::{
    Change, Choice, Config, Endpoint, FailureKind, Job, Load, Member, NoNodeReason, NodeId,
    Outcome, Reason, Standing, Table,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Ten million pixels: 0.1 s on a node of the prior's speed.
const WORK: u64 = 10_000_000;

struct World {
    table: Table,
    now: Instant,
    rng: SmallRng,
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn member(id: &str) -> Member {
    Member {
        id: id.into(),
        zone: "z".to_owned(),
        endpoint: Endpoint::new(id, 7000),
        slots: 2,
        pixel_rate: None,
        weight: 1,
    }
}

impl World {
    fn new(ids: &[&str]) -> Self {
        Self::with(Config::default(), ids)
    }

    fn with(config: Config, ids: &[&str]) -> Self {
        let mut world = Self {
            table: Table::new(config),
            now: Instant::now(),
            rng: SmallRng::seed_from_u64(1),
        };
        world.members(ids);
        world
    }

    fn members(&mut self, ids: &[&str]) {
        let members = ids.iter().map(|id| member(id));
        self.table.update_members(members, self.now);
    }

    fn pass(&mut self, d: Duration) {
        self.now += d;
    }

    fn choose(&mut self, tried: &[&str]) -> Result<Choice, NoNodeReason> {
        let tried: Vec<NodeId> = tried.iter().map(|id| NodeId::from(*id)).collect();
        let job = Job {
            work: WORK,
            tried: &tried,
        };
        let choice = self.table.pick(&job, self.now, &mut self.rng);
        choice.map_err(|e| e.reason)
    }

    fn pick(&mut self, tried: &[&str]) -> (String, Reason) {
        let choice = self.choose(tried).unwrap();
        (choice.node.to_string(), choice.reason)
    }

    /// A job on this node that ends after `took` in `outcome`.
    fn job(&mut self, id: &str, took: Duration, outcome: Outcome) -> Option<Change> {
        let ticket = self.table.start(&id.into(), WORK, self.now);
        self.pass(took);
        self.table.finish(ticket, outcome, self.now, &mut self.rng)
    }

    fn done(&mut self, id: &str, took: Duration) -> Option<Change> {
        let done = Outcome::Done {
            elapsed: took,
            load: None,
        };
        self.job(id, took, done)
    }

    fn fail(&mut self, id: &str, kind: FailureKind) -> Option<Change> {
        self.job(id, ms(0), Outcome::Failed(kind))
    }

    fn standing(&self, id: &str) -> Standing {
        let mut nodes = self.table.nodes(self.now);
        nodes.find(|n| n.member.id.as_str() == id).unwrap().standing
    }

    fn in_flight(&self, id: &str) -> u32 {
        let mut nodes = self.table.nodes(self.now);
        nodes
            .find(|n| n.member.id.as_str() == id)
            .unwrap()
            .in_flight
    }

    fn ejection(&self, id: &str) -> Duration {
        match self.standing(id) {
            Standing::Ejected(until) => until - self.now,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_unmeasured_node_gets_one_segment_then_the_fastest_gets_the_rest() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(100));
    assert_eq!(w.pick(&[]), ("b".to_owned(), Reason::Unmeasured));
    let _running = w.table.start(&"b".into(), WORK, w.now);
    assert_eq!(w.pick(&[]), ("a".to_owned(), Reason::Fastest));

    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(200));
    w.done("b", ms(100));
    let choice = w.choose(&[]).unwrap();
    assert_eq!(
        (choice.node.as_str(), choice.reason),
        ("b", Reason::Fastest)
    );
    assert_eq!(choice.predicted, ms(100), "work x time per pixel, idle");
    assert_eq!(choice.endpoint.as_str(), "b:7000");
    assert_eq!(w.pick(&["b"]), ("a".to_owned(), Reason::OnlyOne));
}

#[test]
fn what_is_in_flight_makes_a_node_slower() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(100));
    w.done("b", ms(120));
    assert_eq!(w.pick(&[]).0, "a");
    let running = w.table.start(&"a".into(), WORK, w.now);
    // One of two slots is taken: 150 ms on a, 120 ms on b.
    assert_eq!(w.pick(&[]).0, "b");
    let cancelled = w
        .table
        .finish(running, Outcome::Cancelled, w.now, &mut w.rng);
    assert_eq!(cancelled, None);
    assert_eq!(w.pick(&[]).0, "a");
}

#[test]
fn a_sample_is_taken_at_the_occupancy_at_which_it_ran() {
    let mut w = World::new(&["a"]);
    let other = w.table.start(&"a".into(), WORK, w.now);
    w.done("a", ms(150));
    let _ = w.table.finish(other, Outcome::Cancelled, w.now, &mut w.rng);
    assert_eq!(w.choose(&[]).unwrap().predicted, ms(100));
}

#[test]
fn others_load_counts_while_the_report_is_fresh() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(100));
    w.done("b", ms(120));
    let load = Load {
        slots: 2,
        jobs: 2,
        draining: false,
    };
    w.table.probed(&"a".into(), ms(0), load, w.now);
    assert_eq!(w.pick(&[]).0, "b");
    w.pass(ms(1501));
    assert_eq!(w.pick(&[]).0, "a");
}

#[test]
fn the_round_trip_of_a_probe_is_the_networks_part() {
    let mut w = World::new(&["a"]);
    let idle = Load {
        slots: 2,
        jobs: 0,
        draining: false,
    };
    w.table.probed(&"a".into(), ms(80), idle, w.now);
    w.done("a", ms(0));
    w.table.probed(&"a".into(), ms(80), idle, w.now);
    w.job(
        "a",
        ms(0),
        Outcome::Done {
            elapsed: ms(180),
            load: Some(idle),
        },
    );
    assert_eq!(w.choose(&[]).unwrap().predicted, ms(180));
}

#[test]
fn slower_is_believed_at_once_and_faster_by_and_by() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(100));
    w.done("b", ms(150));
    w.done("a", ms(1500));
    assert_eq!(w.pick(&[]).0, "b");
    w.done("a", ms(100));
    assert_eq!(w.pick(&[]).0, "b", "one good result is not enough");
    w.pass(Duration::from_secs(40));
    w.done("a", ms(100));
    w.done("b", ms(150));
    assert_eq!(w.pick(&[]).0, "a");
}

#[test]
fn failures_in_a_row_eject_and_a_success_between_forgives() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(100));
    w.done("b", ms(900));
    for kind in [FailureKind::Broken, FailureKind::WrongMedia] {
        assert_eq!(w.fail("a", kind), None);
    }
    w.done("a", ms(100));
    assert_eq!(w.fail("a", FailureKind::Broken), None);
    assert_eq!(w.fail("a", FailureKind::TimedOut), None);
    let Some(Change::Ejected(length)) = w.fail("a", FailureKind::Internal) else {
        panic!("not ejected");
    };
    assert_eq!(w.ejection("a"), length);
    assert!((ms(3750)..=ms(6250)).contains(&length), "{length:?}");
    assert_eq!(w.pick(&[]), ("b".to_owned(), Reason::OnlyOne));
    assert_eq!(w.pick(&["b"]), ("a".to_owned(), Reason::LastResort));
}

#[test]
fn an_ejection_ends_in_one_trial() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(900));
    w.done("b", ms(100));
    for _ in 0..3 {
        let _ = w.fail("a", FailureKind::Broken);
    }
    let first = w.ejection("a");
    w.pass(first);
    assert_eq!(w.standing("a"), Standing::Trial);
    assert_eq!(w.pick(&["c"]).0, "b", "a retry is no time for trials");
    assert_eq!(w.pick(&[]), ("a".to_owned(), Reason::Trial));
    let trial = w.table.start(&"a".into(), WORK, w.now);
    assert_eq!(w.pick(&[]).0, "b", "one trial at a time");
    let failed = Outcome::Failed(FailureKind::Broken);
    let change = w.table.finish(trial, failed, w.now, &mut w.rng);
    assert!(
        matches!(change, Some(Change::Ejected(_))),
        "one failure is enough"
    );
    let second = w.ejection("a");
    assert!((ms(7500)..=ms(12_500)).contains(&second), "{second:?}");

    w.pass(second);
    assert_eq!(w.done("a", ms(50)), Some(Change::Returned));
    assert_eq!(w.standing("a"), Standing::Good);
}

#[test]
fn ejections_grow_to_their_limit_and_good_conduct_forgives() {
    let mut w = World::new(&["a"]);
    let mut last = Duration::ZERO;
    for _ in 0..12 {
        while w.fail("a", FailureKind::Broken).is_none() {}
        last = w.ejection("a");
        w.pass(last);
    }
    assert!((ms(225_000)..=ms(375_000)).contains(&last), "{last:?}");
    w.done("a", ms(100));
    w.pass(Duration::from_secs(60));
    while w.fail("a", FailureKind::Broken).is_none() {}
    assert!(w.ejection("a") <= ms(6250));
}

#[test]
fn results_of_requests_from_before_the_ejection_change_nothing() {
    let mut w = World::new(&["a"]);
    let (good, bad) = (
        w.table.start(&"a".into(), WORK, w.now),
        w.table.start(&"a".into(), WORK, w.now),
    );
    w.pass(ms(10));
    for _ in 0..3 {
        let _ = w.fail("a", FailureKind::Broken);
    }
    let ejection = w.ejection("a");
    let failed = Outcome::Failed(FailureKind::Broken);
    assert_eq!(w.table.finish(bad, failed, w.now, &mut w.rng), None);
    assert_eq!(w.ejection("a"), ejection);
    let done = Outcome::Done {
        elapsed: ms(10),
        load: None,
    };
    assert_eq!(w.table.finish(good, done, w.now, &mut w.rng), None);
    assert_eq!(w.ejection("a"), ejection);
    assert_eq!(
        w.done("a", ms(100)),
        Some(Change::Returned),
        "sent afterwards"
    );
}

#[test]
fn a_refused_connection_ejects_at_once_and_a_probe_shortens_it() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(100));
    w.done("b", ms(100));
    let change = w
        .table
        .blame(&"a".into(), FailureKind::Connect, w.now, &mut w.rng);
    assert!(matches!(change, Some(Change::Ejected(_))));
    w.pass(ms(1000));
    let probed: Vec<_> = w
        .table
        .to_probe(w.now)
        .map(|(id, _)| id.to_string())
        .collect();
    assert_eq!(
        probed,
        ["a", "b"],
        "whether it can be reached is worth asking"
    );
    let idle = Load {
        slots: 2,
        jobs: 0,
        draining: false,
    };
    w.table.probed(&"a".into(), ms(1), idle, w.now);
    assert_eq!(w.standing("a"), Standing::Trial);

    w.table.probed(&"b".into(), ms(1), idle, w.now);
    for _ in 0..3 {
        let _ = w.fail("b", FailureKind::WrongMedia);
    }
    w.pass(ms(1000));
    let probed: Vec<_> = w
        .table
        .to_probe(w.now)
        .map(|(id, _)| id.to_string())
        .collect();
    assert_eq!(probed, ["a"], "b can be reached; that was never in doubt");
}

#[test]
fn push_back_is_no_failure_but_the_node_is_left_alone() {
    let mut w = World::new(&["a", "b"]);
    let refused = |after| Outcome::Refused {
        retry_after: after,
        load: None,
    };
    for _ in 0..5 {
        assert_eq!(w.job("a", ms(0), refused(Some(ms(800)))), None);
    }
    let until = w.now + ms(800);
    assert_eq!(w.standing("a"), Standing::Blocked(until));
    assert_eq!(w.choose(&["b"]), Err(NoNodeReason::AllBusy));
    let tried = ["b".into()];
    let job = Job {
        work: WORK,
        tried: &tried,
    };
    let no_node = w.table.pick(&job, w.now, &mut w.rng).unwrap_err();
    assert_eq!(no_node.retry_at, Some(until));
    w.pass(ms(800));
    assert_eq!(w.pick(&["b"]).0, "a");

    w.job("a", ms(0), refused(None));
    assert_eq!(w.standing("a"), Standing::Blocked(w.now + ms(500)));
    w.job("a", ms(0), refused(Some(Duration::from_secs(1 << 40))));
    let most = w.now + Duration::from_secs(10);
    assert_eq!(
        w.standing("a"),
        Standing::Blocked(most),
        "nobody is believed for ever"
    );
}

#[test]
fn a_draining_node_gets_nothing_while_it_says_so() {
    let mut w = World::new(&["a"]);
    let load = Load {
        slots: 2,
        jobs: 1,
        draining: true,
    };
    w.table.probed(&"a".into(), ms(1), load, w.now);
    assert_eq!(w.standing("a"), Standing::Draining);
    assert_eq!(w.choose(&[]), Err(NoNodeReason::AllBusy));
}

#[test]
fn a_node_never_has_more_in_flight_than_a_running_and_a_queued_job_a_slot() {
    let mut w = World::new(&["a"]);
    let tickets: Vec<_> = (0..4)
        .map(|_| w.table.start(&"a".into(), WORK, w.now))
        .collect();
    assert_eq!(w.in_flight("a"), 4);
    assert_eq!(w.choose(&[]), Err(NoNodeReason::AllFull));
    for ticket in tickets {
        let _ = w
            .table
            .finish(ticket, Outcome::Cancelled, w.now, &mut w.rng);
    }
    assert!(w.choose(&[]).is_ok());
}

#[test]
fn without_a_node_the_reason_says_so() {
    let mut w = World::new(&[]);
    assert_eq!(w.choose(&[]), Err(NoNodeReason::NoMembers));
    w.members(&["a"]);
    assert_eq!(w.choose(&["a"]), Err(NoNodeReason::AllTried));
}

#[test]
fn what_was_measured_stays_while_the_node_does() {
    let mut w = World::new(&["a", "b"]);
    w.done("a", ms(300));
    let ticket = w.table.start(&"a".into(), WORK, w.now);
    w.members(&["a", "c"]);
    assert_eq!((w.standing("a"), w.in_flight("a")), (Standing::Good, 1));
    assert_eq!(w.standing("c"), Standing::Unmeasured);

    // Gone and back: a new life, to which the old ticket means nothing.
    w.members(&["c"]);
    w.members(&["a", "c"]);
    let again = w.table.start(&"a".into(), WORK, w.now);
    let _ = w
        .table
        .finish(ticket, Outcome::Cancelled, w.now, &mut w.rng);
    assert_eq!(
        (w.standing("a"), w.in_flight("a")),
        (Standing::Unmeasured, 1)
    );
    let _ = w.table.finish(again, Outcome::Cancelled, w.now, &mut w.rng);

    // A node that listens elsewhere is another process.
    w.done("a", ms(300));
    let moved = Member {
        endpoint: Endpoint::new("::1", 7001),
        ..member("a")
    };
    assert_eq!(moved.endpoint.as_str(), "[::1]:7001");
    w.table.update_members([moved], w.now);
    assert_eq!(w.standing("a"), Standing::Unmeasured);
}

#[test]
fn equals_share_by_weight() {
    let mut w = World::new(&[]);
    let heavy = Member {
        weight: 3,
        ..member("b")
    };
    w.table.update_members([member("a"), heavy], w.now);
    let picks = (0..4000).filter(|_| w.pick(&[]).0 == "b").count();
    assert!((2800..3200).contains(&picks), "{picks} of 4000");
}

#[test]
fn the_catalogs_pixel_rate_is_where_a_node_starts() {
    let mut w = World::new(&[]);
    let fast = Member {
        pixel_rate: Some(1e9),
        ..member("b")
    };
    w.table.update_members([member("a"), fast], w.now);
    let choice = w.choose(&[]).unwrap();
    assert_eq!((choice.node.as_str(), choice.predicted), ("b", ms(20)));
}
