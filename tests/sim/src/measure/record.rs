use crate::policy::{Asked, Submission};
use crate::time::Time;
use crate::world::Episode;

/// No node.
pub(crate) const NOBODY: u32 = u32::MAX;

/// A segment, from its cut to what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) stream: u32,
    pub(crate) cut: Time,
    pub(crate) deadline: Time,
    /// A bit for each rendition of the ladder, the top rung's the lowest.
    pub(crate) ladder: u16,
    pub(crate) asked: u16,
    pub(crate) on_time: u16,
    pub(crate) came: u16,
    /// When the last of what was asked came.
    pub(crate) complete: Time,
    /// Output pixels of the ladder and of what was asked.
    pub(crate) work: u64,
    pub(crate) work_asked: u64,
    /// Where it was first submitted.
    pub(crate) node: u32,
    /// Distinct nodes that were given it, at most three told apart.
    nodes: [u32; 3],
    pub(crate) submissions: u32,
    pub(crate) refusals: u32,
    pub(crate) poison: bool,
    /// It was not sent, since its stream keeps failing.
    pub(crate) withheld: bool,
}

impl Taken {
    pub(crate) fn new(
        stream: u32,
        cut: Time,
        deadline: Time,
        asked: Asked,
        works: &[u64],
        poison: bool,
    ) -> Self {
        let of = |set: u16| {
            let works = works.iter().enumerate();
            works
                .filter(|(i, _)| set & (1 << i) != 0)
                .map(|(_, w)| w)
                .sum()
        };
        let ladder = u16::MAX >> 16usize.saturating_sub(works.len());
        Self {
            stream,
            cut,
            deadline,
            ladder,
            asked: asked.renditions,
            on_time: 0,
            came: 0,
            complete: Time::NEVER,
            work: of(ladder),
            work_asked: of(asked.renditions),
            node: NOBODY,
            nodes: [NOBODY; 3],
            submissions: 0,
            refusals: 0,
            poison,
            withheld: asked.withheld,
        }
    }

    pub(crate) fn is_on_time(&self) -> bool {
        self.on_time & self.asked == self.asked
    }

    /// From the cut until everything asked was there; what never came counts as its deadline,
    /// so that a policy gains nothing by losing what is slow.
    pub(crate) fn turnaround(&self) -> f64 {
        let most = self.deadline.since(self.cut).as_secs_f64();
        match self.complete {
            Time::NEVER => most,
            at => at.since(self.cut).as_secs_f64(),
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes.iter().filter(|n| **n != NOBODY).count()
    }

    pub(crate) fn lowest_rung(&self) -> u16 {
        self.ladder ^ (self.ladder >> 1)
    }
}

/// A submission: a request whose body was admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) at: Time,
    pub(crate) segment: u32,
    pub(crate) ingest: u32,
    pub(crate) node: u32,
    /// Which of its segment's submissions this is.
    pub(crate) number: u32,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) segments: Vec<Taken>,
    pub(crate) sent: Vec<Sent>,
    /// Each fault as a whole.
    pub(crate) faults: Vec<Episode>,
    /// What was decided for each segment, if that is to be told.
    pub(crate) stories: Vec<Story>,
    pub(crate) tells: bool,
}

/// What was decided for a segment.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) lost: bool,
    pub(crate) slow: bool,
    pub(crate) stream: u32,
    pub(crate) cut: Time,
    pub(crate) steps: Vec<String>,
}

/// A segment that takes a larger part of its time than this is slow.
const SLOW: f64 = 0.33;

impl Record {
    pub(crate) fn new(faults: Vec<Episode>) -> Self {
        Self {
            segments: Vec::new(),
            sent: Vec::new(),
            faults,
            stories: Vec::new(),
            tells: false,
        }
    }

    pub(crate) fn cut(&mut self, segment: Taken) {
        self.segments.push(segment);
    }

    pub(crate) fn came(&mut self, segment: u32, rendition: u8, now: Time) {
        let s = &mut self.segments[segment as usize];
        s.came |= 1 << rendition;
        if now <= s.deadline {
            s.on_time |= 1 << rendition;
        }
        if s.came & s.asked == s.asked {
            s.complete = s.complete.min(now);
        }
    }

    /// A segment's plan is over.
    pub(crate) fn ended(&mut self, segment: u32, story: impl Fn() -> Vec<String>) {
        let s = &self.segments[segment as usize];
        if !self.tells || s.poison {
            return;
        }
        let most = s.deadline.since(s.cut).as_secs_f64();
        self.stories.push(Story {
            lost: !s.is_on_time(),
            slow: s.turnaround() > SLOW * most,
            stream: s.stream,
            cut: s.cut,
            steps: story(),
        });
    }

    pub(crate) fn submitted(&mut self, sent: Sent) {
        self.sent.push(sent);
    }

    pub(crate) fn refused(&mut self, segment: u32) {
        self.segments[segment as usize].refusals += 1;
    }

    /// Puts the submissions in the order in which they were sent, and tells each segment of its
    /// own.
    pub(crate) fn close(&mut self) {
        self.sent.sort_by_key(|s| (s.at, s.number));
        for sent in &self.sent {
            let s = &mut self.segments[sent.segment as usize];
            if s.submissions == 0 {
                s.node = sent.node;
            }
            s.submissions += 1;
            let free = s
                .nodes
                .iter_mut()
                .find(|n| **n == NOBODY || **n == sent.node);
            if let Some(slot) = free {
                *slot = sent.node;
            }
        }
    }

    /// The submissions of each ingest, in order.
    pub(crate) fn by_ingest(&self) -> Vec<Vec<Submission>> {
        let mut seen = vec![false; self.segments.len()];
        let mut out: Vec<Vec<Submission>> = Vec::new();
        for sent in &self.sent {
            let ingest = sent.ingest as usize;
            if out.len() <= ingest {
                out.resize(ingest + 1, Vec::new());
            }
            let first = !std::mem::replace(&mut seen[sent.segment as usize], true);
            out[ingest].push(Submission { at: sent.at, first });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(ms: u64) -> Time {
        Time::after(Duration::from_millis(ms))
    }

    fn all(renditions: u16) -> Asked {
        Asked {
            renditions,
            withheld: false,
        }
    }

    #[test]
    fn a_segment_is_on_time_when_all_that_was_asked_is() {
        let mut r = Record::new(Vec::new());
        r.cut(Taken::new(
            0,
            at(0),
            at(3000),
            all(0b110),
            &[300, 200, 100],
            false,
        ));
        let s = &r.segments[0];
        assert_eq!((s.work, s.work_asked, s.lowest_rung()), (600, 300, 0b100));
        assert!((s.turnaround() - 3.0).abs() < 1e-9, "nothing came yet");
        r.came(0, 2, at(500));
        assert!(!r.segments[0].is_on_time());
        r.came(0, 1, at(700));
        assert!(r.segments[0].is_on_time());
        assert!((r.segments[0].turnaround() - 0.7).abs() < 1e-9);
    }

    #[test]
    fn what_comes_late_is_there_and_not_on_time() {
        let mut r = Record::new(Vec::new());
        r.cut(Taken::new(0, at(0), at(3000), all(1), &[100], false));
        r.came(0, 0, at(3001));
        assert!(!r.segments[0].is_on_time());
        assert!(r.segments[0].turnaround() > 3.0);
    }

    #[test]
    fn the_first_submission_is_the_earliest_sent() {
        let mut r = Record::new(Vec::new());
        r.cut(Taken::new(0, at(0), at(3000), all(1), &[100], false));
        for (number, ms, node) in [(2, 20, 7), (1, 10, 7), (0, 10, 5), (3, 30, 5)] {
            r.submitted(Sent {
                at: at(ms),
                segment: 0,
                ingest: 0,
                node,
                number,
            });
        }
        r.close();
        let s = &r.segments[0];
        assert_eq!((s.node, s.submissions, s.nodes()), (5, 4, 2));
        let firsts: Vec<_> = r.by_ingest()[0].iter().map(|s| s.first).collect();
        assert_eq!(firsts, [true, false, false, false]);
    }
}
