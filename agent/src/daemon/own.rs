//! What the agent says of itself.

use std::net::SocketAddr;

use rackcast_consul::reconcile::Standing;
use rackcast_service::drain::Order;
use rackcast_service::status::{Health, Role, ServiceStatus};

use crate::config::Config;
use crate::control::Machine;

/// Before anything is known.
pub(super) fn status(config: &Config, admin: SocketAddr) -> ServiceStatus {
    ServiceStatus {
        health: health(&Standing::Pending, None),
        endpoints: [("admin".to_owned(), admin)].into(),
        ..ServiceStatus::new(
            Role::Agent,
            &config.node_name(),
            &config.owner_name(),
            env!("CARGO_PKG_VERSION"),
        )
    }
}

/// The same of the machine.
pub(super) fn machine(config: &Config, own: &ServiceStatus, order: Order) -> Machine {
    Machine {
        node: config.node_name(),
        zone: config.zone.clone(),
        agent: own.clone(),
        order,
        services: Vec::new(),
        findings: Default::default(),
    }
}

/// How the registrations stand, unless services cannot be told something: that is worse.
pub(super) fn health(standing: &Standing, untold: Option<&str>) -> Health {
    if let Some(untold) = untold {
        return Health::critical(untold);
    }
    match standing {
        Standing::Pending => Health::passing("registrations are not compared yet"),
        Standing::Kept => Health::passing("registrations are kept"),
        Standing::Conflict(ids) => Health::warning(format!(
            "not registered, since somebody else holds the ID: {}; give this agent's services \
             another node or instance name, or remove the other's",
            ids.join(", ")
        )),
        Standing::Failing {
            reason,
            retryable: true,
        } => Health::warning(format!(
            "registrations cannot be compared, trying again: {reason}"
        )),
        Standing::Failing {
            reason,
            retryable: false,
        } => Health::critical(format!("registrations are refused: {reason}")),
    }
}
