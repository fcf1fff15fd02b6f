//! How workers fare.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, Histogram, IntCounterVec};
use rackcast_service::metrics::Make;

use super::{OF_DEVICE, SECONDS};

/// Encoder sessions of one worker; none once this is dropped.
pub(crate) struct Sessions {
    gauge: Gauge,
    open: u32,
}

impl Sessions {
    /// As the worker says.
    pub(crate) fn set(&mut self, open: u32) {
        self.gauge.add(f64::from(open) - f64::from(self.open));
        self.open = open;
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Of their lives.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    ends: IntCounterVec,
    self_tests: IntCounterVec,
    self_test: Histogram,
    quarantine: IntCounterVec,
    sessions: GaugeVec,
}

impl Workers {
    pub(super) fn register(make: Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            ends: make.counters(
                "rackcast_transcode_worker_ends_total",
                "Workers that ended, by reason.",
                &["device", "reason"],
            )?,
            self_tests: make.counters(
                "rackcast_transcode_self_tests_total",
                "Self-tests of workers, by result.",
                &["result"],
            )?,
            self_test: make.histogram(
                "rackcast_transcode_self_test_seconds",
                "What a passed self-test took.",
                &SECONDS,
            )?,
            quarantine: make.counters(
                "rackcast_transcode_quarantine_jobs_total",
                "Jobs that ran alone in a disposable worker, by result.",
                &["result"],
            )?,
            sessions: make.fractions(
                "rackcast_transcode_device_sessions",
                "Encoders that the device's workers have open.",
                &OF_DEVICE,
            )?,
        })
    }

    pub(crate) fn end(&self, device: &str, reason: &str) {
        self.ends.with_label_values(&[device, reason]).inc();
    }

    pub(crate) fn sessions(&self, device: &str) -> Sessions {
        Sessions {
            gauge: self.sessions.with_label_values(&[device]),
            open: 0,
        }
    }

    /// A worker has tested itself, and how long a success took.
    pub(crate) fn self_test(&self, result: Result<Duration, ()>) {
        let label = match result {
            Ok(took) => {
                self.self_test.observe(took.as_secs_f64());
                "passed"
            }
            Err(()) => "failed",
        };
        self.self_tests.with_label_values(&[label]).inc();
    }

    /// A job has left quarantine.
    pub(crate) fn quarantine(&self, result: &str) {
        self.quarantine.with_label_values(&[result]).inc();
    }
}
