//! One segment in words: every step, then what came of it.

use rackcast_service::explain::{Answer, End, Outcome, Segment, Step, Story, What};

use super::text::{count, date, did, length, name, node, seconds};

/// All segments of an answer, as a rule one.
pub(super) fn all(answer: &Answer<Story>) -> String {
    let segments = answer.content.segments.iter();
    let told = segments.map(|segment| one(answer, segment));
    told.collect::<Vec<_>>().join("\n")
}

fn one(answer: &Answer<Story>, segment: &Segment) -> String {
    let mut text = format!(
        "Segment {} of {}, epoch {}, on {}\n  cut at {}, {} of media, {} kB, due {} later\n",
        segment.segment,
        answer.content.stream,
        segment.epoch,
        answer.ingest.id,
        date(segment.began_at_ms),
        seconds(segment.media_ms),
        segment.input_bytes.div_ceil(1000),
        seconds(segment.deadline_ms),
    );
    for (i, step) in segment.steps.iter().enumerate() {
        if segment.steps_omitted > 0 && i + 1 == segment.steps.len() {
            let steps = count(segment.steps_omitted, "step", "steps");
            text.push_str(&format!("            ({steps} not recorded)\n"));
        }
        let mut lines = lines(segment, step).into_iter();
        let first = lines.next().unwrap_or_default();
        text.push_str(&format!("{:>10}  {first}\n", length(step.at_ms)));
        for line in lines {
            text.push_str(&format!("{:>10}    {line}\n", ""));
        }
    }
    for rendition in &segment.renditions {
        text.push_str(&format!(
            "  {}: {}\n",
            rendition.name,
            end(segment, &rendition.end)
        ));
    }
    text.push_str(&format!("  {}\n", verdict(segment)));
    text
}

fn end(segment: &Segment, end: &End) -> String {
    match end {
        End::Ready { attempt, after_ms } => {
            let from = sent_to(segment, *attempt).map(|(from, _)| format!(", from {from}"));
            format!(
                "there after {}{}",
                length(*after_ms),
                from.unwrap_or_default()
            )
        }
        End::Missing { why } => format!("a gap: {}", why.text),
        End::LeftOut { why } => format!("not asked for: {}", why.text),
        End::Other => "a newer rackcast knows what became of it".to_owned(),
    }
}

fn verdict(segment: &Segment) -> String {
    let submissions = count(segment.submissions, "submission", "submissions");
    match segment.outcome {
        Outcome::Complete => {}
        Outcome::Partial => return format!("not all came; {submissions}"),
        Outcome::None => return format!("nothing came; {submissions}"),
    }
    let after = segment.turnaround_ms.unwrap_or(0);
    let spare = match segment.deadline_ms.checked_sub(after) {
        Some(spare) => format!("{} before its deadline", seconds(spare)),
        None => "after its deadline".to_owned(),
    };
    format!("complete after {}, {spare}; {submissions}", length(after))
}

/// To which node a submission went, and how long it should have taken.
fn sent_to(segment: &Segment, wanted: u32) -> Option<(&str, u64)> {
    segment.steps.iter().find_map(|step| match &step.what {
        What::Sent {
            attempt,
            node: to,
            predicted_ms,
            ..
        } if *attempt == wanted => Some((name(to), *predicted_ms)),
        _ => None,
    })
}

/// A step in words; further lines belong to the first.
fn lines(segment: &Segment, step: &Step) -> Vec<String> {
    let line = match &step.what {
        What::Reduced { renditions, why } => match renditions.as_slice() {
            [] => format!("nothing is asked for: {}", why.text),
            some => format!("only {} asked for: {}", some.join(", "), why.text),
        },
        What::Sent { .. } => return sent(segment, &step.what),
        What::Waiting { why } => format!("waits: {}", why.text),
        What::Rendition {
            attempt,
            rendition,
            counted,
        } => {
            let from = sent_to(segment, *attempt).map(|(from, _)| format!(" from {from}"));
            let late = if *counted {
                ""
            } else {
                ", not the first: dropped"
            };
            format!("{rendition} came{}{late}", from.unwrap_or_default())
        }
        What::Complete {
            attempt,
            node: by,
            took_ms,
            queue_ms,
            work_ms,
        } => {
            let mut line = format!("{} is done after {}", name(by), length(*took_ms));
            if let Some((_, predicted)) = sent_to(segment, *attempt) {
                line.push_str(&format!(", {} predicted", length(predicted)));
            }
            if let (Some(queue), Some(work)) = (queue_ms, work_ms) {
                let (queue, work) = (length(*queue), length(*work));
                line.push_str(&format!("; it says {queue} in its queue, {work} at work"));
            }
            line
        }
        What::Refused {
            node: by,
            code,
            retry_after_ms,
            ..
        } => {
            let after = retry_after_ms.map(|ms| format!(", leave it alone for {}", length(ms)));
            format!(
                "{} refused it: {code}{}",
                name(by),
                after.unwrap_or_default()
            )
        }
        What::Claimed { node: by, code, .. } => {
            format!("{} blames the segment: {code}", name(by))
        }
        What::Failed {
            node: by,
            why,
            took_ms,
            detail,
            ..
        } => {
            let detail = detail.as_ref().map(|detail| format!(" ({detail})"));
            let detail = detail.unwrap_or_default();
            let (by, did) = (name(by), did(why));
            format!("{by} {did}{detail}, after {}", length(*took_ms))
        }
        What::Cancelled {
            node: by,
            why,
            took_ms,
            ..
        } => format!(
            "the request to {} is cancelled after {}: {}",
            name(by),
            length(*took_ms),
            why.text
        ),
        What::NotHedged { why } => format!("no second submission beside it: {}", why.text),
        What::Contradicted { node: by } => {
            format!("{} blamed the segment wrongly", name(by))
        }
        What::Standing { node: of, why } => format!("{}: {}", name(of), why.text),
        What::GaveUp { renditions, why } => {
            format!("{} given up: {}", renditions.join(", "), why.text)
        }
        What::Circuit { why } => format!("the stream: {}", why.text),
        What::Other => "something that a newer rackcast knows".to_owned(),
    };
    vec![line]
}

fn sent(segment: &Segment, what: &What) -> Vec<String> {
    let What::Sent {
        node: to,
        cause,
        why,
        predicted_ms,
        renditions,
        alternatives,
        ..
    } = what
    else {
        return Vec::new();
    };
    let part = match renditions.len() < segment.renditions.len() {
        true => format!(" ({} only)", renditions.join(", ")),
        false => String::new(),
    };
    let predicted = length(*predicted_ms);
    let mut lines = vec![format!("sent to {}{part}, {predicted} predicted", node(to))];
    if cause.code != "first" {
        lines.push(format!("because {}", cause.text));
    }
    lines.push(format!("this node: {}", why.text));
    if !alternatives.is_empty() {
        let others = alternatives.iter();
        let others = others.map(|a| format!("{} {}", node(&a.node), length(a.predicted_ms)));
        lines.push(format!("others: {}", others.collect::<Vec<_>>().join(", ")));
    }
    lines
}
