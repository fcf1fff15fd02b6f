//! Zones as a whole.

use rackcast_route::table::{Left, PickReason, Purpose, Standing};

use super::*;

/// Three zones of three.
fn world() -> World {
    let members = (0..9).map(|i| member(&format!("n{i}"), &format!("z{}", i / 3), 4));
    let mut w = World::with(incurious(), members);
    w.settle();
    w
}

fn zone_of(w: &World, node: NodeRef) -> String {
    w.table.member(node).unwrap().zone.clone()
}

fn left(w: &World) -> Vec<String> {
    let zones = w.table.zones(w.now);
    zones
        .filter(|z| z.left_until.is_some())
        .map(|z| z.name.to_owned())
        .collect()
}

#[test]
fn two_of_three_that_turn_bad_take_the_third_with_them() {
    let mut w = world();
    let others: Vec<NodeRef> = (0..8).map(|i| w.node(&format!("n{i}"))).collect();
    let home = w.ask(Purpose::First, None, &others).unwrap().home;
    assert_eq!(w.id(home.node()), "n8");
    w.pass(Duration::from_secs(1));
    w.run("n0", ms(100));
    w.run("n3", ms(100));
    assert_eq!(w.fail("n6", FailureKind::TimedOut), None);
    assert!(left(&w).is_empty(), "one node is no zone");
    w.fail("n7", FailureKind::TimedOut);
    assert_eq!(left(&w), ["z2"]);
    let choice = w.first(Some(home));
    assert_eq!(choice.reason, PickReason::Left(Left::Zone));
    assert_ne!(zone_of(&w, choice.node), "z2");
    let changes = w.table.take_zone_changes();
    assert!(changes.len() == 1 && changes[0].zone == "z2" && changes[0].left.is_some());
    assert!(w.table.take_zone_changes().is_empty());
}

#[test]
fn nodes_that_answer_badly_do_not_cost_their_zone() {
    for kind in [
        FailureKind::WrongMedia,
        FailureKind::Internal,
        FailureKind::Protocol,
    ] {
        let mut w = world();
        w.pass(Duration::from_secs(1));
        w.run("n0", ms(100));
        w.run("n3", ms(100));
        for _ in 0..3 {
            w.fail("n6", kind);
            w.fail("n7", kind);
        }
        assert!(left(&w).is_empty(), "what lies between is well");
    }
}

#[test]
fn a_node_that_works_on_while_others_turn_bad_keeps_its_zone() {
    let mut w = world();
    w.pass(Duration::from_secs(1));
    w.run("n0", ms(100));
    w.run("n3", ms(100));
    w.fail("n6", FailureKind::TimedOut);
    w.run("n8", ms(100));
    // A pause in which nothing comes back from it is no evidence against it.
    w.pass(ms(1000));
    w.run("n0", ms(100));
    w.fail("n7", FailureKind::TimedOut);
    assert!(left(&w).is_empty());
}

#[test]
fn two_nodes_whose_jobs_are_late_are_enough_to_leave_a_zone() {
    let mut w = world();
    let _silent = [w.start(w.node("n6")), w.start(w.node("n7"))];
    w.pass(ms(700));
    let ticket = w.start(w.node("n0"));
    assert_eq!(left(&w), ["z2"]);
    w.finish(ticket, done(ms(100)));
}

#[test]
fn when_everything_turns_bad_no_zone_is_left() {
    let mut w = world();
    for i in 0..9 {
        w.fail(&format!("n{}", (i % 3) * 3 + i / 3), FailureKind::TimedOut);
    }
    assert!(left(&w).is_empty());
    assert!(w.ask(Purpose::First, None, &[]).is_ok());
}

#[test]
fn a_zone_that_was_left_comes_back_by_one_segment_and_then_by_a_trickle() {
    let mut w = world();
    w.pass(Duration::from_secs(1));
    w.fail("n6", FailureKind::TimedOut);
    w.fail("n7", FailureKind::TimedOut);
    assert_eq!(left(&w), ["z2"]);
    assert_eq!(w.view("n8").standing, Standing::ZoneLeft);
    w.pass(Duration::from_secs(5));
    let trial = w.first(None);
    assert_eq!(
        (zone_of(&w, trial.node).as_str(), trial.reason),
        ("z2", PickReason::Trial)
    );
    let ticket = w.start_predicted(trial.node, trial.predicted);
    for _ in 0..50 {
        let node = w.first(None).node;
        assert_ne!(zone_of(&w, node), "z2", "one at a time");
    }
    w.pass(ms(100));
    let id = w.id(trial.node).to_owned();
    w.done(ticket);
    assert!(left(&w).is_empty());
    assert!(w.table.take_zone_changes().iter().any(|c| c.left.is_none()));
    let few = w.share(&id, 200);
    assert!(few < 0.08, "a tenth of its share: {few}");
    w.pass(Duration::from_secs(10));
    let share = w.share(&id, 200);
    assert!(share > 0.05, "{share}");
}

#[test]
fn a_failed_trial_keeps_it_away_for_longer() {
    let mut w = world();
    w.pass(Duration::from_secs(1));
    w.fail("n6", FailureKind::TimedOut);
    w.fail("n7", FailureKind::TimedOut);
    let until = |w: &World| {
        w.table
            .zones(w.now)
            .find(|z| z.name == "z2")
            .unwrap()
            .left_until
            .unwrap()
    };
    let first = until(&w) - w.now;
    w.now = until(&w) + ms(1);
    let trial = w.first(None);
    assert_eq!(trial.reason, PickReason::Trial);
    let ticket = w.start_predicted(trial.node, trial.predicted);
    w.finish(ticket, Outcome::Failed(FailureKind::Broken));
    let second = until(&w) - w.now;
    assert!(second > first, "{first:?} {second:?}");
    let node = w.first(None).node;
    assert_ne!(zone_of(&w, node), "z2");
}

#[test]
fn a_trial_that_is_answered_badly_brings_the_zone_back_and_ejects_the_node() {
    for kind in [FailureKind::WrongMedia, FailureKind::Internal] {
        let mut w = world();
        w.pass(Duration::from_secs(1));
        w.fail("n6", FailureKind::TimedOut);
        w.fail("n7", FailureKind::TimedOut);
        w.pass(Duration::from_secs(5));
        let trial = w.first(None);
        assert_eq!(trial.reason, PickReason::Trial);
        let id = w.id(trial.node).to_owned();
        let ticket = w.start_predicted(trial.node, trial.predicted);
        w.pass(ms(100));
        w.finish(ticket, Outcome::Failed(kind));
        assert!(left(&w).is_empty(), "what lies between is well");
        assert_eq!(w.view(&id).standing, Standing::Failed);
    }
}
