//! What dispatch counts. Labels take values of enums only, never anything a peer said.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};
use rackcast_route::plan::{AttemptId, Cause, End, GiveUp, NotHedged, Step, Trail, Wait};
use rackcast_route::table::{Change, FailureKind, ZoneChange};
use rackcast_service::metrics::Make;

/// Counters of dispatch. What is decided is counted when its segment is done, from its trail.
#[derive(Debug)]
pub(crate) struct Metrics {
    segments: IntCounter,
    submissions: IntCounter,
    attempts: IntCounterVec,
    retries: IntCounterVec,
    refusals: IntCounterVec,
    hedges: IntCounterVec,
    denied: IntCounterVec,
    picks: IntCounterVec,
    ejections: IntCounterVec,
    zones: IntCounter,
    circuits: IntCounter,
    pub(super) defects: IntCounterVec,
    missing: IntCounterVec,
    deadline_misses: IntCounter,
    turnaround: HistogramVec,
    pub(super) verification: Histogram,
    pub(super) in_flight: IntGauge,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let make = Make(registry);
        Ok(Self {
            segments: make.counter(
                "rackcast_ingest_dispatch_segments_total",
                "Segments of which something was sent to a node",
            )?,
            submissions: make.counter(
                "rackcast_ingest_dispatch_submissions_total",
                "Requests to nodes that were not pushed back before their body was read",
            )?,
            attempts: make.counters(
                "rackcast_ingest_dispatch_attempts_total",
                "Requests to nodes, by how they ended",
                &["result"],
            )?,
            retries: make.counters(
                "rackcast_ingest_dispatch_retries_total",
                "Requests after a segment's first, by what they were made for",
                &["cause"],
            )?,
            refusals: make.counters(
                "rackcast_ingest_dispatch_refusals_total",
                "Requests that a node pushed back before it read the body, by code",
                &["code"],
            )?,
            hedges: make.counters(
                "rackcast_ingest_dispatch_hedges_total",
                "Requests that were late, by what came of a second one beside them",
                &["result"],
            )?,
            denied: make.counters(
                "rackcast_ingest_dispatch_budget_denied_total",
                "Requests that were not made because a budget was spent, by budget",
                &["budget"],
            )?,
            picks: make.counters(
                "rackcast_ingest_route_picks_total",
                "Decisions for a node, by reason",
                &["reason"],
            )?,
            ejections: make.counters(
                "rackcast_ingest_route_ejections_total",
                "Nodes that were left alone for a while, by reason",
                &["reason"],
            )?,
            zones: make.counter(
                "rackcast_ingest_route_zones_abandoned_total",
                "Times that a zone was abandoned as a whole",
            )?,
            circuits: make.counter(
                "rackcast_ingest_route_circuits_opened_total",
                "Streams that lost their transcoding for a while because they kept failing",
            )?,
            defects: make.counters(
                "rackcast_ingest_dispatch_defects_total",
                "Renditions that were not the answer to the question, by defect",
                &["defect"],
            )?,
            missing: make.counters(
                "rackcast_ingest_dispatch_missing_renditions_total",
                "Renditions of segments that did not come, by reason",
                &["reason"],
            )?,
            deadline_misses: make.counter(
                "rackcast_ingest_dispatch_deadline_misses_total",
                "Segments that were not complete at their deadline",
            )?,
            turnaround: make.histograms(
                "rackcast_ingest_dispatch_turnaround_seconds",
                "From a segment's order to its last rendition, by outcome",
                &["outcome"],
                &[0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0],
            )?,
            verification: make.histogram(
                "rackcast_ingest_dispatch_verification_seconds",
                "Processor time that the verification of one rendition took",
                &[0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3],
            )?,
            in_flight: make.gauge(
                "rackcast_ingest_dispatch_segments_in_flight",
                "Segments that are out for transcoding",
            )?,
        })
    }

    /// A request came to its end by itself.
    pub(super) fn ended(&self, end: &End) {
        let result = match end {
            End::Complete { .. } => "complete",
            End::Refused { code, .. } => {
                self.refusals.with_label_values(&[*code]).inc();
                "refused"
            }
            End::Claim { .. } => "claim",
            End::Failed { kind } => kind.as_str(),
        };
        self.attempts.with_label_values(&[result]).inc();
        let kind = FailureKind::Connect;
        if !matches!(end, End::Refused { .. }) && *end != (End::Failed { kind }) {
            self.submissions.inc();
        }
    }

    /// A request was cancelled.
    pub(super) fn cancelled(&self) {
        self.attempts.with_label_values(&["cancelled"]).inc();
        self.submissions.inc();
    }

    /// Renditions will not come.
    pub(super) fn lost(&self, reason: GiveUp, renditions: u64) {
        let missing = self.missing.with_label_values(&[reason.as_str()]);
        missing.inc_by(renditions);
        if reason == GiveUp::Deadline {
            self.deadline_misses.inc();
        }
    }

    /// A node's standing changed.
    pub(super) fn standing(&self, change: Change) {
        if let Change::Ejected { kind, .. } = change {
            self.ejections.with_label_values(&[kind.as_str()]).inc();
        }
    }

    /// A zone was left, or came back.
    pub(super) fn zone(&self, change: &ZoneChange) {
        if change.left.is_some() {
            self.zones.inc();
        }
    }

    /// A segment has all its answers.
    pub(super) fn answered(&self, outcome: &str, took: Duration) {
        let turnaround = self.turnaround.with_label_values(&[outcome]);
        turnaround.observe(took.as_secs_f64());
    }

    /// A segment's record is complete.
    pub(super) fn finished(&self, trail: &Trail) {
        let steps = || trail.entries().iter().map(|entry| &entry.step);
        for step in steps() {
            match step {
                Step::Sent(sent) => {
                    let reason = sent.reason.as_str();
                    self.picks.with_label_values(&[reason]).inc();
                    match sent.cause {
                        Cause::First => self.segments.inc(),
                        cause => self.retries.with_label_values(&[cause.as_str()]).inc(),
                    }
                    if sent.cause == Cause::Hedge {
                        let result = if helped(trail, sent.attempt) {
                            "won"
                        } else {
                            "lost"
                        };
                        self.hedges.with_label_values(&[result]).inc();
                    }
                }
                Step::NotHedged { why } => {
                    self.hedges.with_label_values(&[why.as_str()]).inc();
                    let budget = match why {
                        NotHedged::Budget => Some("retries"),
                        NotHedged::Lateness => Some("lateness"),
                        NotHedged::NoSpare | NotHedged::NoNode => None,
                    };
                    if let Some(budget) = budget {
                        self.denied.with_label_values(&[budget]).inc();
                    }
                }
                Step::Waiting { why: Wait::Retries } => {
                    self.denied.with_label_values(&["retries"]).inc();
                }
                Step::Waiting {
                    why: Wait::Refusals,
                } => self.denied.with_label_values(&["refusals"]).inc(),
                Step::Standing { change, .. } => self.standing(*change),
                Step::CircuitOpened(_) => self.circuits.inc(),
                _ => {}
            }
        }
    }
}

/// Whether anything that counts came of this request.
fn helped(trail: &Trail, request: AttemptId) -> bool {
    trail.entries().iter().any(|entry| {
        matches!(entry.step,
            Step::Rendition { attempt, counted: true, .. } if attempt == request)
    })
}
