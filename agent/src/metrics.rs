//! The agent's metrics.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use rackcast_consul::reconcile::Standing;
use rackcast_service::status::HealthState;

use crate::board::Heard;

/// What the agent counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    polls: IntCounterVec,
    health: IntGaugeVec,
    kept: IntGauge,
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
        registry.register(Box::new(polls.clone()))?;
        registry.register(Box::new(health.clone()))?;
        registry.register(Box::new(kept.clone()))?;
        Ok(Self {
            polls,
            health,
            kept,
        })
    }

    /// A question was answered.
    pub fn polled(&self, heard: &Heard) {
        let result = match heard {
            Heard::Status(_) => "answered",
            Heard::Nothing => "failed",
            Heard::Absent => "absent",
        };
        self.polls.with_label_values(&[result]).inc();
    }

    /// These services, by ID, and no others, were judged so.
    pub fn judged<'a>(&self, services: impl Iterator<Item = (&'a str, HealthState)>) {
        self.health.reset();
        for (id, state) in services {
            self.health.with_label_values(&[id]).set(match state {
                HealthState::Passing => 0,
                HealthState::Warning => 1,
                HealthState::Critical => 2,
            });
        }
    }

    /// How the registrations stand.
    pub fn standing(&self, standing: &Standing) {
        self.kept.set(i64::from(matches!(standing, Standing::Kept)));
    }
}
