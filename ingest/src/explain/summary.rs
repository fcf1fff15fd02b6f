//! A stream's segments taken together: figures, and its moves between nodes.

use std::sync::Arc;

use rackcast_route::NodeId;
use rackcast_route::plan::{Cause, Ending, Sent, Step};
use rackcast_route::table::{FailureKind, PickReason};
use rackcast_service::explain::{Move, Outcome, Summary};

use super::record::Record;
use super::story::unix_ms;
use super::words;
use super::zones::Zones;

/// The newest moves that are told.
const MAX_MOVES: usize = 50;

/// Everything that is remembered of one stream, its records in order.
pub(super) fn summary(records: &[Arc<Record>], zones: &Zones) -> Summary {
    let mut moves = moves(records, zones);
    let omitted = moves.len().saturating_sub(MAX_MOVES);
    let mut summary = Summary {
        segments: count(records.len()),
        first: records.first().map_or(0, |r| r.sequence.0),
        last: records.last().map_or(0, |r| r.sequence.0),
        first_at_ms: records.first().map_or(0, |r| unix_ms(r.began)),
        last_at_ms: records.last().map_or(0, |r| unix_ms(r.began)),
        moves: moves.split_off(omitted),
        moves_omitted: count(omitted),
        ..Summary::default()
    };
    for record in records {
        match record.outcome() {
            Outcome::Complete => summary.complete += 1,
            Outcome::Partial => summary.partial += 1,
            Outcome::None => summary.none += 1,
        }
        summary.submissions += record.submissions();
        summary.refusals += record.refusals();
        for entry in record.trail.entries() {
            match &entry.step {
                Step::Reduced { .. } => summary.reduced += 1,
                Step::Sent(Sent {
                    cause: Cause::Hedge,
                    ..
                }) => summary.hedges += 1,
                Step::Ended {
                    how: Ending::Failed(FailureKind::WrongMedia),
                    ..
                } => summary.defects += 1,
                _ => {}
            }
        }
    }
    summary
}

/// Where a stream's segments went, submission by submission. Those that a node had before, and
/// copies, follow other rules and tell nothing of the stream's home.
fn placements(records: &[Arc<Record>]) -> impl Iterator<Item = (&Record, &Sent)> {
    records.iter().flat_map(|record| {
        let places = |sent: &&Sent| {
            let cause = sent.cause;
            sent.number <= 1 && matches!(cause, Cause::First | Cause::Refused | Cause::Retry(_))
        };
        record
            .sent()
            .filter(places)
            .map(move |sent| (&**record, sent))
    })
}

/// A node that got a segment to see how it does is not where the stream went, unless the next
/// segment goes there too. And a node that is kept was the home all along: what went elsewhere
/// in between was no move.
fn moves(records: &[Arc<Record>], zones: &Zones) -> Vec<Move> {
    let mut moves: Vec<(&Record, &NodeId, &Sent)> = Vec::new();
    let mut home: Option<&NodeId> = None;
    let mut tried: Option<(&Record, &Sent)> = None;
    for (record, sent) in placements(records) {
        let stayed = tried.take().filter(|(_, first)| first.node == sent.node);
        let Some(from) = home.filter(|home| **home != sent.node) else {
            home = Some(&sent.node);
            continue;
        };
        if stayed.is_none() && matches!(sent.reason, PickReason::Trial | PickReason::Unmeasured) {
            tried = Some((record, sent));
            continue;
        }
        home = Some(&sent.node);
        let back = |(_, left, _): &(&Record, &NodeId, &Sent)| **left == sent.node;
        if sent.reason == PickReason::Kept && moves.last().is_some_and(back) {
            moves.pop();
            continue;
        }
        let (record, first) = stayed.unwrap_or((record, sent));
        moves.push((record, from, first));
    }
    let told = moves.into_iter().map(|(record, from, first)| Move {
        segment: record.sequence.0,
        at_ms: unix_ms(record.began),
        from: zones.node(from),
        to: zones.node(&first.node),
        why: words::pick(first.reason),
    });
    told.collect()
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
