//! The catalog, and this ingest's share of it.

use std::collections::BTreeSet;

use rackcast_route::table::{Left, PickReason, Purpose};

use super::*;

fn fleet(n: u32) -> impl Iterator<Item = Member> {
    (0..n).map(|i| member(&format!("n{i}"), &format!("z{}", i % 3), 4))
}

fn subset(w: &World) -> BTreeSet<String> {
    let nodes = w.table.nodes(w.now).filter(|v| v.in_subset);
    nodes.map(|v| v.member.id.to_string()).collect()
}

#[test]
fn what_was_measured_stays_while_the_node_does() {
    let mut w = World::new(&["a", "b"]);
    w.run("a", ms(300));
    let before = w.node("a");
    let mut moved = member("b", "z", 4);
    moved.endpoint = Endpoint::new("elsewhere", 1);
    let b = w.node("b");
    let ticket = w.start(b);
    w.table.update_members([member("a", "z", 8), moved], w.now);
    assert_eq!(w.node("a"), before);
    assert_eq!((w.view("a").slots, w.view("b").in_flight), (8, 0));
    assert!(w.view("a").seconds_per_megapixel > 0.029);
    assert_ne!(w.node("b"), b);
    assert_eq!(w.table.member(b), None);
    assert_eq!(
        w.finish(ticket, Outcome::Failed(FailureKind::Connect)),
        None
    );
    assert_eq!(w.view("b").failures, 0, "that was another b");
}

#[test]
fn a_stream_whose_node_is_gone_gets_another() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let home = w.ask(Purpose::First, None, &[w.node("b")]).unwrap().home;
    w.table.update_members([member("b", "z", 4)], w.now);
    let choice = w.first(Some(home));
    assert_eq!(choice.reason, PickReason::Left(Left::Gone));
    assert_eq!(choice.home.node(), choice.node);
}

#[test]
fn a_new_node_in_a_running_fleet_is_given_little_at_first() {
    let mut w = World::new(&["a", "b", "c"]);
    w.settle();
    w.pass(Duration::from_secs(10));
    for id in ["a", "b", "c"] {
        w.run(id, ms(100));
    }
    let all = ["a", "b", "c", "d"].map(|id| member(id, "z", 4));
    w.table.update_members(all, w.now);
    assert!(w.share("d", 400) < 0.1);
    w.pass(Duration::from_secs(11));
    assert!(w.share("d", 400) > 0.1);
}

#[test]
fn an_ingest_works_with_a_share_of_a_large_fleet() {
    let mut w = World::with(incurious(), fleet(1000));
    let before = subset(&w);
    assert_eq!(before.len(), 24);
    let ids: BTreeSet<String> = (0..200)
        .map(|_| {
            let node = w.first(None).node;
            w.id(node).to_owned()
        })
        .collect();
    assert!(ids.is_subset(&before));
    let gone = before.first().unwrap().clone();
    w.table
        .update_members(fleet(1000).filter(|m| m.id.as_str() != gone), w.now);
    let after = subset(&w);
    assert_eq!((after.len(), before.difference(&after).count()), (24, 1));
}

#[test]
fn its_share_grows_with_its_need_and_a_large_one_is_still_served_well() {
    let mut w = World::with(incurious(), fleet(200));
    w.pass(Duration::from_secs(20));
    let mut flying: Vec<(Instant, Ticket)> = Vec::new();
    // 1500 segments a second of 100 ms: 150 slots, of 96 in the first subset.
    for _ in 0..15_000 {
        w.pass(Duration::from_nanos(666_667));
        let (over, still): (Vec<_>, Vec<_>) = flying.into_iter().partition(|f| f.0 <= w.now);
        flying = still;
        for (_, ticket) in over {
            w.done(ticket);
        }
        if let Ok(choice) = w.ask(Purpose::First, None, &[]) {
            let ticket = w.start_predicted(choice.node, choice.predicted);
            flying.push((w.now + choice.predicted, ticket));
        }
    }
    let size = subset(&w).len();
    assert!((60..130).contains(&size), "{size}");
    w.pass(ms(20));
    for (_, ticket) in flying {
        w.finish(ticket, done(ms(100)));
    }
    // In a subset that is looked at by its best few, the best still win.
    let fast = w.ask(Purpose::First, None, &[]).unwrap();
    let fast = w.id(fast.node).to_owned();
    for _ in 0..300 {
        w.run(&fast, ms(50));
        w.pass(ms(50));
    }
    assert!(w.share(&fast, 100) > 0.9);
}

#[test]
fn nodes_are_probed_once_a_second_while_nothing_else_tells_their_load() {
    let mut w = World::new(&["a", "b"]);
    let ask = |w: &mut World| {
        let now = w.now;
        let asked: Vec<String> = w
            .table
            .to_probe(now)
            .map(|(_, m)| m.id.to_string())
            .collect();
        asked
    };
    let mut first = ask(&mut w);
    first.sort();
    assert_eq!(first, ["a", "b"]);
    assert!(ask(&mut w).is_empty());
    w.table.probed(w.node("b"), ms(1), load(4, 0), w.now);
    w.pass(ms(999));
    assert!(ask(&mut w).is_empty());
    w.pass(ms(1));
    w.table.probed(w.node("a"), ms(1), load(4, 0), w.now);
    assert_eq!(ask(&mut w), ["b"]);
    w.fail("a", FailureKind::WrongMedia);
    w.fail("a", FailureKind::WrongMedia);
    w.pass(ms(1000));
    assert_eq!(
        ask(&mut w),
        ["b"],
        "a probe cannot tell whether its media is right"
    );
}

#[test]
fn a_larger_share_takes_effect_when_it_is_configured() {
    let members = (0..40).map(|i| member(&format!("n{i}"), &format!("z{}", i % 3), 4));
    let mut config = incurious();
    config.subset.least = 4;
    let mut w = World::with(config.clone(), members);
    let size = |w: &World| w.table.nodes(w.now).filter(|v| v.in_subset).count();
    assert_eq!(size(&w), 4);
    config.subset.least = 12;
    w.table.reconfigure(config);
    w.pass(Duration::from_secs(2));
    w.run("n0", ms(100));
    assert_eq!(size(&w), 12);
}
