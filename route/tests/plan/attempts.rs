//! Attempts, one after another: whom, how often, for what, until when.

use rackcast_route::plan::{
    CancelReason, Cause, End, Ending, Event, GiveUp, Renditions, Step, Wait,
};
use rackcast_route::table::{FailureKind, NoNodeReason};

use crate::support::{Ingest, PATIENCE, ms};

const TWO: [(&str, &str); 2] = [("a", "x"), ("b", "y")];
const THREE: [(&str, &str); 3] = [("a", "x"), ("b", "y"), ("c", "z")];

#[test]
fn what_comes_is_delivered_and_the_record_tells_it() {
    let mut i = Ingest::over(&THREE);
    let mut s = i.begin();
    assert_eq!((s.sends.len(), s.last().number), (1, 1));
    assert_eq!(s.last().renditions, Renditions::first(3));
    assert!(!s.last().suspect);
    let (attempt, name) = (s.last().attempt, s.last().name.clone());
    i.complete(&mut s, attempt, ms(120));
    assert!(s.plan.is_over() && s.given_up.is_empty());
    assert_eq!(s.delivered, Renditions::first(3));
    assert_eq!(s.freed, 1);
    let steps: Vec<_> = s.plan.trail().entries().iter().map(|e| &e.step).collect();
    assert!(
        matches!(steps[0], Step::Sent(sent) if sent.node.as_str() == name && sent.cause == Cause::First)
    );
    assert!(
        matches!(steps[4], Step::Ended { how: Ending::Complete, elapsed, .. } if *elapsed == ms(120))
    );
    assert!(
        s.notes.iter().all(|n| matches!(n, Step::Sent(_))),
        "{:?}",
        s.notes
    );
}

#[test]
fn a_failure_is_retried_at_once_elsewhere_for_what_is_missing() {
    let mut i = Ingest::over(&THREE);
    let mut s = i.begin();
    let first = s.last().clone();
    i.pass(ms(50));
    i.rendition(&mut s, first.attempt, 1);
    i.fail(&mut s, first.attempt, FailureKind::Broken);
    let second = s.last().clone();
    assert_eq!((s.sends.len(), second.number, second.at), (2, 2, i.now));
    assert_ne!(second.node, first.node);
    assert_eq!(second.renditions, [0, 2].into_iter().collect());
    i.complete(&mut s, second.attempt, ms(100));
    assert!(s.plan.is_over() && s.delivered == Renditions::first(3));
    let cause = |e: &rackcast_route::plan::Entry| match &e.step {
        Step::Sent(sent) => Some(sent.cause),
        _ => None,
    };
    let causes: Vec<_> = s.plan.trail().entries().iter().filter_map(cause).collect();
    assert_eq!(causes, [Cause::First, Cause::Retry(FailureKind::Broken)]);
}

#[test]
fn a_node_that_failed_is_asked_again_when_no_other_is_left_and_after_a_pause() {
    let mut i = Ingest::over(&[("a", "x")]);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.fail(&mut s, first, FailureKind::Broken);
    assert_eq!(s.sends.len(), 1, "not at once");
    assert!(s.plan.waits().is_some());
    let failed = i.now;
    i.wait(&mut s, PATIENCE);
    assert_eq!(s.sends.len(), 2);
    assert!(s.last().at >= failed + i.router.config().attempts.again);
}

#[test]
fn a_node_that_would_certainly_fail_again_is_not() {
    let mut i = Ingest::over(&[("a", "x")]);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.fail(&mut s, first, FailureKind::WrongMedia);
    i.wait(&mut s, PATIENCE);
    assert_eq!(s.sends.len(), 1);
    assert!(s.plan.is_over());
    let (_, reason) = s.given_up[0];
    assert_eq!(reason, GiveUp::NoNode(NoNodeReason::AllTried));
}

#[test]
fn attempts_have_an_end() {
    let nodes = ["a", "b", "c", "d", "e", "f"].map(|n| (n, n));
    let mut i = Ingest::over(&nodes);
    let max = i.router.config().attempts.max;
    let mut s = i.begin();
    while !s.plan.is_over() && s.plan.waits().is_none() {
        // Enough of others for any number of retries.
        i.others(10);
        let attempt = s.last().attempt;
        i.fail(&mut s, attempt, FailureKind::Internal);
    }
    assert_eq!(s.sends.len(), usize::try_from(max).unwrap());
    assert_eq!(s.given_up, [(Renditions::first(3), GiveUp::Attempts)]);
}

#[test]
fn the_deadline_ends_everything() {
    let mut i = Ingest::over(&THREE);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.pass(ms(10));
    i.rendition(&mut s, first, 2);
    i.pass(PATIENCE);
    i.tell(&mut s, Event::Wake);
    assert!(s.plan.is_over());
    assert!(s.was_cancelled(first, CancelReason::Deadline));
    assert_eq!(s.given_up, [(Renditions::first(2), GiveUp::Deadline)]);
}

#[test]
fn a_submission_that_only_owes_its_summary_may_send_it_until_the_deadline() {
    let mut i = Ingest::over(&THREE);
    let mut s = i.begin();
    let first = s.last().attempt;
    for index in 0..3 {
        i.rendition(&mut s, first, index);
    }
    assert!(!s.plan.is_over() && s.cancelled.is_empty());
    i.wait(&mut s, PATIENCE);
    assert!(s.plan.is_over() && s.cancelled == [first] && s.given_up.is_empty());
}

#[test]
fn an_answer_that_ends_without_everything_is_a_failure() {
    let mut i = Ingest::over(&TWO);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.rendition(&mut s, first, 0);
    let end = End::Complete {
        timing: None,
        load: None,
    };
    i.tell(
        &mut s,
        Event::Ended {
            attempt: first,
            end,
        },
    );
    assert_eq!(s.last().renditions, [1, 2].into_iter().collect());
    assert!(s.notes.iter().any(|n| matches!(
        n,
        Step::Ended {
            how: Ending::Failed(FailureKind::Protocol),
            ..
        }
    )));
}

#[test]
fn it_waits_for_a_node_but_not_past_the_deadline() {
    let mut i = Ingest::over(&[]);
    let mut s = i.begin();
    assert!(s.sends.is_empty());
    assert_eq!(s.plan.waits(), Some(Wait::Node(NoNodeReason::NoMembers)));
    i.wait(&mut s, ms(500));
    assert!(s.sends.is_empty());
    let now = i.now;
    let member = crate::support::member("late", "x", 4);
    i.router.table_mut().update_members([member], now);
    i.tell(&mut s, Event::Freed);
    assert_eq!((s.sends.len(), s.last().at), (1, now));

    let mut i = Ingest::over(&[]);
    let mut s = i.begin();
    i.wait(&mut s, PATIENCE);
    assert!(s.plan.is_over());
    let reason = GiveUp::NoNode(NoNodeReason::NoMembers);
    assert_eq!(s.given_up, [(Renditions::first(3), reason)]);
    let waits = s.notes.iter().filter(|n| matches!(n, Step::Waiting { .. }));
    assert_eq!(waits.count(), 1, "said once");
}

#[test]
fn a_retry_that_is_short_of_time_asks_for_the_lowest_rungs() {
    let mut i = Ingest::over(&TWO);
    let mut job = i.job();
    // Half a second for the top rung, a tenth for each of the others.
    job.works = vec![50_000_000, 10_000_000, 10_000_000];
    job.deadline = i.now + ms(1000);
    let mut s = i.begin_job(job);
    let first = s.last().attempt;
    assert_eq!(s.last().renditions, Renditions::first(3));
    i.pass(ms(600));
    i.fail(&mut s, first, FailureKind::Broken);
    assert_eq!(s.sends.len(), 2);
    let asked = s.last().renditions;
    assert!(!asked.contains(0) && asked.contains(2), "{asked:?}");
    assert_eq!(s.given_up[0].1, GiveUp::Deadline);
    assert!(s.given_up[0].0.contains(0));
}

#[test]
fn what_is_certainly_too_late_is_not_sent() {
    let mut i = Ingest::over(&TWO);
    let mut job = i.job();
    job.works = vec![500_000_000];
    job.asked = Renditions::first(1);
    job.deadline = i.now + ms(1000);
    let s = i.begin_job(job);
    assert!(s.sends.is_empty() && s.plan.is_over());
    assert_eq!(s.given_up, [(Renditions::first(1), GiveUp::Deadline)]);
}

#[test]
fn abandoned_is_abandoned() {
    let mut i = Ingest::over(&THREE);
    let mut s = i.begin();
    let first = s.last().attempt;
    i.tell(&mut s, Event::Abandoned);
    assert!(s.plan.is_over() && s.given_up.is_empty());
    assert!(s.was_cancelled(first, CancelReason::Abandoned));
    i.rendition(&mut s, first, 0);
    assert!(s.delivered.is_empty());
}

#[test]
fn nothing_asked_is_nothing_done() {
    let mut i = Ingest::over(&THREE);
    let mut job = i.job();
    job.asked = Renditions::NONE;
    let s = i.begin_job(job);
    assert!(s.plan.is_over() && s.sends.is_empty() && s.given_up.is_empty());
}

#[test]
fn why_there_is_another_is_what_the_last_one_came_to() {
    let mut i = Ingest::over(&[("a", "x"), ("b", "y"), ("c", "z"), ("d", "z")]);
    i.warm_up(10, ms(100));
    let mut s = i.begin();
    let gone = s.last().attempt;
    i.fail(&mut s, gone, FailureKind::Connect);
    let busy = s.last().attempt;
    i.refuse(&mut s, busy);
    let causes = s.plan.trail().entries().iter();
    let causes: Vec<Cause> = causes
        .filter_map(|e| match &e.step {
            Step::Sent(sent) => Some(sent.cause),
            _ => None,
        })
        .collect();
    let wanted = [
        Cause::First,
        Cause::Retry(FailureKind::Connect),
        Cause::Refused,
    ];
    assert_eq!(causes, wanted);
}
