//! Makes metrics and registers them.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry,
};

/// A metric, or why it cannot be: its name is registered already.
type Made<T> = Result<T, prometheus::Error>;

#[derive(Clone, Copy)]
pub(super) struct Make<'a>(pub(super) &'a Registry);

impl Make<'_> {
    fn register<T: Collector + Clone + 'static>(self, metric: T) -> Made<T> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    pub(super) fn counter(self, name: &str, help: &str) -> Made<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    pub(super) fn counters(self, name: &str, labels: &[&str], help: &str) -> Made<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(self, name: &str, help: &str) -> Made<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    pub(super) fn histogram(self, name: &str, help: &str, buckets: &[f64]) -> Made<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(opts)?)
    }

    /// For each device, of each class of jobs.
    pub(super) fn by_class(self, name: &str, help: &str, buckets: &[f64]) -> Made<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(opts, &["device", "class"])?)
    }

    /// For each device.
    pub(super) fn of_device(self, name: &str, help: &str) -> Made<GaugeVec> {
        self.register(GaugeVec::new(Opts::new(name, help), &["device"])?)
    }
}
