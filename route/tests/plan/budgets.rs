//! What submissions beyond the first may cost.

use rackcast_route::RouterConfig;
use rackcast_route::plan::{Cause, Event, GiveUp, Renditions, Step, Wait};
use rackcast_route::table::FailureKind;

use crate::support::{Ingest, PATIENCE, ms};

const THREE: [(&str, &str); 3] = [("a", "x"), ("b", "y"), ("c", "z")];

#[test]
fn a_retry_waits_for_its_budget() {
    let mut i = Ingest::over(&THREE);
    i.spend_retries();
    let mut s = i.begin();
    let first = s.last().attempt;
    i.fail(&mut s, first, FailureKind::Internal);
    assert_eq!(s.plan.waits(), Some(Wait::Retries));
    assert_eq!(s.sends.len(), 1);
    // Ten segments of others bring one.
    i.others(10);
    i.wait(&mut s, PATIENCE);
    assert_eq!(s.sends.len(), 2);
    assert!(s.last().at - s.plan.trail().begun() <= ms(100));
}

#[test]
fn a_retry_that_is_never_paid_is_a_gap_for_want_of_budget() {
    let mut config = RouterConfig::default();
    config.retries.per_second = 0.0;
    let mut i = Ingest::with(config, &THREE);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.fail(&mut s, first, FailureKind::Internal);
    i.wait(&mut s, PATIENCE);
    assert_eq!(s.sends.len(), 1);
    assert_eq!(s.given_up, [(Renditions::first(3), GiveUp::Budget)]);
}

#[test]
fn a_refusal_is_no_failure_and_has_a_budget_of_its_own() {
    let mut config = RouterConfig::default();
    config.retries.per_second = 0.0;
    let mut i = Ingest::with(config, &THREE);
    let mut s = i.begin();
    let first = s.last().clone();
    i.refuse(&mut s, first.attempt);
    let second = s.last().clone();
    assert_ne!(second.node, first.node);
    assert_eq!(
        (second.number, s.sends.len()),
        (1, 2),
        "nothing was taken on yet"
    );
    let spent = i.router.snapshot(i.now).spent;
    assert_eq!((spent.segments, spent.retries, spent.refusals), (1, 0, 1));
    i.complete(&mut s, second.attempt, ms(100));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
    let cause = s
        .plan
        .trail()
        .entries()
        .iter()
        .rev()
        .find_map(|e| match &e.step {
            Step::Sent(sent) => Some(sent.cause),
            _ => None,
        });
    assert_eq!(cause, Some(Cause::Refused));
}

#[test]
fn a_refused_segment_does_not_go_back_while_another_node_is_good() {
    let mut config = RouterConfig::default();
    config.refusals.per_segment = 0.0;
    let mut i = Ingest::with(config, &THREE);
    i.warm_up(30, ms(100));
    let (mut one, mut two) = (i.begin(), i.begin());
    let home = one.last().node;
    assert_eq!(two.last().node, home, "both go to the stream's home");
    let (first, second) = (one.last().attempt, two.last().attempt);
    i.refuse(&mut one, first);
    i.refuse(&mut two, second);
    assert_eq!(two.plan.waits(), Some(Wait::Refusals));
    // By then the home's Retry-After is long over.
    i.wait(&mut two, ms(1500));
    assert_eq!(two.sends.len(), 2);
    assert_ne!(two.last().node, home);
}

#[test]
fn refusals_are_capped_too() {
    let nodes = ["a", "b", "c", "d", "e", "f"].map(|n| (n, n));
    let mut i = Ingest::over(&nodes);
    let mut s = i.begin();
    for _ in 0..2 {
        let attempt = s.last().attempt;
        i.refuse(&mut s, attempt);
    }
    assert_eq!(s.sends.len(), 2, "the second refusal has to wait");
    assert_eq!(s.plan.waits(), Some(Wait::Refusals));
    i.wait(&mut s, PATIENCE);
    assert_eq!(s.sends.len(), 3);
}

#[test]
fn a_connection_that_is_refused_costs_no_retry_and_no_attempt() {
    let mut config = RouterConfig::default();
    config.retries.per_second = 0.0;
    let mut i = Ingest::with(config, &THREE);
    let mut s = i.begin();
    let first = s.last().clone();
    i.fail(&mut s, first.attempt, FailureKind::Connect);
    assert_eq!((s.sends.len(), s.last().number), (2, 1));
    assert_ne!(s.last().node, first.node);
    assert_eq!(i.router.snapshot(i.now).spent.retries, 0);
}

#[test]
fn what_has_failed_goes_before_what_is_late_though_that_is_due_sooner() {
    let mut i = Ingest::over(&THREE);
    i.warm_up(60, ms(200));
    i.pass(ms(3000));
    let mut late = i.begin();
    // Its node has come under suspicion, by half a second longer than it should take.
    i.pass(ms(700));
    let node = late.last().node;
    assert!(i.router.table().is_suspect(node, i.now));
    i.spend_retries();
    let mut failed = i.begin();
    let attempt = failed.last().attempt;
    i.fail(&mut failed, attempt, FailureKind::WrongMedia);
    assert_eq!(failed.plan.waits(), Some(Wait::Retries));
    // The next token comes; whoever asks first for it.
    i.others(10);
    i.tell(&mut late, Event::Wake);
    i.tell(&mut failed, Event::Wake);
    assert_eq!((late.sends.len(), failed.sends.len()), (1, 2));
}
