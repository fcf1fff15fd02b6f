//! Streams whose segments run in parallel.

use rackcast_route::RouterConfig;
use rackcast_route::plan::{CancelReason, Cause, NotHedged, Step};
use rackcast_route::table::FailureKind;

use crate::support::{Ingest, PATIENCE, Segment, ms};

const ZONES: [(&str, &str); 4] = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")];

fn precious() -> Ingest {
    let mut i = Ingest::over(&ZONES);
    i.precious = true;
    i
}

fn causes(s: &Segment) -> Vec<Cause> {
    let entries = s.plan.trail().entries().iter();
    let causes = entries.filter_map(|e| match &e.step {
        Step::Sent(sent) => Some(sent.cause),
        _ => None,
    });
    causes.collect()
}

#[test]
fn copies_run_in_different_zones_and_the_first_rendition_wins() {
    let mut i = precious();
    let mut s = i.begin();
    assert_eq!(causes(&s), [Cause::First, Cause::Copy]);
    let (first, copy) = (s.sends[0].clone(), s.sends[1].clone());
    assert_ne!(i.zone(first.node), i.zone(copy.node));
    i.pass(ms(100));
    i.rendition(&mut s, copy.attempt, 0);
    i.rendition(&mut s, first.attempt, 0);
    i.rendition(&mut s, first.attempt, 1);
    i.rendition(&mut s, first.attempt, 2);
    assert_eq!(s.delivered.len(), 3);
    assert!(s.was_cancelled(copy.attempt, CancelReason::Lost));
    let spent = i.router.snapshot(i.now).spent;
    assert_eq!((spent.segments, spent.copies, spent.retries), (1, 1, 0));
}

#[test]
fn one_that_fails_needs_no_retry_while_the_other_runs() {
    let mut i = precious();
    let mut s = i.begin();
    let (first, copy) = (s.sends[0].attempt, s.sends[1].attempt);
    i.fail(&mut s, first, FailureKind::Internal);
    assert_eq!(s.sends.len(), 2);
    i.fail(&mut s, copy, FailureKind::Internal);
    assert_eq!(causes(&s)[2..], [Cause::Retry(FailureKind::Internal)]);
}

#[test]
fn two_copies_that_agree_are_two_nodes() {
    let mut i = precious();
    let mut s = i.begin();
    let (first, copy) = (s.sends[0].attempt, s.sends[1].attempt);
    i.claim(&mut s, first);
    assert_eq!(s.sends.len(), 2, "the copy is the second opinion");
    i.claim(&mut s, copy);
    i.wait(&mut s, PATIENCE);
    assert!(s.plan.is_over() && s.sends.len() == 2);
}

#[test]
fn a_fleet_of_one_node_has_no_copies() {
    let mut i = Ingest::over(&ZONES[..1]);
    i.precious = true;
    let s = i.begin();
    assert_eq!(causes(&s), [Cause::First]);
}

#[test]
fn copies_are_not_made_of_slots_that_others_need() {
    let mut config = RouterConfig::default();
    config.hedge.free_slots = 1.0;
    let mut i = Ingest::with(config, &ZONES);
    i.precious = true;
    let s = i.begin();
    assert_eq!(causes(&s), [Cause::First]);
    let told = Step::NotHedged {
        why: NotHedged::NoSpare,
    };
    assert!(s.notes.contains(&told));
}

#[test]
fn when_every_copy_is_refused_the_next_submission_is_the_first() {
    let mut i = precious();
    let mut s = i.begin();
    let sends = s.sends.clone();
    for sent in &sends {
        i.refuse(&mut s, sent.attempt);
    }
    let spent = i.router.snapshot(i.now).spent;
    assert_eq!((spent.segments, spent.retries), (1, 0), "{spent:?}");
    let last = s.last().clone();
    assert_eq!((s.sends.len(), last.number), (3, 1));
    i.complete(&mut s, last.attempt, ms(100));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
}
