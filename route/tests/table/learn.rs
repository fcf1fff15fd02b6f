//! What results teach.

use rackcast_route::table::{PickReason, Purpose};

use super::*;

fn near(seconds_per_megapixel: f64, expected: f64) -> bool {
    (seconds_per_megapixel / expected - 1.0).abs() < 1e-6
}

#[test]
fn the_network_is_told_apart_from_the_work() {
    let mut w = World::new(&["a"]);
    let ticket = w.start(w.node("a"));
    w.pass(ms(300));
    w.finish(ticket, timed(300, 0, 100));
    assert_eq!(w.view("a").network, ms(200));
    assert!(near(w.view("a").seconds_per_megapixel, 0.01));
    assert_eq!(w.first(None).predicted, ms(300));
}

#[test]
fn a_probe_that_had_to_connect_first_is_forgotten_with_the_next_one() {
    let mut w = World::new(&["a"]);
    let a = w.node("a");
    let alone = w.first(None).predicted;
    w.table.probed(a, ms(800), load(4, 0), w.now);
    assert_eq!(w.first(None).predicted, alone + ms(800));
    w.pass(ms(1000));
    w.table.probed(a, ms(20), load(4, 0), w.now);
    assert_eq!(w.first(None).predicted, alone + ms(20));
    w.pass(ms(1000));
    w.table.probed(a, ms(200), load(4, 0), w.now);
    assert_eq!(w.first(None).predicted, alone + ms(200), "it went bad");
}

#[test]
fn a_node_cannot_talk_its_work_away() {
    let mut w = World::new(&["a", "b", "c"]);
    for (id, queue, work) in [("a", 0, 500), ("b", 490, 10), ("c", 0, 10)] {
        let ticket = w.start(w.node(id));
        w.pass(ms(500));
        w.finish(ticket, timed(500, queue, work));
    }
    w.pass(Duration::from_secs(10));
    for id in ["a", "b", "c"] {
        let others: Vec<NodeRef> = ["a", "b", "c"]
            .iter()
            .filter(|o| **o != id)
            .map(|o| w.node(o))
            .collect();
        let predicted = w.ask(Purpose::Retry, None, &others).unwrap().predicted;
        assert!(
            predicted > ms(440) && predicted <= ms(520),
            "{id}: {predicted:?}"
        );
    }
    // More than was measured is not believed at all.
    let ticket = w.start(w.node("a"));
    w.pass(ms(500));
    w.finish(ticket, timed(500, 400, 400));
    assert!(w.view("a").seconds_per_megapixel > 0.04);
}

#[test]
fn waiting_that_was_foreseen_is_not_held_against_the_node() {
    let mut w = World::new(&["a"]);
    w.settle();
    let a = w.node("a");
    let tickets: Vec<_> = (0..4).map(|_| w.start(a)).collect();
    let waiting = w.first(None).predicted;
    assert!((ms(200)..ms(210)).contains(&waiting), "{waiting:?}");
    let queued = w.start_predicted(a, waiting);
    w.pass(ms(100));
    for ticket in tickets {
        w.done(ticket);
    }
    w.pass(ms(100));
    w.done(queued);
    assert!(near(w.view("a").seconds_per_megapixel, 0.01));
}

#[test]
fn an_unmeasured_node_is_taken_for_what_the_fleet_makes_likely() {
    let mut members: Vec<Member> = ["a", "b"].iter().map(|id| member(id, "z", 4)).collect();
    members.iter_mut().for_each(|m| m.pixel_rate = Some(800e6));
    let mut w = World::with(incurious(), members.into_iter());
    assert_eq!(
        w.first(None).predicted,
        ms(50),
        "the catalog says 200 megapixels a slot"
    );
    for _ in 0..100 {
        w.run("a", ms(100));
    }
    w.pass(ms(200));
    w.run("a", ms(100));
    assert!(
        near(w.view("b").seconds_per_megapixel, 0.01),
        "it exaggerates, for b as well"
    );
}

#[test]
fn now_and_then_a_segment_is_spent_on_a_node_that_nobody_measured() {
    let config = Config {
        curiosity: Config::default().curiosity,
        ..incurious()
    };
    let mut w = World::with(config, ["a", "b"].iter().map(|id| member(id, "z", 4)));
    w.pass(Duration::from_secs(60));
    let b = w.node("b");
    let home = w.ask(Purpose::First, None, &[b]).unwrap().home;
    let mut met = Vec::new();
    for i in 0..1000 {
        let choice = w.first(Some(home));
        let ticket = w.start_predicted(choice.node, choice.predicted);
        w.pass(ms(100));
        w.done(ticket);
        if choice.reason == PickReason::Unmeasured {
            assert_eq!((choice.node, choice.home.node()), (b, home.node()));
            met.push(i);
        }
    }
    assert!(
        (2..=5).contains(&met.len()),
        "at first, and when it is stale: {met:?}"
    );
}

#[test]
fn slots_are_believed_down_never_up() {
    let mut w = World::new(&["a"]);
    w.settle();
    let a = w.node("a");
    for _ in 0..30 {
        w.run("a", ms(100));
    }
    // Four at a time take twice as long as one.
    for _ in 0..5 {
        let tickets: Vec<_> = (0..4).map(|_| w.start_predicted(a, ms(190))).collect();
        w.pass(ms(190));
        for ticket in tickets {
            w.done(ticket);
        }
        w.pass(Duration::from_secs(3));
    }
    assert!(w.view("a").slots < 4);
    w.table.probed(a, ms(0), load(1, 0), w.now);
    assert_eq!(w.view("a").slots, 1);
}

#[test]
fn capacity_is_what_is_usable_less_what_others_take() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let (a, b) = (w.node("a"), w.node("b"));
    let all = w.table.capacity(w.now);
    assert_eq!((all.slots, all.free), (8, 8));
    assert!((all.pixel_rate / 800e6 - 1.0).abs() < 1e-6, "{all:?}");
    w.table.probed(a, ms(0), load(4, 2), w.now);
    let ticket = w.start(b);
    let less = w.table.capacity(w.now);
    assert_eq!((less.slots, less.free), (8, 5));
    assert!((less.pixel_rate / 600e6 - 1.0).abs() < 1e-6);
    w.finish(ticket, Outcome::Cancelled);
    w.fail("b", FailureKind::Connect);
    assert_eq!(w.table.capacity(w.now).slots, 4);
}
