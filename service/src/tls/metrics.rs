//! `rackcast_tls_*`: the same in every daemon.

use std::time::SystemTime;

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::refusal::Reason;

/// What is counted of TLS. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    handshakes: IntCounterVec,
    refused: IntCounterVec,
    open: IntGaugeVec,
    reloads: IntCounterVec,
    expiry: IntGaugeVec,
}

impl Metrics {
    /// Makes them and registers them.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.handshakes.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.reloads.clone()))?;
        registry.register(Box::new(metrics.expiry.clone()))?;
        Ok(metrics)
    }

    /// Makes them for somebody who exposes none.
    ///
    /// # Errors
    /// A name is no metric's: a defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let counter =
            |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name, help, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        Ok(Self {
            handshakes: counter(
                "rackcast_tls_handshakes_total",
                "Handshakes after which a peer was believed, by what they were for",
                &["for"],
            )?,
            refused: counter(
                "rackcast_tls_refused_total",
                "Handshakes without success, by what they were for and why",
                &["for", "reason"],
            )?,
            open: gauge(
                "rackcast_tls_handshakes_open",
                "Connections in their handshake or waiting for their turn",
                &["for"],
            )?,
            reloads: counter(
                "rackcast_tls_reloads_total",
                "Times that certificates were read anew, by what came of it",
                &["for", "result"],
            )?,
            expiry: gauge(
                "rackcast_tls_expiry_timestamp_seconds",
                "When the first certificate of a file expires, in seconds since 1970",
                &["for", "file"],
            )?,
        })
    }

    pub(super) fn began(&self, purpose: &str) {
        self.open.with_label_values(&[purpose]).inc();
    }

    pub(super) fn ended(&self, purpose: &str, refused: Option<Reason>) {
        self.open.with_label_values(&[purpose]).dec();
        match refused {
            None => self.handshakes.with_label_values(&[purpose]).inc(),
            Some(reason) => {
                let labels = [purpose, reason.as_str()];
                self.refused.with_label_values(&labels).inc();
            }
        }
    }

    pub(super) fn reloaded(&self, purpose: &str, result: &str) {
        self.reloads.with_label_values(&[purpose, result]).inc();
    }

    pub(super) fn expires(&self, purpose: &str, file: &str, at: SystemTime) {
        let seconds = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        self.expiry
            .with_label_values(&[purpose, file])
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}
