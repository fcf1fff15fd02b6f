//! Claims that the segment is at fault.

use rackcast_route::plan::{Cause, GiveUp, Renditions, Step};
use rackcast_route::table::FailureKind;

use crate::support::{Ingest, PATIENCE, ms};

const ZONES: [(&str, &str); 4] = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")];

#[test]
fn two_nodes_that_agree_end_it_and_no_third_sees_it() {
    let mut i = Ingest::over(&ZONES);
    let mut s = i.begin();
    let first = s.last().clone();
    i.claim(&mut s, first.attempt);
    let second = s.last().clone();
    assert_eq!(s.sends.len(), 2);
    assert_ne!(i.zone(first.node), i.zone(second.node));
    assert!(second.suspect, "it may begin in quarantine");
    i.claim(&mut s, second.attempt);
    assert!(s.plan.is_over() && s.sends.len() == 2);
    assert_eq!(s.given_up, [(Renditions::first(3), GiveUp::Poison)]);
}

#[test]
fn a_claim_that_is_contradicted_is_the_claimers_failure() {
    let mut i = Ingest::over(&ZONES);
    let mut s = i.begin();
    let first = s.last().clone();
    i.claim(&mut s, first.attempt);
    let second = s.last().attempt;
    i.pass(ms(80));
    i.rendition(&mut s, second, 2);
    let contradicted =
        |n: &Step| matches!(n, Step::Contradicted { node } if node.as_str() == first.name);
    assert!(s.notes.iter().any(contradicted), "{:?}", s.notes);
    i.complete(&mut s, second, ms(20));
    assert!(s.plan.is_over() && s.delivered.len() == 3);
}

#[test]
fn a_claim_and_a_failure_are_not_tried_on_a_third_node() {
    let mut i = Ingest::over(&ZONES);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.claim(&mut s, first);
    let second = s.last().attempt;
    i.fail(&mut s, second, FailureKind::Broken);
    assert_eq!(s.given_up, [(Renditions::first(3), GiveUp::Poison)]);

    let mut s = i.begin();
    let first = s.last().attempt;
    i.fail(&mut s, first, FailureKind::Broken);
    i.wait(&mut s, PATIENCE - ms(500));
    let second = s.last().attempt;
    assert_eq!(s.sends.len(), 2);
    i.claim(&mut s, second);
    assert_eq!((s.sends.len(), s.given_up[0].1), (2, GiveUp::Poison));
}

#[test]
fn a_second_opinion_that_is_refused_is_asked_elsewhere() {
    let mut i = Ingest::over(&ZONES);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.claim(&mut s, first);
    let second = s.last().clone();
    i.refuse(&mut s, second.attempt);
    i.wait(&mut s, PATIENCE);
    let third = s.last().clone();
    assert_eq!(s.sends.len(), 3);
    assert!(third.suspect && third.number == 2);
    assert_ne!(third.node, s.sends[0].node);
}

#[test]
fn where_there_is_no_second_node_one_is_believed() {
    let mut i = Ingest::over(&[("a", "x")]);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.claim(&mut s, first);
    i.wait(&mut s, PATIENCE);
    assert_eq!((s.sends.len(), s.given_up[0].1), (1, GiveUp::Poison));
}

#[test]
fn a_claim_after_part_of_it_came_is_the_nodes_failure() {
    let mut i = Ingest::over(&ZONES);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.rendition(&mut s, first, 2);
    i.claim(&mut s, first);
    assert_eq!(s.sends.len(), 2);
    assert!(!s.last().suspect);
    let retried = s.notes.iter().any(
        |n| matches!(n, Step::Sent(sent) if sent.cause == Cause::Retry(FailureKind::Internal)),
    );
    assert!(retried);
}
