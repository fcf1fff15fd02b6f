//! Makes metrics and registers them: one line for each in the table of a module's metrics.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// A metric, or why it cannot be: its name is registered already, or is none.
type Made<T> = Result<T, prometheus::Error>;

/// Makes metrics in a registry.
#[derive(Debug, Clone, Copy)]
pub struct Make<'a>(pub &'a Registry);

impl Make<'_> {
    fn register<T: Collector + Clone + 'static>(self, metric: T) -> Made<T> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// A count.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn counter(self, name: &str, help: &str) -> Made<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    /// A count for each value of the labels.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn counters(self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A number of things.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn gauge(self, name: &str, help: &str) -> Made<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    /// A number of things for each value of the labels.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn gauges(self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A number that may be broken.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn fraction(self, name: &str, help: &str) -> Made<Gauge> {
        self.register(Gauge::new(name, help)?)
    }

    /// A number that may be broken, for each value of the labels.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn fractions(self, name: &str, help: &str, labels: &[&str]) -> Made<GaugeVec> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// How often a value was in each of the buckets, which are told by their upper bounds.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn histogram(self, name: &str, help: &str, buckets: &[f64]) -> Made<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(opts)?)
    }

    /// The same for each value of the labels.
    ///
    /// # Errors
    /// The name is registered already.
    pub fn histograms(
        self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Made<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(opts, labels)?)
    }
}
