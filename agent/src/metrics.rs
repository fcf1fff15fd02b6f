//! The agent's metrics.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use rackcast_consul::reconcile::Standing;
use rackcast_service::drain::Order;
use rackcast_service::metrics::show;
use rackcast_service::status::HealthState;

use crate::probe::Findings;

/// What the agent counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    polls: IntCounterVec,
    health: IntGaugeVec,
    kept: IntGauge,
    probes: IntGaugeVec,
    draining: IntGauge,
    drain_since: IntGauge,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// The registry has one of them already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let polls = IntCounterVec::new(
            Opts::new(
                "rackcast_agent_polls_total",
                "Questions to status sockets, by result.",
            ),
            &["result"],
        )?;
        let health = IntGaugeVec::new(
            Opts::new(
                "rackcast_agent_service_health",
                "Health of a service as judged: 0 passing, 1 warning, 2 critical.",
            ),
            &["service"],
        )?;
        let kept = IntGauge::new(
            "rackcast_agent_registrations_kept",
            "1 while Consul holds every registration as it should.",
        )?;
        let probes = IntGaugeVec::new(
            Opts::new(
                "rackcast_agent_probe_state",
                "What a probe of the machine found: 0 passing, 1 warning, 2 critical.",
            ),
            &["probe"],
        )?;
        registry.register(Box::new(probes.clone()))?;
        let draining = IntGauge::new(
            "rackcast_agent_draining",
            "1 while this machine was told to take nothing new.",
        )?;
        let drain_since = IntGauge::new(
            "rackcast_agent_drain_since_timestamp_seconds",
            "When it was told so, since the Unix epoch; 0 while it works.",
        )?;
        registry.register(Box::new(draining.clone()))?;
        registry.register(Box::new(drain_since.clone()))?;
        registry.register(Box::new(polls.clone()))?;
        registry.register(Box::new(health.clone()))?;
        registry.register(Box::new(kept.clone()))?;
        Ok(Self {
            polls,
            health,
            kept,
            probes,
            draining,
            drain_since,
        })
    }

    /// A question was answered.
    pub fn polled(&self, result: &str) {
        self.polls.with_label_values(&[result]).inc();
    }

    /// These services, by ID, and no others, were judged so.
    pub fn judged<'a>(&self, services: impl Iterator<Item = (&'a str, HealthState)>) {
        show(
            &self.health,
            services.map(|(id, state)| (id, number(state))),
        );
    }

    /// What the probes found.
    pub fn found(&self, findings: &Findings) {
        for (name, found) in findings {
            let gauge = self.probes.with_label_values(&[name.as_str()]);
            gauge.set(number(found.state));
        }
    }

    /// What the machine was told last.
    pub fn order(&self, order: &Order) {
        let since = if order.is_drain() {
            order.at_ms / 1_000
        } else {
            0
        };
        self.draining.set(i64::from(order.is_drain()));
        self.drain_since
            .set(i64::try_from(since).unwrap_or(i64::MAX));
    }

    /// How the registrations stand.
    pub fn standing(&self, standing: &Standing) {
        self.kept.set(i64::from(matches!(standing, Standing::Kept)));
    }
}

fn number(state: HealthState) -> i64 {
    match state {
        HealthState::Passing => 0,
        HealthState::Warning => 1,
        HealthState::Critical => 2,
    }
}
