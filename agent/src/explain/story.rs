//! A stream in words: its figures, its moves between nodes, and its segments, a line each.

use rackcast_service::explain::{Answer, End, Outcome, Segment, Story, Streams, What};

use super::text::{clock, count, date, did, length, name, node, table};

/// The most segments that are told without being asked for.
const NOTABLE: usize = 12;

/// The streams that an ingest can explain.
pub(super) fn streams(answer: &Answer<Streams>) -> String {
    let list = &answer.content;
    if list.streams.is_empty() {
        return format!("{}: no stream\n", answer.ingest.id);
    }
    let rows = list.streams.iter().map(|stream| {
        vec![
            stream.stream.clone(),
            stream.segments.to_string(),
            stream.last.to_string(),
            clock(stream.last_at_ms),
            stream.node.as_ref().map(node).unwrap_or_default(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let mut text = format!("{}\n", answer.ingest.id);
    text += &table(
        &["STREAM", "SEGMENTS", "LAST", "CUT (UTC)", "SENT TO"],
        &rows,
    );
    text + &omitted(list.omitted, "stream", "streams")
}

/// The figures, the moves, and the newest segments of which there is something to tell.
pub(super) fn notable(answer: &Answer<Story>) -> String {
    let segments = &answer.content.segments;
    let notable: Vec<_> = segments.iter().filter(|s| !notes(s).is_empty()).collect();
    let shown = notable.len().min(NOTABLE);
    let newest = notable.get(notable.len() - shown..).unwrap_or_default();
    let title = match (notable.len(), shown) {
        (0, _) => {
            let all = count(count_of(segments), "segment", "segments");
            return format!("{}{all}: nothing out of the ordinary\n", head(answer));
        }
        (all, shown) if all == shown => "Out of the ordinary".to_owned(),
        (all, shown) => format!("Out of the ordinary, the last {shown} of {all}"),
    };
    format!("{}{title}\n{}", head(answer), rows(newest))
}

/// The figures, the moves, and the segments that were asked for.
pub(super) fn last(answer: &Answer<Story>) -> String {
    let story = &answer.content;
    let segments: Vec<_> = story.segments.iter().collect();
    format!(
        "{}Segments\n{}{}",
        head(answer),
        rows(&segments),
        omitted(story.omitted, "older segment", "older segments")
    )
}

fn omitted(n: u64, one: &str, many: &str) -> String {
    match n {
        0 => String::new(),
        n => format!(
            "  {} left out: the answer has no room\n",
            count(n, one, many)
        ),
    }
}

fn count_of<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn head(answer: &Answer<Story>) -> String {
    let (story, s) = (&answer.content, &answer.content.summary);
    let mut text = format!(
        "{} on {}: segments {} to {}\n  cut from {} to {}\n",
        story.stream,
        answer.ingest.id,
        s.first,
        s.last,
        date(s.first_at_ms),
        date(s.last_at_ms),
    );
    text += &format!(
        "  {}: {} complete, {} in part, {} not at all, {} asked for less than the ladder\n",
        count(s.segments, "segment", "segments"),
        s.complete,
        s.partial,
        s.none,
        s.reduced
    );
    text += &format!(
        "  {}, {}, {}, {}\n",
        count(s.submissions, "submission", "submissions"),
        count(s.refusals, "refusal", "refusals"),
        count(s.hedges, "hedge", "hedges"),
        count(s.defects, "wrong rendition", "wrong renditions"),
    );
    if s.moves.is_empty() {
        return text + "  It never moved to another node\n";
    }
    let rows = s.moves.iter().map(|m| {
        vec![
            m.segment.to_string(),
            clock(m.at_ms),
            node(&m.from),
            node(&m.to),
            m.why.text.clone(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    text += "Moves\n";
    text += &omitted(s.moves_omitted, "older move", "older moves");
    text + &table(&["SEGMENT", "CUT (UTC)", "FROM", "TO", "WHY"], &rows)
}

fn rows(segments: &[&Segment]) -> String {
    let rows = segments.iter().map(|segment| {
        let first = segment.steps.iter().find_map(|step| match &step.what {
            What::Sent {
                node: to,
                predicted_ms,
                ..
            } => Some((name(to).to_owned(), length(*predicted_ms))),
            _ => None,
        });
        let (to, predicted) = first.unwrap_or_default();
        let outcome = match segment.outcome {
            Outcome::Complete => "complete",
            Outcome::Partial => "in part",
            Outcome::None => "nothing",
        };
        let notes = notes(segment);
        vec![
            segment.segment.to_string(),
            clock(segment.began_at_ms),
            to,
            predicted,
            segment.turnaround_ms.map(length).unwrap_or_default(),
            outcome.to_owned(),
            match notes.as_slice() {
                [] => "kept".to_owned(),
                notes => notes.join("; "),
            },
        ]
    });
    let rows: Vec<_> = rows.collect();
    let head = [
        "SEGMENT",
        "CUT (UTC)",
        "SENT TO",
        "PREDICTED",
        "TOOK",
        "CAME",
        "WHAT",
    ];
    table(&head, &rows)
}

/// Everything about a segment that is not as always.
fn notes(segment: &Segment) -> Vec<String> {
    segment
        .steps
        .iter()
        .filter_map(|step| note(segment, &step.what))
        .collect()
}

fn note(segment: &Segment, what: &What) -> Option<String> {
    Some(match what {
        What::Sent { cause, why, .. } if cause.code == "first" => {
            return (why.code != "kept").then(|| why.text.clone());
        }
        What::Sent {
            attempt,
            node: to,
            cause,
            ..
        } => {
            let to = name(to);
            let won = match won(segment, *attempt) {
                true => "which won",
                false => "in vain",
            };
            match cause.code.as_str() {
                "hedge" => format!("{to} beside it, {won}"),
                "copy" => format!("a copy to {to}, {won}"),
                "overtake" => format!("overdue, so to {to}, {won}"),
                "second-opinion" => format!("{to} asked to confirm"),
                _ => format!("then to {to}"),
            }
        }
        What::Reduced { why, .. } | What::Circuit { why } => why.text.clone(),
        What::Waiting { why } => format!("waited: {}", why.text),
        What::Refused { node: by, code, .. } => format!("{} refused it ({code})", name(by)),
        What::Claimed { node: by, code, .. } => format!("{} blamed it ({code})", name(by)),
        What::Failed { node: by, why, .. } => format!("{} {}", name(by), did(why)),
        What::NotHedged { why } => format!("nobody beside it: {}", why.text),
        What::Contradicted { node: by } => format!("{} blamed it wrongly", name(by)),
        What::Standing { node: of, why } => format!("{} {}", name(of), why.code),
        What::GaveUp { renditions, why } => {
            format!("no {}: {}", renditions.join(", "), why.text)
        }
        // That of two one is cancelled, and all are at the end, goes without saying.
        What::Cancelled { why, .. } if why.code == "abandoned" => why.text.clone(),
        What::Cancelled { .. } | What::Rendition { .. } | What::Complete { .. } | What::Other => {
            return None;
        }
    })
}

/// Whether anything that players got is this submission's.
fn won(segment: &Segment, wanted: u32) -> bool {
    let is_its = |end: &End| matches!(end, End::Ready { attempt, .. } if *attempt == wanted);
    segment.renditions.iter().any(|r| is_its(&r.end))
}
