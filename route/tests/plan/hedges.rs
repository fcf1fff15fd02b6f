//! Submissions that are slow or hang.

use rackcast_route::RouterConfig;
use rackcast_route::plan::{CancelReason, Cause, Event, NotHedged, Step};
use rackcast_route::table::FailureKind;

use crate::support::{Ingest, PATIENCE, Segment, member, ms};

const THREE: [(&str, &str); 3] = [("a", "x"), ("b", "y"), ("c", "z")];

fn cause(s: &Segment) -> Cause {
    let last = s.plan.trail().entries().iter().rev();
    let cause = last.map(|e| &e.step).find_map(|step| match step {
        Step::Sent(sent) => Some(sent.cause),
        _ => None,
    });
    cause.unwrap()
}

fn not_hedged(s: &Segment) -> Vec<NotHedged> {
    let entries = s.plan.trail().entries().iter();
    let why = entries.filter_map(|e| match e.step {
        Step::NotHedged { why } => Some(why),
        _ => None,
    });
    why.collect()
}

#[test]
fn what_is_slower_than_its_class_gets_a_second_one_beside_it_once() {
    let mut i = Ingest::over(&THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut s = i.begin();
    let first = s.last().clone();
    i.wait(&mut s, PATIENCE);
    let second = s.last().clone();
    assert_eq!((s.sends.len(), cause(&s)), (2, Cause::Hedge));
    assert!(s.cancelled.is_empty(), "beside it, not in its place");
    assert_ne!(first.node, second.node);
    let after = second.at - first.at;
    assert!(after >= ms(160) && after <= ms(320), "{after:?}");
    // The first verified rendition wins, and the loser is cancelled as soon as it has lost.
    i.pass(ms(100));
    i.rendition(&mut s, second.attempt, 0);
    i.rendition(&mut s, first.attempt, 1);
    i.rendition(&mut s, first.attempt, 0);
    assert!(s.cancelled.is_empty());
    i.rendition(&mut s, second.attempt, 2);
    assert_eq!(s.cancelled.len(), 2, "{:?}", s.cancelled);
    assert!(s.was_cancelled(first.attempt, CancelReason::Lost));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
    assert_eq!(s.freed, 2);
}

#[test]
fn the_winner_may_still_send_its_summary() {
    let mut i = Ingest::over(&THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut s = i.begin();
    let first = s.last().attempt;
    i.wait(&mut s, PATIENCE);
    let second = s.last().attempt;
    i.pass(ms(100));
    for index in 0..3 {
        i.rendition(&mut s, second, index);
    }
    assert_eq!(s.cancelled, [first]);
    assert!(!s.plan.is_over());
}

#[test]
fn a_hedge_that_is_refused_is_not_repeated() {
    let mut i = Ingest::over(&THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut s = i.begin();
    i.wait(&mut s, PATIENCE);
    assert_eq!(cause(&s), Cause::Hedge);
    let hedge = s.last().attempt;
    i.refuse(&mut s, hedge);
    i.wait(&mut s, ms(300));
    assert_eq!(s.sends.len(), 2);
}

#[test]
fn a_submission_that_fails_while_its_hedge_runs_needs_no_retry() {
    let mut i = Ingest::over(&THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut s = i.begin();
    let first = s.last().attempt;
    i.wait(&mut s, PATIENCE);
    assert_eq!(cause(&s), Cause::Hedge);
    i.fail(&mut s, first, FailureKind::Broken);
    assert_eq!(s.sends.len(), 2);
    let hedge = s.last().attempt;
    i.complete(&mut s, hedge, ms(50));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
}

#[test]
fn a_fleet_without_spare_slots_is_not_hedged_but_what_hangs_is_taken_over() {
    let mut config = RouterConfig::default();
    config.hedge.free_slots = 1.0;
    let mut i = Ingest::with(config, &THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut s = i.begin();
    let first = s.last().clone();
    i.wait(&mut s, PATIENCE);
    assert_eq!(not_hedged(&s), [NotHedged::NoSpare]);
    assert_eq!((s.sends.len(), cause(&s)), (2, Cause::Overtake));
    assert!(s.was_cancelled(first.attempt, CancelReason::Hung));
    assert_ne!(s.last().node, first.node);
    let second = s.last().attempt;
    i.complete(&mut s, second, ms(100));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
}

#[test]
fn what_hangs_on_the_only_node_keeps_all_the_time_there_is() {
    let mut i = Ingest::over(&[("a", "x")]);
    i.warm_up(60, ms(200));
    let mut s = i.begin();
    let first = s.last().attempt;
    i.wait(&mut s, PATIENCE - ms(100));
    assert_eq!((s.sends.len(), s.cancelled.len()), (1, 0));
    assert_eq!(not_hedged(&s), [NotHedged::NoNode]);
    i.complete(&mut s, first, ms(50));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
}

#[test]
fn hedges_can_be_switched_off() {
    let mut config = RouterConfig::default();
    config.hedge.enabled = false;
    let mut i = Ingest::with(config, &THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut s = i.begin();
    i.wait(&mut s, PATIENCE);
    assert_eq!(cause(&s), Cause::Overtake);
    assert!(not_hedged(&s).is_empty());
}

#[test]
fn a_node_that_cannot_be_in_time_does_not_take_over() {
    let mut i = Ingest::over(&[("a", "x")]);
    i.warm_up(10, ms(100));
    let slow = rackcast_route::Member {
        pixel_rate: Some(1e6),
        ..member("slow", "y", 1)
    };
    let now = i.now;
    let members = [member("a", "x", 4), slow];
    i.router.table_mut().update_members(members, now);
    let mut job = i.job();
    job.deadline = i.now + ms(800);
    let mut s = i.begin_job(job);
    assert_eq!(s.last().name, "a");
    i.wait(&mut s, ms(799));
    assert_eq!((s.sends.len(), s.cancelled.len()), (1, 0));
    assert_eq!(not_hedged(&s), [NotHedged::NoNode]);
}

#[test]
fn all_that_a_late_node_has_is_hedged_at_once() {
    let mut config = RouterConfig::default();
    config.retries.per_second = 5.0;
    let mut i = Ingest::with(config, &THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut first = i.begin();
    i.pass(ms(80));
    let mut second = i.begin();
    assert_eq!(first.last().node, second.last().node, "the stream's home");
    i.pass(ms(80));
    let mut third = i.begin();
    assert_eq!(first.last().node, third.last().node);
    // The first takes longer than most, and the second longer than it should: what was sent last
    // is not due yet.
    let late = i.router.table().late_from(third.last().node).unwrap();
    let due = third.last().at + ms(200);
    assert!(late < due, "late {:?} before it is due", due - late);
    // At once, and what was sent last goes first, should there not be enough for all.
    let mut order = Vec::new();
    for passed in 0..10 {
        i.now = late + ms(passed);
        for (name, s) in [
            ("first", &mut first),
            ("second", &mut second),
            ("third", &mut third),
        ] {
            i.tell(s, Event::Wake);
            if s.sends.len() == 2 && !order.contains(&name) {
                assert_eq!(cause(s), Cause::Hedge);
                order.push(name);
            }
        }
    }
    assert_eq!(order, ["third", "second", "first"]);
}

#[test]
fn when_the_first_and_its_hedge_both_hang_a_third_takes_over() {
    let mut i = Ingest::over(&[("a", "x"), ("b", "y"), ("c", "z"), ("d", "z")]);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut s = i.begin();
    let first = s.last().attempt;
    i.wait(&mut s, PATIENCE);
    assert_eq!(cause(&s), Cause::Hedge);
    while s.sends.len() == 2 {
        assert!(!s.plan.is_over(), "nobody took over");
        i.wait(&mut s, PATIENCE);
    }
    assert_eq!(cause(&s), Cause::Overtake);
    assert!(s.was_cancelled(first, CancelReason::Hung));
    let third = s.last().attempt;
    i.complete(&mut s, third, ms(200));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
}
