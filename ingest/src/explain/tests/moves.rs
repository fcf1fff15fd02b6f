use std::sync::Arc;

use rackcast_route::plan::{Cause, Ending, GiveUp, Renditions, Step};
use rackcast_route::table::{FailureKind, Left, PickReason};
use rackcast_service::explain::Summary;

use super::{Config, ended, record, rendition, sent, simple, trails};
use crate::explain::Record;
use crate::explain::summary::summary;

fn of(records: Vec<Record>) -> Summary {
    let records: Vec<_> = records.into_iter().map(Arc::new).collect();
    summary(&records, &trails(Config::default()).zones())
}

fn moves(picks: &[(&str, PickReason)]) -> Vec<String> {
    let records = picks.iter().zip(1..);
    let records = records.map(|((node, reason), n)| simple("live/a", n, node, *reason));
    let moves = of(records.collect()).moves;
    let told = moves.iter().map(|m| {
        format!(
            "{}: {} to {}, {}",
            m.segment, m.from.id, m.to.id, m.why.code
        )
    });
    told.collect()
}

const EJECTED: PickReason = PickReason::Left(Left::Ejected(FailureKind::TimedOut));

#[test]
fn a_move_is_told_with_its_segment_and_reason() {
    let picks = [
        ("a", PickReason::FirstPick),
        ("a", PickReason::Kept),
        ("b", EJECTED),
        ("b", PickReason::Kept),
        ("c", PickReason::Better { percent: 32 }),
    ];
    assert_eq!(
        moves(&picks),
        ["3: a to b, left-ejected", "5: b to c, better"]
    );
}

#[test]
fn one_segment_on_trial_elsewhere_is_no_move_until_the_stream_stays() {
    let there_and_back = [
        ("a", PickReason::Kept),
        ("b", PickReason::Trial),
        ("a", PickReason::Kept),
        ("c", PickReason::Unmeasured),
        ("a", PickReason::Kept),
    ];
    assert!(moves(&there_and_back).is_empty());
    let to_stay = [
        ("a", PickReason::Kept),
        ("b", PickReason::Trial),
        ("b", PickReason::Kept),
    ];
    assert_eq!(moves(&to_stay), ["2: a to b, trial"]);
    let elsewhere = [
        ("a", PickReason::Kept),
        ("b", PickReason::Trial),
        ("c", EJECTED),
    ];
    assert_eq!(moves(&elsewhere), ["3: a to c, left-ejected"]);
}

#[test]
fn a_segment_that_went_elsewhere_while_the_home_was_kept_is_no_move() {
    let around = [
        ("a", PickReason::Kept),
        ("b", PickReason::Left(Left::Full)),
        ("a", PickReason::Kept),
        ("c", PickReason::Better { percent: 40 }),
        ("c", PickReason::Kept),
    ];
    assert_eq!(moves(&around), ["4: a to c, better"]);
}

#[test]
fn a_move_within_a_segment_is_that_segment_s() {
    let connect = FailureKind::Connect;
    let left = PickReason::Left(Left::Ejected(connect));
    let dead = vec![
        (0, sent(1, "a", Cause::First, PickReason::Kept)),
        (3, ended(1, "a", 3, Ending::Failed(connect))),
        (3, sent(2, "b", Cause::Retry(connect), left)),
        (700, rendition(2, 0)),
        (700, rendition(2, 1)),
    ];
    // A second node that has it after a first one is no new home.
    let slow = vec![
        (0, sent(1, "b", Cause::First, PickReason::Kept)),
        (400, sent(2, "c", Cause::Hedge, PickReason::Hedge)),
        (
            900,
            sent(3, "a", Cause::Retry(FailureKind::Broken), PickReason::Retry),
        ),
    ];
    let moves = of(vec![
        simple("live/a", 1, "a", PickReason::Kept),
        record("live/a", 2, dead),
        record("live/a", 3, slow),
        simple("live/a", 4, "b", PickReason::Kept),
    ])
    .moves;
    let [only] = &moves[..] else {
        panic!("{moves:#?}");
    };
    assert_eq!((only.segment, only.why.code.as_str()), (2, "left-ejected"));
    assert_eq!(only.why.failure.as_deref(), Some("connect"));
}

#[test]
fn figures_are_of_all_segments() {
    let refused = Ending::Refused {
        code: "no-slot",
        retry_after: None,
    };
    let poor = vec![
        (0, sent(1, "a", Cause::First, PickReason::Kept)),
        (5, ended(1, "a", 5, refused)),
        (
            5,
            sent(2, "b", Cause::Refused, PickReason::Left(Left::Blocked)),
        ),
        (400, sent(3, "c", Cause::Hedge, PickReason::Hedge)),
        (500, rendition(2, 1)),
        (
            600,
            ended(2, "b", 595, Ending::Failed(FailureKind::WrongMedia)),
        ),
        (
            3000,
            Step::GaveUp {
                renditions: Renditions::only(0),
                reason: GiveUp::Deadline,
            },
        ),
    ];
    let mut summary = of(vec![
        simple("live/a", 8, "a", PickReason::Kept),
        record("live/a", 9, poor),
        record("live/a", 10, Vec::new()),
    ]);
    let moves: Vec<_> = std::mem::take(&mut summary.moves)
        .into_iter()
        .map(|m| (m.segment, m.why.code))
        .collect();
    assert_eq!(moves, [(9, "left-blocked".to_owned())]);
    let figures = Summary {
        segments: 3,
        first: 8,
        last: 10,
        first_at_ms: 1_016_000,
        last_at_ms: 1_020_000,
        complete: 1,
        partial: 1,
        none: 1,
        submissions: 3,
        refusals: 1,
        hedges: 1,
        defects: 1,
        ..Summary::default()
    };
    assert_eq!(summary, figures);
}
