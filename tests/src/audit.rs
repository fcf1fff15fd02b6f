//! What the proxies saw, held against what was promised.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::proxy::Asked;

/// Submissions of one fleet, in the order in which they came.
#[derive(Debug)]
pub struct Submissions(Vec<Submission>);

#[derive(Debug)]
struct Submission {
    at: Instant,
    /// The segment's first.
    first: bool,
}

impl Submissions {
    /// Those among these requests; each comes with what the network in front of its node takes.
    pub fn new(asked: impl IntoIterator<Item = (Asked, Duration)>) -> Self {
        let admitted = asked.into_iter().filter(|(asked, _)| asked.admitted());
        let mut all: Vec<_> = admitted
            .map(|(asked, latency)| {
                let segment = (asked.job.stream.to_string(), asked.job.sequence.0);
                (asked.at - latency, segment)
            })
            .collect();
        all.sort();
        let mut seen = BTreeMap::new();
        let note = |(at, segment)| Submission {
            at,
            first: seen.insert(segment, ()).is_none(),
        };
        Self(all.into_iter().map(note).collect())
    }

    /// How many there were, and how many segments.
    pub fn counts(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().filter(|s| s.first).count())
    }

    /// Windows of at least a second with more than 1.1 submissions for each segment that was
    /// first submitted in them, and one a second.
    ///
    /// The ingest decides a little before a proxy sees: where a window's ends are in doubt by
    /// that much, it is given the benefit.
    pub fn excesses(&self, doubt: Duration) -> Vec<String> {
        let mut excesses = Vec::new();
        for from in &self.0 {
            for to in self.0.iter().filter(|to| to.at >= from.at) {
                let length = (to.at - from.at).max(Duration::from_secs(1));
                let end = from.at + length;
                let all = self.0.iter().filter(|s| (from.at..=end).contains(&s.at));
                let wide = from.at - doubt..=end + doubt;
                let firsts = self.0.iter().filter(|s| s.first && wide.contains(&s.at));
                let (all, firsts) = (all.count(), firsts.count());
                let bound = 1.1 * firsts as f64 + (length + doubt).as_secs_f64();
                if all as f64 > bound {
                    excesses.push(format!(
                        "{all} submissions of {firsts} segments within {length:?}: at most {bound:.1}"
                    ));
                }
            }
        }
        excesses
    }
}
