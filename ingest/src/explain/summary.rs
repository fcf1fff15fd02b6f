//! A stream's segments taken together: figures, and its moves between nodes.

use std::sync::Arc;

use rackcast_route::plan::{Cause, Ending, Sent, Step};
use rackcast_route::table::FailureKind;
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

/// When the stream's home became another node. A segment that goes elsewhere while its home is
/// kept, to see how a node does or since the home cannot have just this one, is no move.
fn moves(records: &[Arc<Record>], zones: &Zones) -> Vec<Move> {
    let moved = records.iter().flat_map(|record| {
        let sent = record.sent();
        sent.filter_map(move |sent| Some((record, sent, sent.moved_from.as_ref()?)))
    });
    let told = moved.map(|(record, sent, from)| Move {
        segment: record.sequence.0,
        at_ms: unix_ms(record.began),
        from: zones.node(from),
        to: zones.node(&sent.node),
        why: words::pick(sent.reason),
    });
    told.collect()
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
