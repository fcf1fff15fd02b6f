//! From a record to what an answer says of its segment.

use std::time::{Duration, SystemTime};

use rackcast_route::plan::{AttemptId, CancelReason, Ending, Renditions, Sent, Step as Taken};
use rackcast_route::table::{FailureKind, Timing};
use rackcast_service::explain::{Alternative, End, Node, Outcome, Rendition, Segment, Step, What};

use super::record::{About, Record};
use super::words;
use super::zones::Zones;

/// All that is known of a segment.
pub(super) fn segment(record: &Record, zones: &Zones) -> Segment {
    let steps = record.trail.entries().iter().map(|entry| Step {
        at_ms: ms(entry.at),
        what: what(record, &entry.step, zones),
    });
    Segment {
        epoch: record.epoch.0,
        segment: record.sequence.0,
        began_at_ms: unix_ms(record.began),
        media_ms: ms(record.media),
        deadline_ms: ms(record.deadline),
        input_bytes: record.input_bytes,
        outcome: record.outcome(),
        turnaround_ms: record.turnaround().map(ms),
        submissions: record.submissions(),
        renditions: renditions(record),
        steps: steps.collect(),
        steps_omitted: record.trail.left_out().into(),
    }
}

fn what(record: &Record, step: &Taken, zones: &Zones) -> What {
    let node = |id| zones.node(id);
    match step {
        Taken::Reduced { asked, why } => What::Reduced {
            renditions: record.names(*asked),
            why: words::reduction(*why),
        },
        Taken::Sent(sent) => self::sent(record, sent, zones),
        Taken::Waiting { why } => What::Waiting {
            why: words::wait(*why),
        },
        Taken::Rendition {
            attempt,
            index,
            counted,
        } => What::Rendition {
            attempt: attempt.0,
            rendition: record.names(Renditions::only(*index)).concat(),
            counted: *counted,
        },
        Taken::Ended {
            attempt,
            node: id,
            elapsed,
            how,
        } => ended(record, *attempt, node(id), ms(*elapsed), *how),
        Taken::Cancelled {
            attempt,
            node: id,
            elapsed,
            why,
        } => What::Cancelled {
            attempt: attempt.0,
            node: node(id),
            why: words::cancel(*why),
            took_ms: ms(*elapsed),
        },
        Taken::NotHedged { why } => What::NotHedged {
            why: words::not_hedged(*why),
        },
        Taken::Contradicted { node: id } => What::Contradicted { node: node(id) },
        Taken::Standing { node: id, change } => What::Standing {
            node: node(id),
            why: words::change(*change),
        },
        Taken::GaveUp { renditions, reason } => What::GaveUp {
            renditions: record.names(*renditions),
            why: words::give_up(*reason),
        },
        Taken::CircuitOpened(length) => What::Circuit {
            why: words::circuit_opened(*length),
        },
        Taken::CircuitClosed => What::Circuit {
            why: words::circuit_closed(),
        },
    }
}

fn sent(record: &Record, sent: &Sent, zones: &Zones) -> What {
    let alternatives = sent.alternatives.iter().flatten();
    let alternatives = alternatives.map(|(id, predicted)| Alternative {
        node: zones.node(id),
        predicted_ms: ms(*predicted),
    });
    What::Sent {
        attempt: sent.attempt.0,
        node: zones.node(&sent.node),
        cause: words::cause(sent.cause),
        why: words::pick(sent.reason),
        predicted_ms: ms(sent.predicted),
        renditions: record.names(sent.renditions),
        alternatives: alternatives.collect(),
    }
}

fn ended(record: &Record, attempt: AttemptId, node: Node, took_ms: u64, how: Ending) -> What {
    let number = attempt.0;
    match how {
        Ending::Complete => {
            let timing = record.timing(attempt);
            What::Complete {
                attempt: number,
                node,
                took_ms,
                queue_ms: timing.map(|t| ms(t.queue)),
                work_ms: timing.map(|t| ms(t.work)),
            }
        }
        Ending::Refused { code, retry_after } => What::Refused {
            attempt: number,
            node,
            code: code.to_owned(),
            retry_after_ms: retry_after.map(ms),
        },
        Ending::Claim { code } => What::Claimed {
            attempt: number,
            node,
            code: code.to_owned(),
        },
        Ending::Failed(kind) => What::Failed {
            attempt: number,
            node,
            why: words::failure(kind),
            took_ms,
            detail: record.detail(attempt).map(str::to_owned),
        },
    }
}

/// The whole ladder, with what became of each rung.
fn renditions(record: &Record) -> Vec<Rendition> {
    let rungs = record.ladder.iter().zip(0u8..);
    rungs
        .map(|(rung, index)| Rendition {
            name: rung.name.as_str().to_owned(),
            pixels: rung.pixels,
            end: end(record, index),
        })
        .collect()
}

fn end(record: &Record, index: u8) -> End {
    if let Some((_, attempt, at)) = record.ready().find(|(i, ..)| *i == index) {
        return End::Ready {
            attempt: attempt.0,
            after_ms: ms(at),
        };
    }
    let steps = || record.trail.entries().iter().map(|e| &e.step);
    let reduced = steps().find_map(|step| match step {
        Taken::Reduced { asked, why } if !asked.contains(index) => Some(*why),
        _ => None,
    });
    if let Some(reduced) = reduced {
        let why = words::reduction(reduced);
        return End::LeftOut { why };
    }
    let why = steps().find_map(|step| match step {
        Taken::GaveUp { renditions, reason } if renditions.contains(index) => {
            Some(words::give_up(*reason))
        }
        Taken::Cancelled {
            why: why @ CancelReason::Abandoned,
            ..
        } => Some(words::cancel(*why)),
        _ => None,
    });
    End::Missing {
        why: why.unwrap_or_else(words::unknown),
    }
}

/// Nothing that is told here lasts for as long as a `u64` of milliseconds.
pub(super) fn ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// A clock before 1970 is told as 1970.
pub(super) fn unix_ms(at: SystemTime) -> u64 {
    ms(at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default())
}

impl Record {
    /// Renditions that players got, with the submission each came from and when.
    fn ready(&self) -> impl Iterator<Item = (u8, AttemptId, Duration)> {
        self.trail.entries().iter().filter_map(|e| match e.step {
            Taken::Rendition {
                attempt,
                index,
                counted: true,
            } => Some((index, attempt, e.at)),
            _ => None,
        })
    }

    /// How the segment ended.
    pub(super) fn outcome(&self) -> Outcome {
        let ready: Renditions = self.ready().map(|(index, ..)| index).collect();
        if ready.is_empty() {
            Outcome::None
        } else if ready.contains_all(self.asked) {
            Outcome::Complete
        } else {
            Outcome::Partial
        }
    }

    /// When the last rendition came.
    fn turnaround(&self) -> Option<Duration> {
        self.ready().map(|(.., at)| at).max()
    }

    /// Requests whose body a node took: all but those that were pushed back or reached nobody.
    pub(super) fn submissions(&self) -> u64 {
        let pushed_back = self.refusals();
        let sent = u64::try_from(self.sent().count()).unwrap_or(u64::MAX);
        sent.saturating_sub(pushed_back)
    }

    /// Requests that were pushed back, or reached no node.
    pub(super) fn refusals(&self) -> u64 {
        let refused = self.trail.entries().iter().filter(|e| match &e.step {
            Taken::Ended { how, .. } => matches!(
                how,
                Ending::Refused { .. } | Ending::Failed(FailureKind::Connect)
            ),
            _ => false,
        });
        u64::try_from(refused.count()).unwrap_or(u64::MAX)
    }

    fn detail(&self, of: AttemptId) -> Option<&str> {
        self.remarks.iter().find_map(|r| match &r.about {
            About::Detail(text) if r.attempt == of => Some(&**text),
            _ => None,
        })
    }

    fn timing(&self, of: AttemptId) -> Option<Timing> {
        self.remarks.iter().find_map(|r| match r.about {
            About::Timing(timing) if r.attempt == of => Some(timing),
            _ => None,
        })
    }

    fn names(&self, renditions: Renditions) -> Vec<String> {
        let names = renditions
            .iter()
            .filter_map(|i| self.ladder.get(usize::from(i)));
        names.map(|rung| rung.name.as_str().to_owned()).collect()
    }
}
