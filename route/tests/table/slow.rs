//! A node that turns slow.

use rackcast_route::table::{Left, NoNodeReason, PickReason, Purpose, Standing};

use super::*;

/// Streams at home on `a`, of two nodes, each of which had many results.
fn world() -> (World, Home) {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    for _ in 0..200 {
        w.run("a", ms(100));
        w.run("b", ms(100));
    }
    let home = w.ask(Purpose::First, None, &[w.node("b")]).unwrap().home;
    (w, home)
}

#[test]
fn a_job_that_is_late_speaks_before_it_ends() {
    let (mut w, home) = world();
    let a = w.node("a");
    let _late = w.start(a);
    // No noise was seen: a tenth more than predicted and 30 ms are suspect.
    w.pass(ms(140));
    assert_eq!(w.first(Some(home)).reason, PickReason::Kept);
    w.pass(ms(1));
    let left = w.first(Some(home));
    assert_eq!(left.reason, PickReason::Left(Left::Suspect));
    assert_eq!(w.id(left.node), "b");
    assert!(w.table.is_suspect(a, w.now));
    assert_eq!(left.home.node(), a, "for this segment");
    assert_eq!(w.view("a").standing, Standing::Good);
    // A quarter more and 30 ms are late.
    w.pass(ms(15));
    assert_eq!(w.view("a").standing, Standing::Overdue);
    let left = w.first(Some(left.home));
    assert_eq!(left.reason, PickReason::Left(Left::Overdue));
    w.pass(ms(844));
    let only = w.ask(Purpose::Retry, None, &[w.node("b")]).unwrap();
    assert_eq!(only.predicted, ms(1000), "at least that slow, for all");
    assert_eq!(left.home.node(), left.node, "and for good");
}

#[test]
fn a_job_tells_by_its_first_rendition() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let (a, half) = (w.node("a"), ms(50));
    for _ in 0..300 {
        for node in [a, w.node("b")] {
            let ticket = w.start(node);
            w.pass(half);
            w.table.begun(&ticket, w.now);
            w.pass(half);
            w.done(ticket);
        }
    }
    // It should be there after 50 ms: a tenth more and 30 ms are suspect, a quarter more late.
    let ticket = w.start(a);
    w.pass(ms(84));
    assert!(!w.table.is_suspect(a, w.now));
    w.pass(ms(3));
    assert!(w.table.is_suspect(a, w.now));
    assert_eq!(w.view("a").standing, Standing::Good);
    w.pass(ms(7));
    assert_eq!(w.view("a").standing, Standing::Overdue);
    // It comes: the last one is not late yet.
    w.table.begun(&ticket, w.now);
    assert!(!w.table.is_suspect(a, w.now));
    w.pass(ms(47));
    assert!(w.table.is_suspect(a, w.now), "after 140 ms");
    w.pass(ms(15));
    assert_eq!(w.view("a").standing, Standing::Overdue);
}

#[test]
fn a_job_of_a_single_rendition_is_held_to_what_last_ones_take() {
    let mut w = World::new(&["a", "b"]);
    w.settle();
    let (a, half) = (w.node("a"), ms(50));
    for _ in 0..300 {
        let ticket = w.start(a);
        w.pass(half);
        w.table.begun(&ticket, w.now);
        w.pass(half);
        w.done(ticket);
    }
    let single = w.table.start(a, WORK, 1, ms(100), w.now);
    w.pass(ms(139));
    assert!(!w.table.is_suspect(a, w.now));
    w.pass(ms(2));
    assert!(
        w.table.is_suspect(a, w.now),
        "a tenth and 30 ms after its end"
    );
    w.table.begun(&single, w.now);
    w.done(single);
    // Of `b` nobody knows yet when its first rendition comes.
    let unknown = w.start(w.node("b"));
    w.pass(ms(139));
    assert!(!w.table.is_suspect(w.node("b"), w.now));
    w.done(unknown);
}

#[test]
fn two_jobs_convict_a_node_sooner_than_one() {
    let (mut w, home) = world();
    let a = w.node("a");
    let [first, second] = [w.start(a), w.start(a)];
    // Each alone is suspect after 140 ms, and late after 155.
    w.pass(ms(140));
    assert_eq!(w.view("a").standing, Standing::Good);
    assert_eq!(w.table.late_from(a), Some(w.now));
    w.pass(ms(1));
    assert_eq!(w.view("a").standing, Standing::Overdue);
    let left = w.first(Some(home));
    assert_eq!(left.reason, PickReason::Left(Left::Overdue));
    // One of them comes back: chance may explain the other one.
    w.done(second);
    assert_eq!(w.view("a").standing, Standing::Good);
    w.pass(ms(15));
    assert_eq!(w.view("a").standing, Standing::Overdue);
    w.done(first);
    assert_eq!(w.table.late_from(a), None);
}

#[test]
fn slowness_that_a_result_told_and_a_late_job_tells_too_counts_once() {
    let (mut w, _) = world();
    let a = w.node("a");
    let tickets = [w.start(a), w.start(a)];
    w.pass(ms(1000));
    let only = |w: &mut World| {
        let choice = w.ask(Purpose::Retry, None, &[w.node("b")]);
        choice.unwrap().predicted
    };
    assert_eq!(only(&mut w), ms(1000), "for what is late");
    let [slow, late] = tickets;
    w.done(slow);
    assert_eq!(
        only(&mut w),
        ms(1000),
        "for what was slow, and no more than that"
    );
    w.pass(ms(1000));
    assert_eq!(only(&mut w), ms(2000), "for what is later still");
    w.done(late);
    assert_eq!(only(&mut w), ms(2000));
}

#[test]
fn who_left_a_late_node_stays_where_it_went_and_the_node_is_forgiven() {
    let (mut w, home) = world();
    let a = w.node("a");
    let late = w.start(a);
    w.pass(ms(180));
    let left = w.first(Some(home));
    assert_eq!(left.reason, PickReason::Left(Left::Overdue));
    w.done(late);
    let next = w.first(Some(left.home));
    assert_eq!((next.node, next.reason), (w.node("b"), PickReason::Kept));
    assert_eq!(w.view("a").standing, Standing::Good);
}

#[test]
fn a_slow_node_is_doubted_tried_alone_and_ejected() {
    let (mut w, home) = world();
    let (a, b) = (w.node("a"), w.node("b"));
    let tickets: Vec<_> = (0..3).map(|_| w.start(a)).collect();
    w.pass(ms(1600));
    let mut changes: Vec<_> = tickets.into_iter().map(|t| w.done(t)).collect();
    let ejected = changes.pop().unwrap();
    assert_eq!(changes, [None, None]);
    let Some(Change::Ejected { kind, length }) = ejected else {
        panic!("{ejected:?}");
    };
    assert_eq!(kind, FailureKind::Slow);
    let left = w.first(Some(home));
    assert_eq!(
        left.reason,
        PickReason::Left(Left::Ejected(FailureKind::Slow))
    );
    assert_eq!(left.home.node(), b);
    // Then one segment decides, and no second one meanwhile.
    w.pass(length + ms(1));
    assert_eq!(
        w.first(Some(left.home)).reason,
        PickReason::Kept,
        "it was burnt there"
    );
    let home = w.ask(Purpose::First, None, &[a]).unwrap().home;
    let trial = w.first(Some(home));
    assert_eq!((trial.node, trial.reason), (a, PickReason::Trial));
    assert!(trial.predicted < ms(130), "as if it were well again");
    assert_eq!(trial.home, home, "the stream is not moved");
    let ticket = w.start_predicted(a, trial.predicted);
    assert_eq!(w.first(Some(home)).node, b);
    w.pass(ms(1600));
    let Some(Change::Ejected { length: longer, .. }) = w.done(ticket) else {
        panic!("still slow");
    };
    assert!(longer > length);
    w.pass(longer);
    // The tokens for trials come back with time.
    w.pass(Duration::from_secs(30));
    let trial = w.first(Some(home));
    assert_eq!(trial.reason, PickReason::Trial);
    let ticket = w.start_predicted(a, trial.predicted);
    w.pass(ms(110));
    assert_eq!(w.done(ticket), Some(Change::Returned));
    assert!(matches!(w.view("a").standing, Standing::Returning(10)));
}

#[test]
fn a_cancelled_job_that_had_its_time_counts_as_slow() {
    let (mut w, _) = world();
    let a = w.node("a");
    let early = w.start(a);
    w.pass(ms(90));
    w.finish(early, Outcome::Cancelled);
    assert_eq!(w.view("a").standing, Standing::Good);
    let late = w.start(a);
    w.pass(ms(600));
    w.finish(late, Outcome::Cancelled);
    assert_eq!(w.view("a").standing, Standing::Slow);
    assert_eq!(w.share("b", 20), 1.0);
}

#[test]
fn a_node_that_stays_slow_is_at_last_taken_for_what_it_is() {
    let (mut w, _) = world();
    let mut trials = 0;
    while w.view("a").standing != Standing::Good {
        w.pass(Duration::from_secs(1));
        w.run("b", ms(100));
    }
    w.run("a", ms(350));
    for second in 0..600 {
        w.pass(Duration::from_secs(1));
        w.run("b", ms(100));
        if w.view("a").standing == Standing::Trial {
            w.run("a", ms(350));
            trials += 1;
        }
        if matches!(
            w.view("a").standing,
            Standing::Good | Standing::Returning(_)
        ) {
            assert!(second > 20, "not at once");
            break;
        }
    }
    assert!(
        w.view("a").standing == Standing::Returning(10),
        "{trials} trials"
    );
    assert!(trials < 15, "{trials}");
    assert_eq!(w.share("b", 50), 1.0, "slow, but no longer an outlaw");
}

#[test]
fn a_slow_node_gets_one_segment_to_show_that_it_is_well_and_no_second_one_beside_it() {
    let (mut w, home) = world();
    let (a, b) = (w.node("a"), w.node("b"));
    let late = w.start(a);
    w.pass(ms(1000));
    w.finish(late, Outcome::Cancelled);
    w.pass(Duration::from_secs(3));
    assert_eq!(w.view("a").standing, Standing::Trial);
    // The other one is full: whoever comes gets the trial, and the next one waits.
    let jobs: Vec<_> = (0..8).map(|_| w.start(b)).collect();
    let tried = w.first(Some(home));
    assert_eq!(tried.node, a);
    let trial = w.start_predicted(a, tried.predicted);
    assert!(trial.is_trial());
    let next = w.ask(Purpose::First, Some(home), &[]);
    assert_eq!(next.unwrap_err().reason, NoNodeReason::AllFull);
    w.pass(ms(100));
    w.done(trial);
    assert_eq!(w.first(Some(home)).node, a);
    for job in jobs {
        w.finish(job, Outcome::Cancelled);
    }
}
