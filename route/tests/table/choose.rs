//! Which node, and when a stream changes its own.

use rackcast_route::table::{Left, NoNodeReason, Outcome, PickReason, Purpose};

use super::*;

#[test]
fn a_stream_stays_with_its_node() {
    let mut w = World::new(&["a", "b", "c"]);
    w.settle();
    let first = w.first(None);
    assert_eq!(first.reason, PickReason::FirstPick);
    let mut home = first.home;
    for _ in 0..100 {
        let choice = w.first(Some(home));
        assert_eq!((choice.node, choice.reason), (first.node, PickReason::Kept));
        assert_eq!(choice.predicted, ms(100));
        home = choice.home;
        let ticket = w.start(choice.node);
        w.pass(ms(100));
        w.done(ticket);
        w.pass(ms(1900));
    }
}

#[test]
fn it_moves_to_a_node_that_is_better_twice_running() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let a = w.node("a");
    let home = w.ask(Purpose::First, None, &[w.node("b")]).unwrap().home;
    assert_eq!(home.node(), a);
    for _ in 0..100 {
        w.run("b", ms(60));
        w.pass(ms(400));
    }
    let once = w.first(Some(home));
    assert_eq!((once.node, once.reason), (a, PickReason::Kept));
    let twice = w.first(Some(once.home));
    assert_eq!(w.id(twice.node), "b");
    assert!(
        matches!(twice.reason, PickReason::Better { percent: 35..=41 }),
        "{:?}",
        twice.reason
    );
    assert_eq!(twice.home.node(), twice.node);
    assert_eq!(twice.alternatives[0].unwrap().node, a);
}

#[test]
fn a_segment_that_would_wait_at_home_goes_elsewhere_and_the_stream_stays() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let a = w.node("a");
    let home = w.ask(Purpose::First, None, &[w.node("b")]).unwrap().home;
    let tickets: Vec<_> = (0..4).map(|_| w.start(a)).collect();
    let choice = w.first(Some(home));
    assert_eq!(w.id(choice.node), "b");
    assert_eq!(choice.reason, PickReason::Left(Left::Waiting));
    assert_eq!(choice.home.node(), a);
    w.pass(ms(100));
    for ticket in tickets {
        w.done(ticket);
    }
    let next = w.first(Some(choice.home));
    assert_eq!((next.node, next.reason), (a, PickReason::Kept));
}

#[test]
fn slots_are_parallel_servers_and_beyond_them_a_job_waits_for_the_next_end() {
    let mut w = World::new(&["a"]);
    w.settle();
    let a = w.node("a");
    let mut tickets = vec![w.start(a)];
    w.pass(ms(50));
    tickets.extend((0..3).map(|_| w.start(a)));
    let first = w.first(None).predicted;
    assert!(
        (ms(150)..ms(165)).contains(&first),
        "the first ends in 50 ms, or a little later: {first:?}"
    );
    tickets.push(w.start_predicted(a, ms(150)));
    let second = w.first(None).predicted;
    assert!(
        (ms(200)..ms(210)).contains(&second),
        "the second in 100 ms: {second:?}"
    );
    w.pass(ms(60));
    let late = w.first(None).predicted;
    assert!(
        (ms(140)..ms(165)).contains(&late),
        "both take longer: the first is not over by now, nor are both: {late:?}"
    );
    for _ in 0..3 {
        tickets.push(w.start_predicted(a, ms(200)));
    }
    let full = w.ask(Purpose::First, None, &[]).unwrap_err();
    assert_eq!(full.reason, NoNodeReason::AllFull);
    for ticket in tickets {
        w.finish(ticket, Outcome::Cancelled);
    }
    assert_eq!(w.view("a").in_flight, 0);
}

#[test]
fn others_jobs_count_while_the_report_is_fresh() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let (a, b) = (w.node("a"), w.node("b"));
    w.table.probed(a, ms(0), load(4, 6), w.now);
    assert_eq!(w.view("a").others, 6);
    assert_eq!(w.share("b", 20), 1.0);
    w.table.probed(b, ms(0), load(4, 8), w.now);
    assert_eq!(w.share("a", 20), 1.0, "b is full");
    w.pass(ms(1501));
    assert_eq!(w.view("a").others, 0);
    assert!((0.2..0.8).contains(&w.share("a", 100)));
}

#[test]
fn a_hedge_needs_a_good_node_with_a_free_slot_and_enough_time() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let (a, b) = (w.node("a"), w.node("b"));
    assert_eq!(w.ask(Purpose::Hedge, None, &[a]).unwrap().node, b);
    let none = w.ask(Purpose::Hedge, None, &[a, b]).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::AllTried);
    let tickets: Vec<_> = (0..4).map(|_| w.start(b)).collect();
    let none = w.ask(Purpose::Hedge, None, &[a]).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::NoneFree);
    assert!(
        w.ask(Purpose::Retry, None, &[a]).is_ok(),
        "a retry may wait"
    );
    for ticket in tickets {
        w.finish(ticket, Outcome::Cancelled);
    }
    w.fail("b", FailureKind::Internal);
    let none = w.ask(Purpose::Hedge, None, &[a]).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::NoneFree);
}

#[test]
fn a_second_opinion_and_a_copy_come_from_another_zone_where_there_is_one() {
    let members = [("a", "1"), ("b", "1"), ("c", "2")];
    let mut w = World::with(incurious(), members.iter().map(|(id, z)| member(id, z, 4)));
    w.settle();
    let (a, b, c) = (w.node("a"), w.node("b"), w.node("c"));
    for purpose in [
        Purpose::SecondOpinion { not_zone_of: a },
        Purpose::Copy { not_zone_of: a },
    ] {
        for _ in 0..10 {
            assert_eq!(w.ask(purpose, None, &[a]).unwrap().node, c);
        }
        assert_eq!(w.ask(purpose, None, &[a, c]).unwrap().node, b);
    }
}

#[test]
fn the_home_only_follows_first_submissions() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let a = w.node("a");
    let home = w.ask(Purpose::First, None, &[w.node("b")]).unwrap().home;
    let retry = w.ask(Purpose::Retry, Some(home), &[a]).unwrap();
    assert_eq!(w.id(retry.node), "b");
    assert_eq!(retry.home, home);
}

#[test]
fn a_node_that_carries_twice_as_much_gives_streams_away() {
    let config = Config {
        home: HomeConfig::default(),
        ..incurious()
    };
    let mut w = World::with(config, ["a", "b"].map(|id| member(id, "z", 4)).into_iter());
    w.settle();
    let a = w.node("a");
    let home = w.ask(Purpose::First, None, &[w.node("b")]).unwrap().home;
    let mut moved = 0;
    for _ in 0..100 {
        let tickets = [w.start(a), w.start(a)];
        w.pass(ms(100));
        let choice = w.first(Some(home));
        if choice.home.node() != a {
            assert_eq!(choice.reason, PickReason::Balance);
            moved += 1;
        }
        for ticket in tickets {
            w.done(ticket);
        }
    }
    assert!((8..35).contains(&moved), "one in five: {moved}");
}

/// How many of a hundred segments of a stream that lives on a busy node `a` of eight slots move it to `b`, which needs
/// so long for a job, has so many slots, and has two jobs half of the time unless it is idle.
fn balanced(took: u64, slots: u32, idle: bool) -> usize {
    let config = Config {
        home: HomeConfig::default(),
        ..incurious()
    };
    let members = [member("a", "z", 8), member("b", "z", slots)];
    let mut w = World::with(config, members.into_iter());
    w.settle();
    let (a, b) = (w.node("a"), w.node("b"));
    let home = w.ask(Purpose::First, None, &[b]).unwrap().home;
    for _ in 0..30 {
        w.run("b", ms(took));
    }
    let mut moved = 0;
    for _ in 0..100 {
        let ours = [(); 7].map(|()| w.start(a));
        let theirs = (!idle).then(|| [w.start(b), w.start(b)]);
        w.pass(ms(60));
        let choice = w.first(Some(home));
        moved += usize::from(choice.reason == PickReason::Balance);
        w.pass(ms(40));
        for ticket in ours {
            w.done(ticket);
        }
        w.pass(ms(took - 100));
        for ticket in theirs.into_iter().flatten() {
            w.done(ticket);
        }
        w.pass(ms(200 - took));
    }
    moved
}

#[test]
fn a_stream_is_given_to_who_is_no_slower_and_has_a_free_slot_or_is_idle() {
    assert!(balanced(100, 6, false) > 5);
    assert_eq!(balanced(120, 6, false), 0, "slower");
    assert_eq!(balanced(100, 2, false), 0, "without a free slot");
    assert!(balanced(120, 6, true) > 5, "idle");
    assert_eq!(balanced(200, 6, true), 0, "far slower, and idle");
}

#[test]
fn without_a_node_the_reason_says_so() {
    let mut w = World::new(&[]);
    let none = w.ask(Purpose::First, None, &[]).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::NoMembers);
    let mut w = World::new(&["a"]);
    let a = w.node("a");
    let none = w.ask(Purpose::Retry, None, &[a]).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::AllTried);
    assert!(!none.reason.may_pass());
    w.fail("a", FailureKind::Connect);
    let none = w.ask(Purpose::First, None, &[]).unwrap_err();
    assert_eq!(none.reason, NoNodeReason::AllEjected);
    let wait = none.retry_at.unwrap() - w.now;
    assert!((ms(6000)..=ms(8000)).contains(&wait), "{wait:?}");
}
