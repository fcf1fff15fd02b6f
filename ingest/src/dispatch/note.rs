//! Tells the journal what was decided, with the fields that an operator filters by.

use rackcast_route::NodeId;
use rackcast_route::degrade::Shift;
use rackcast_route::plan::{Ending, Sent, Step};
use rackcast_route::table::{Change, ZoneChange};
use rackcast_segment::id::{Sequence, StreamId};

/// Logs one step of a segment. `detail` is what is known of a failure beyond its kind.
pub(super) fn tell(stream: &StreamId, segment: Sequence, step: &Step, detail: &str) {
    let stream = stream.to_string();
    let segment = segment.0;
    match step {
        Step::Sent(sent) => submission(&stream, segment, sent),
        Step::Ended {
            node, elapsed, how, ..
        } => {
            let (reason, what) = ending(how);
            let colon = if detail.is_empty() { "" } else { ": " };
            log::info!(
                rackcast_stream = stream, rackcast_segment = segment,
                rackcast_node = node.as_str(), rackcast_reason = reason,
                rackcast_elapsed_ms = millis(*elapsed);
                "{what}{colon}{detail}");
        }
        Step::Cancelled {
            node, elapsed, why, ..
        } => log::info!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_node = node.as_str(), rackcast_reason = why.as_str(),
            rackcast_elapsed_ms = millis(*elapsed);
            "the submission is cancelled"),
        Step::Contradicted { node } => log::warn!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_node = node.as_str(), rackcast_reason = "false-claim";
            "the node blamed the segment, and another one transcoded it"),
        Step::Standing { node, change } => standing(node, *change),
        Step::GaveUp { renditions, reason } => log::info!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_reason = reason.as_str();
            "{} renditions of the segment will not come", renditions.len()),
        Step::Reduced { asked, why } => log::info!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_reason = why.as_str();
            "only {} renditions of the segment are asked for", asked.len()),
        Step::Waiting { why } => log::info!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_reason = why.as_str();
            "the segment waits"),
        Step::NotHedged { why } => log::info!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_reason = why.as_str();
            "the segment gets no second submission beside the first"),
        Step::CircuitOpened(length) => log::warn!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_reason = "circuit-open";
            "the stream's segments keep failing: it is not transcoded for {:.0} s",
            length.as_secs_f64()),
        Step::CircuitClosed => log::info!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_reason = "circuit-closed";
            "the stream is transcoded again"),
        Step::Rendition { .. } => {}
    }
}

/// Says where a segment goes and why; and from where its stream moves, if it does.
fn submission(stream: &str, segment: u64, sent: &Sent) {
    let Sent {
        number,
        node,
        cause,
        reason,
        predicted,
        alternatives,
        moved_from,
        ..
    } = sent;
    let others = alternatives.iter().flatten();
    let others: Vec<String> = others
        .map(|(node, predicted)| format!("{} {} ms", node.as_str(), millis(*predicted)))
        .collect();
    let others = others.join(", ");
    log::info!(
        rackcast_stream = stream, rackcast_segment = segment,
        rackcast_node = node.as_str(), rackcast_reason = reason.as_str(),
        rackcast_cause = cause.as_str(), rackcast_predicted_ms = millis(*predicted),
        rackcast_alternatives = others;
        "submission {number} goes to the node: {reason}");
    if let Some(home) = moved_from {
        log::info!(
            rackcast_stream = stream, rackcast_segment = segment,
            rackcast_node = node.as_str(), rackcast_reason = reason.as_str(),
            rackcast_moved_from = home.as_str();
            "the stream moves here from {home}");
    }
}

/// Says that more or less is left out of every ladder.
pub(super) fn level(shift: Shift) {
    let Shift {
        from,
        to,
        trouble,
        utilisation,
    } = shift;
    let level = if to > from {
        log::Level::Warn
    } else {
        log::Level::Info
    };
    log::log!(level, rackcast_reason = "degraded";
        "{to} rungs of every ladder are left out from now on, after {from}: {:.0} % of the \
         segments are in trouble, {:.0} % of the nodes' power is asked for",
        percent(trouble, 1.0), percent(utilisation, 10.0));
}

/// Says how a node's standing changed.
pub(crate) fn standing(node: &NodeId, change: Change) {
    match change {
        Change::Ejected { kind, length } => log::warn!(
            rackcast_node = node.as_str(), rackcast_reason = kind.as_str();
            "the node is ejected for {:.1} s", length.as_secs_f64()),
        Change::Returned => log::info!(
            rackcast_node = node.as_str(), rackcast_reason = "returned";
            "the node is back"),
    }
}

/// Says that a zone as a whole is left, or is back.
pub(super) fn zone(change: &ZoneChange) {
    let zone = change.zone.as_str();
    match change.left {
        Some(length) => log::warn!(rackcast_zone = zone, rackcast_reason = "zone-abandoned";
            "the zone is left for {:.1} s: its nodes do not answer, or too late",
            length.as_secs_f64()),
        None => log::info!(rackcast_zone = zone, rackcast_reason = "zone-back";
            "the zone is back"),
    }
}

fn ending(how: &Ending) -> (&'static str, &'static str) {
    match how {
        Ending::Complete => ("complete", "everything came"),
        Ending::Refused { code, .. } => (code, "the node pushes back"),
        Ending::Claim { code } => (code, "the node blames the segment"),
        Ending::Failed(kind) => (kind.as_str(), "the node failed"),
    }
}

/// A share as a number for a person: what no node is left to carry is not told in millions.
fn percent(share: f64, most: f64) -> f64 {
    share.min(most) * 100.0
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
