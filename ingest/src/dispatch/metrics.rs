use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// What dispatch counts. Labels take values of enums only, never anything a peer said.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Submissions, by how they ended.
    pub(crate) attempts: IntCounterVec,
    /// Submissions after the first, by what made them necessary.
    pub(crate) retries: IntCounterVec,
    /// Push-back, by code.
    pub(crate) refusals: IntCounterVec,
    /// Renditions that failed verification, by defect.
    pub(crate) defects: IntCounterVec,
    /// Renditions that did not come, by reason.
    pub(crate) missing: IntCounterVec,
    /// Segments that reached their deadline unfinished.
    pub(crate) deadline_misses: IntCounter,
    /// From submission to the last outcome, by outcome.
    pub(crate) turnaround: HistogramVec,
    /// Time that verification of one rendition took.
    pub(crate) verification: Histogram,
    /// Segments in flight.
    pub(crate) in_flight: IntGauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| {
            let c = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(c.clone()))?;
            Ok::<_, prometheus::Error>(c)
        };
        let metrics = Self {
            attempts: counters(
                "rackcast_ingest_dispatch_attempts_total",
                "Submissions of segments to nodes, by how they ended",
                "result",
            )?,
            retries: counters(
                "rackcast_ingest_dispatch_retries_total",
                "Submissions after a segment's first, by what made them necessary",
                "cause",
            )?,
            refusals: counters(
                "rackcast_ingest_dispatch_refusals_total",
                "Submissions that a node pushed back before it read the body, by code",
                "code",
            )?,
            defects: counters(
                "rackcast_ingest_dispatch_defects_total",
                "Renditions that were not the answer to the question, by defect",
                "defect",
            )?,
            missing: counters(
                "rackcast_ingest_dispatch_missing_renditions_total",
                "Renditions of segments that did not come, by reason",
                "reason",
            )?,
            deadline_misses: IntCounter::new(
                "rackcast_ingest_dispatch_deadline_misses_total",
                "Segments that were not complete at their deadline",
            )?,
            turnaround: HistogramVec::new(
                HistogramOpts::new(
                    "rackcast_ingest_dispatch_turnaround_seconds",
                    "From a segment's submission to its last rendition, by outcome",
                )
                .buckets(vec![0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0]),
                &["outcome"],
            )?,
            verification: Histogram::with_opts(
                HistogramOpts::new(
                    "rackcast_ingest_dispatch_verification_seconds",
                    "Processor time that the verification of one rendition took",
                )
                .buckets(vec![0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3]),
            )?,
            in_flight: IntGauge::new(
                "rackcast_ingest_dispatch_segments_in_flight",
                "Segments that are out for transcoding",
            )?,
        };
        registry.register(Box::new(metrics.deadline_misses.clone()))?;
        registry.register(Box::new(metrics.turnaround.clone()))?;
        registry.register(Box::new(metrics.verification.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        Ok(metrics)
    }
}
