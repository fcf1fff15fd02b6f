use std::time::SystemTime;

use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::change::{Takes, Waiting};

/// How reloads went: the same for every daemon.
#[derive(Debug, Clone)]
pub struct Metrics {
    failures: IntCounter,
    last_ok: IntGauge,
    last_success: Gauge,
    waiting: IntGaugeVec,
}

impl Metrics {
    /// Makes and registers them; the start counts as a success.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            failures: IntCounter::new(
                "rackcast_config_reload_failures_total",
                "Configurations that were refused",
            )?,
            last_ok: IntGauge::new(
                "rackcast_config_last_reload_successful",
                "1 while the newest configuration is in force, 0 while it was refused",
            )?,
            last_success: Gauge::new(
                "rackcast_config_last_reload_success_timestamp_seconds",
                "When a configuration was last put in force, in seconds since the Unix epoch",
            )?,
            waiting: IntGaugeVec::new(
                Opts::new(
                    "rackcast_config_waiting_keys",
                    "Keys whose new value is not in force, by what they wait for",
                ),
                &["until"],
            )?,
        };
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.last_ok.clone()))?;
        registry.register(Box::new(metrics.last_success.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        metrics.succeeded();
        metrics.wait(&Waiting::new());
        Ok(metrics)
    }

    /// Counts a reload.
    pub fn count<T, E>(&self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.succeeded(),
            Err(_) => self.failed(),
        }
    }

    /// A configuration was put in force.
    pub fn succeeded(&self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.last_ok.set(1);
        self.last_success
            .set(since.unwrap_or_default().as_secs_f64());
    }

    /// A configuration was refused.
    pub fn failed(&self) {
        self.last_ok.set(0);
        self.failures.inc();
    }

    /// These keys wait.
    pub fn wait(&self, waiting: &Waiting) {
        for takes in [Takes::Handover, Takes::Restart] {
            let Some(until) = takes.awaited() else {
                continue;
            };
            let keys = waiting.values().filter(|t| **t == takes).count();
            self.waiting
                .with_label_values(&[until])
                .set(i64::try_from(keys).unwrap_or(i64::MAX));
        }
    }
}
