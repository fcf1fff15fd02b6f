//! Nodes that fail.

use rackcast_route::table::{Left, NoNodeReason, PickReason, Purpose, Standing};

use super::*;

fn three() -> World {
    let mut w = World::new(&["a", "b", "c"]);
    w.settle();
    w
}

#[test]
fn after_one_failure_a_node_gets_nothing_while_a_good_one_exists() {
    let mut w = three();
    let home = w
        .ask(Purpose::First, None, &[w.node("b"), w.node("c")])
        .unwrap()
        .home;
    let ticket = w.start(home.node());
    assert_eq!(w.finish(ticket, Outcome::Failed(FailureKind::Broken)), None);
    assert_eq!(w.share("a", 50), 0.0);
    let left = w.first(Some(home));
    assert_eq!(left.reason, PickReason::Left(Left::Failed));
    assert_eq!(left.home.node(), home.node());
    let rest = [w.node("b"), w.node("c")];
    assert!(
        w.ask(Purpose::Retry, None, &rest).is_ok(),
        "better than none"
    );
}

#[test]
fn a_refused_connection_ejects_at_once_and_is_never_a_last_resort() {
    let mut w = three();
    let ticket = w.start(w.node("a"));
    let change = w.finish(ticket, Outcome::Failed(FailureKind::Connect));
    assert!(matches!(
        change,
        Some(Change::Ejected {
            kind: FailureKind::Connect,
            ..
        })
    ));
    let rest = [w.node("b"), w.node("c")];
    let none = w.ask(Purpose::Retry, None, &rest).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::AllEjected);
    // A probe gets through: on trial.
    w.pass(ms(1000));
    let a = w.node("a");
    let asked: Vec<NodeRef> = w.table.to_probe(w.now).map(|(n, _)| n).collect();
    assert!(asked.contains(&a));
    w.table.probed(a, ms(1), load(4, 0), w.now);
    assert_eq!(w.view("a").standing, Standing::Trial);
    assert_eq!(w.first(None).reason, PickReason::Trial);
}

#[test]
fn a_good_node_that_is_full_is_waited_for_but_not_into_the_deadline() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let _full: Vec<_> = (0..8).map(|_| w.start(w.node("a"))).collect();
    w.fail("b", FailureKind::Internal);
    let within = |w: &mut World, left| w.ask_within(ms(left), Purpose::First, None, &[]);
    let waits = within(&mut w, 301).unwrap_err();
    assert_eq!(waits.reason, NoNodeReason::AllFull);
    let last = within(&mut w, 300).unwrap();
    assert_eq!(w.id(last.node), "b", "three times what it should take");
}

#[test]
fn who_may_not_wait_takes_what_has_room() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let _full: Vec<_> = (0..8).map(|_| w.start(w.node("a"))).collect();
    w.fail("b", FailureKind::Internal);
    let ask = Ask {
        work: WORK,
        time_left: LEFT,
        home: None,
        tried: &[],
        purpose: Purpose::First,
        trials: true,
        patient: false,
    };
    let choice = w.table.pick(&ask, w.now, &mut w.rng).unwrap();
    assert_eq!(w.id(choice.node), "b");
}

#[test]
fn of_200_segments_at_most_seven_are_trials_of_nodes_that_fail() {
    let ids: Vec<String> = (0..20).map(|i| format!("n{i}")).collect();
    let mut w = World::new(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    w.settle();
    for id in &ids[..10] {
        w.fail(id, FailureKind::Connect);
    }
    w.pass(Duration::from_secs(8));
    let mut trials = 0;
    for _ in 0..200 {
        let choice = w.first(None);
        trials += u32::from(choice.reason == PickReason::Trial);
        let ticket = w.start(choice.node);
        w.pass(ms(1));
        let failed = choice.reason == PickReason::Trial;
        let outcome = if failed {
            Outcome::Failed(FailureKind::Connect)
        } else {
            done(ms(100))
        };
        w.finish(ticket, outcome);
    }
    // What was saved, two at most, and one for fifty segments.
    assert!((4..=7).contains(&trials), "{trials}");
}

#[test]
fn soft_ejections_are_capped_and_hard_ones_are_not() {
    let ids: Vec<String> = (0..10).map(|i| format!("n{i}")).collect();
    let mut w = World::new(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    w.settle();
    let tried: Vec<NodeRef> = ids[5..].iter().map(|id| w.node(id)).collect();
    for id in &ids[..5] {
        for _ in 0..3 {
            w.fail(id, FailureKind::Internal);
        }
    }
    // Three are out; the other two only wait behind the good ones.
    let choice = w.ask(Purpose::Retry, None, &tried).unwrap();
    assert!(["n3", "n4"].contains(&w.id(choice.node)));
    assert_eq!(choice.reason, PickReason::Retry);
    for id in &ids[5..] {
        w.fail(id, FailureKind::Connect);
    }
    // Now nobody is good: who only fails sometimes is believed to be up again.
    let none: [NodeRef; 0] = [];
    let choice = w.ask(Purpose::Retry, None, &none).unwrap();
    assert_eq!(choice.reason, PickReason::Panic);
}

#[test]
fn push_back_is_no_failure_but_the_node_is_left_alone() {
    let mut w = three();
    let refused = |retry_after| Outcome::Refused {
        retry_after,
        load: None,
    };
    let ticket = w.start(w.node("a"));
    assert_eq!(w.finish(ticket, refused(Some(ms(700)))), None);
    assert_eq!(w.view("a").failures, 0);
    w.pass(ms(699));
    assert_eq!(w.share("a", 50), 0.0);
    w.pass(ms(1));
    assert!(w.share("a", 50) > 0.0);
    // Each further one in a row is respected for longer, and none beyond the limit.
    for expected in [1000, 2000, 4000, 8000, 10_000, 10_000] {
        let ticket = w.start(w.node("a"));
        w.finish(ticket, refused(Some(ms(500))));
        let Standing::Blocked(until) = w.view("a").standing else {
            panic!("not blocked");
        };
        assert_eq!(until - w.now, ms(expected));
        w.pass(ms(expected));
    }
    w.run("a", ms(100));
    let ticket = w.start(w.node("a"));
    w.finish(ticket, refused(Some(Duration::MAX)));
    let others = [w.node("b"), w.node("c")];
    let none = w.ask(Purpose::Retry, None, &others).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::AllBusy);
    assert_eq!(none.retry_at, Some(w.now + ms(10_000)));
}

#[test]
fn a_draining_node_gets_nothing_while_it_says_so() {
    let mut w = three();
    let home = w
        .ask(Purpose::First, None, &[w.node("b"), w.node("c")])
        .unwrap()
        .home;
    let says = Load {
        draining: true,
        ..load(4, 1)
    };
    w.table.probed(home.node(), ms(1), says, w.now);
    let left = w.first(Some(home));
    assert_eq!(left.reason, PickReason::Left(Left::Draining));
    assert_ne!(left.home.node(), home.node(), "it will not come back soon");
    w.table.probed(home.node(), ms(1), load(4, 0), w.now);
    assert_eq!(w.first(Some(home)).reason, PickReason::Kept);
}

#[test]
fn a_node_whose_claims_are_contradicted_is_ejected() {
    let mut w = three();
    let a = w.node("a");
    for expected in [false, true] {
        let ticket = w.start(a);
        w.finish(ticket, Outcome::Claimed);
        assert_eq!(
            w.view("a").standing != Standing::Good,
            w.view("a").failures > 0
        );
        let change = w.table.contradicted(a, w.now, &mut w.rng);
        assert_eq!(change.is_some(), expected);
        w.pass(ms(3000));
        if !expected {
            // Good results in between do not save it.
            w.run("a", ms(100));
        }
    }
    let Standing::Ejected(kind, _) = w.view("a").standing else {
        panic!("not ejected");
    };
    assert_eq!(kind, FailureKind::FalseClaim);
}

#[test]
fn a_node_that_claims_far_more_than_the_others_is_ejected() {
    let mut w = three();
    for _ in 0..20 {
        w.run("b", ms(100));
        w.run("c", ms(100));
    }
    let claim = |w: &mut World, id: &str, confirmed: bool| {
        let node = w.node(id);
        let ticket = w.start(node);
        let change = w.finish(ticket, Outcome::Claimed);
        if confirmed {
            w.table.confirmed(node, w.now);
        }
        change.is_some()
    };
    assert!(
        (0..10).all(|_| !claim(&mut w, "b", true)),
        "bad segments, not a bad node"
    );
    assert_eq!((0..10).position(|_| claim(&mut w, "a", false)), Some(3));
}

#[test]
fn a_flapping_node_gets_a_small_part_of_its_share_and_comes_back() {
    let mut w = three();
    let mut homes: Vec<Home> = (0..12).map(|_| w.first(None).home).collect();
    let a = w.node("a");
    let (mut all, mut its) = (0u32, 0u32);
    let began = w.now;
    let mut back = None;
    // Up for 5 s, down for 5 s, for three minutes; the segments of 12 streams, 2 s each.
    loop {
        for home in &mut homes {
            let at = (w.now - began).as_secs_f64();
            let flaps = at < 180.0;
            let up = !flaps || (at % 10.0) < 5.0;
            let choice = w.first(Some(*home));
            *home = choice.home;
            let ticket = w.start_predicted(choice.node, choice.predicted);
            all += u32::from(flaps);
            its += u32::from(flaps && choice.node == a);
            let ok = choice.node != a || up;
            let span = if ok { ms(100) } else { ms(1) };
            w.pass(span);
            let outcome = if ok {
                done(span)
            } else {
                Outcome::Failed(FailureKind::Connect)
            };
            w.finish(ticket, outcome);
            w.pass(ms(66));
        }
        let stopped = (w.now - began).as_secs_f64() - 180.0;
        if stopped > 0.0 && w.share("a", 60) > 0.2 {
            back = Some(stopped);
            break;
        }
        if stopped > 120.0 {
            break;
        }
    }
    let share = 3.0 * f64::from(its) / f64::from(all);
    assert!(share < 0.25, "of its fair share while it flaps: {share:.3}");
    assert!(back.is_some_and(|s| s < 60.0), "back after {back:?}");
}

/// Where everything needs most of the time there is, a trial leaves none for another try. A node comes
/// back all the same, only later.
#[test]
fn a_node_that_is_slow_by_nature_is_tried_after_a_while() {
    let mut w = World::new(&["a", "b"]);
    for _ in 0..30 {
        w.run("a", ms(2100));
        w.run("b", ms(2100));
    }
    w.fail("a", FailureKind::Connect);
    let tried = |w: &mut World| {
        (0..3).any(|_| {
            w.run("b", ms(2100));
            w.first(None).reason == PickReason::Trial
        })
    };
    w.pass(Duration::from_secs(12));
    assert!(!tried(&mut w));
    w.pass(Duration::from_secs(20));
    assert!(tried(&mut w));
}

#[test]
fn a_stream_that_begins_with_a_trial_does_not_live_there() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    w.fail("a", FailureKind::Connect);
    w.pass(Duration::from_secs(10));
    let choice = (0..50)
        .map(|_| w.first(None))
        .find(|c| c.reason == PickReason::Trial)
        .expect("one segment is spent on it");
    assert_eq!(w.id(choice.node), "a");
    assert_eq!(w.id(choice.home.node()), "b");
}

#[test]
fn the_only_node_may_blame_as_many_segments_as_there_are() {
    let mut w = World::new(&["a"]);
    w.settle();
    for _ in 0..20 {
        let ticket = w.start(w.node("a"));
        w.pass(ms(100));
        assert_eq!(w.finish(ticket, Outcome::Claimed), None);
    }
}
