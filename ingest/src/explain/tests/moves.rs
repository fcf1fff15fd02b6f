use std::sync::Arc;

use rackcast_route::plan::{Cause, Ending, GiveUp, Renditions, Step};
use rackcast_route::table::{FailureKind, Left, PickReason};
use rackcast_service::explain::Summary;

use super::{Config, ended, moved, record, rendition, sent, simple, trails};
use crate::explain::Record;
use crate::explain::summary::summary;

fn of(records: Vec<Record>) -> Summary {
    let records: Vec<_> = records.into_iter().map(Arc::new).collect();
    summary(&records, &trails(Config::default()).zones())
}

fn told(summary: &Summary) -> Vec<String> {
    let told = summary.moves.iter().map(|m| {
        let (from, to, why) = (&m.from.id, &m.to.id, &m.why.code);
        format!("{}: {from} to {to}, {why}", m.segment)
    });
    told.collect()
}

/// A segment whose first submission moved the stream.
fn moving(sequence: u64, from: &str, node: &str, reason: PickReason) -> Record {
    let first = moved(1, Some(from), node, Cause::First, reason);
    record("live/a", sequence, vec![(0, first), (700, rendition(1, 0))])
}

const EJECTED: PickReason = PickReason::Left(Left::Ejected(FailureKind::WrongMedia));

#[test]
fn a_move_is_told_with_its_segment_and_reason() {
    let summary = of(vec![
        simple("live/a", 1, "a", PickReason::FirstPick),
        simple("live/a", 2, "a", PickReason::Kept),
        moving(3, "a", "b", EJECTED),
        simple("live/a", 4, "b", PickReason::Kept),
        moving(5, "b", "c", PickReason::Better { percent: 32 }),
    ]);
    let moves = ["3: a to b, left-ejected", "5: b to c, better"];
    assert_eq!(told(&summary), moves);
    let why = &summary.moves.first().unwrap().why;
    assert_eq!(why.failure.as_deref(), Some("wrong-media"));
}

#[test]
fn a_segment_that_goes_elsewhere_while_the_home_is_kept_is_no_move() {
    let around = of(vec![
        simple("live/a", 1, "a", PickReason::Kept),
        simple("live/a", 2, "b", PickReason::Trial),
        simple("live/a", 3, "c", PickReason::Left(Left::Full)),
        simple("live/a", 4, "a", PickReason::Kept),
    ]);
    assert_eq!(told(&around), [""; 0]);
}

#[test]
fn the_reason_is_about_the_home_and_not_about_where_the_last_segment_went() {
    let elsewhere = PickReason::Left(Left::Failed);
    let summary = of(vec![
        simple("live/a", 1, "a", PickReason::Kept),
        simple("live/a", 2, "b", elsewhere),
        moving(3, "a", "c", EJECTED),
    ]);
    assert_eq!(told(&summary), ["3: a to c, left-ejected"]);
}

#[test]
fn a_move_within_a_segment_is_that_segment_s() {
    let connect = FailureKind::Connect;
    let left = PickReason::Left(Left::Ejected(connect));
    let dead = vec![
        (0, sent(1, "a", Cause::First, PickReason::Kept)),
        (3, ended(1, "a", 3, Ending::Failed(connect))),
        (3, moved(2, Some("a"), "b", Cause::Retry(connect), left)),
        (700, rendition(2, 0)),
        (700, rendition(2, 1)),
    ];
    let summary = of(vec![
        simple("live/a", 1, "a", PickReason::Kept),
        record("live/a", 2, dead),
        simple("live/a", 3, "b", PickReason::Kept),
    ]);
    assert_eq!(told(&summary), ["2: a to b, left-ejected"]);
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
            moved(
                2,
                Some("a"),
                "b",
                Cause::Refused,
                PickReason::Left(Left::Blocked),
            ),
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
