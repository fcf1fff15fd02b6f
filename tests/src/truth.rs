//! Holds what an ingest tells of its decisions against what was noted in front of the nodes.

use std::collections::{BTreeMap, BTreeSet};

use rackcast_service::explain::{End as Ended, Segment, Story, What};

use crate::explain::Told;
use crate::proxy::{Asked, End, Fault};

/// Requests by the segment and the node that they were for.
#[derive(Debug, Default)]
pub struct Notes(BTreeMap<(u64, String), Vec<Asked>>);

impl Notes {
    /// Adds one request about the stream in question.
    pub fn add(&mut self, node: &str, asked: Asked) {
        let key = (asked.job.sequence.0, node.to_owned());
        self.0.entry(key).or_default().push(asked);
    }

    /// What the story of a stream says otherwise than these notes.
    pub fn contradictions(&self, story: &Story) -> Vec<String> {
        let mut found = Vec::new();
        for segment in &story.segments {
            let nodes = segment.steps.iter().filter_map(|step| match &step.what {
                What::Sent { node, .. } => Some(node.id.clone()),
                _ => None,
            });
            let noted = self.0.keys().filter(|(n, _)| *n == segment.segment);
            let nodes: BTreeSet<String> =
                nodes.chain(noted.map(|(_, node)| node.clone())).collect();
            for node in nodes {
                let noted = self.0.get(&(segment.segment, node.clone()));
                let noted = noted.map_or(&[][..], Vec::as_slice);
                if let Err(why) = agrees(segment, &node, noted) {
                    found.push(format!("segment {}, {node}: {why}", segment.segment));
                }
            }
        }
        let known: BTreeSet<u64> = story.segments.iter().map(|s| s.segment).collect();
        let range = story.summary.first..=story.summary.last;
        let untold = self
            .0
            .keys()
            .filter(|(n, _)| range.contains(n) && !known.contains(n));
        found.extend(untold.map(|(n, node)| format!("segment {n}, {node}: it is not told of")));
        found
    }
}

fn agrees(segment: &Segment, node: &str, noted: &[Asked]) -> Result<(), String> {
    let ends = segment.ends_at(node);
    let differs = |what: &str| {
        let noted: Vec<_> = noted.iter().map(|a| (a.fault, a.end)).collect();
        Err(format!("{what}: told are {ends:?}, noted {noted:?}"))
    };
    let sent = segment
        .steps
        .iter()
        .filter(|step| matches!(&step.what, What::Sent { node: to, .. } if to.id == node));
    // A request that failed to connect or was cancelled soon may not have come to the node.
    let unsure = ends.iter().filter(|end| {
        matches!(end.as_str(), "failed:connect" | "failed:broken") || end.starts_with("cancelled")
    });
    let (sent, unsure) = (sent.count(), unsure.count());
    if sent != ends.len() {
        return differs("not every request has an end");
    }
    if !(sent - unsure..=sent).contains(&noted.len()) {
        return differs("requests are missing");
    }
    let spoilt = noted
        .iter()
        .filter(|a| matches!(a.fault, Fault::Rot | Fault::Swap));
    if spoilt.count() == noted.len() && !noted.is_empty() {
        let taken = segment.renditions.iter().filter(|r| {
            matches!(r.end, Ended::Ready { .. }) && segment.ready_from(&r.name) == Some(node)
        });
        if taken.count() > 0 {
            return differs("its media were spoilt, and published");
        }
    }
    // In whatever order requests to one node ended, each needs an end that fits.
    let mut left = ends.clone();
    for asked in noted {
        let fits = |end: &String| {
            let (how, code) = end.split_once(':').unwrap_or((end, ""));
            match (asked.fault, asked.end) {
                (_, End::Status(429 | 503)) => matches!(how, "refused" | "cancelled"),
                (Fault::Rot | Fault::Swap, _) => {
                    (how, code) == ("failed", "wrong-media") || how == "cancelled"
                }
                (_, End::Complete { .. }) => {
                    matches!(how, "complete" | "cancelled")
                        || (how, code) == ("failed", "timed-out")
                }
                (_, End::Open | End::GivenUp) => matches!(how, "cancelled" | "failed"),
                (_, End::Status(_)) => matches!(how, "claimed" | "failed" | "cancelled"),
                (_, End::Broken | End::Unreachable) => matches!(how, "failed" | "cancelled"),
            }
        };
        match left.iter().position(fits) {
            Some(i) => left.remove(i),
            None => return differs("an end that was otherwise"),
        };
    }
    Ok(())
}
