//! What Consul has of the fleet's services.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rackcast_consul::client::{Client, Error, HealthQuery, Instance};
use rackcast_service::status::Role;

use crate::reach::Reach;
use crate::registration::MACHINE;

/// How Consul is reached, and what the services are called there.
#[derive(Debug, Clone, clap::Args)]
pub struct Consul {
    /// Where Consul is.
    #[command(flatten)]
    pub reach: Reach,
    /// A Consul datacenter; several times for several. Without one, the Consul agent's own.
    #[arg(long, value_name = "DC")]
    pub datacenter: Vec<String>,
    /// What the services are called in Consul.
    #[command(flatten)]
    pub names: Names,
}

/// What the services are called in Consul.
#[derive(Debug, Clone, clap::Args)]
pub struct Names {
    /// What the services are called in Consul: PREFIX-ingest, PREFIX-transcode.
    #[arg(long, value_name = "PREFIX", default_values = ["rackcast", "rackcast-dev"])]
    pub service_prefix: Vec<String>,
}

/// What came of asking for all of them.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) instances: Vec<(Role, Instance)>,
    /// Why some could not be had, each reason once.
    pub(super) failures: BTreeSet<String>,
    /// Nobody answered.
    pub(super) unasked: bool,
}

impl Fleet {
    /// Asks for every service in every datacenter; `None` is the Consul agent's own.
    pub(super) async fn of(client: &Client, names: &Names, datacenters: &[Option<&str>]) -> Self {
        let prefixes: BTreeSet<_> = names.service_prefix.iter().collect();
        let services = prefixes.iter().flat_map(|prefix| {
            [Role::Ingest, Role::Transcode].map(|role| (role, format!("{prefix}-{role}")))
        });
        let services: Vec<_> = services.collect();
        let questions = datacenters.iter().flat_map(|datacenter| {
            services.iter().map(move |(role, service)| async move {
                let query = HealthQuery {
                    service,
                    datacenter: *datacenter,
                    ..HealthQuery::default()
                };
                let found = client.health_service(&query).await?.value;
                Ok::<_, Error>(found.into_iter().map(|found| (*role, found)))
            })
        });
        let mut fleet = Self {
            unasked: true,
            ..Self::default()
        };
        for answer in join_all(questions).await {
            match answer {
                Ok(found) => {
                    fleet.unasked = false;
                    fleet.instances.extend(found);
                }
                Err(error) => _ = fleet.failures.insert(error.to_string()),
            }
        }
        fleet
    }
}

/// The machine of an instance, as its agent calls it: what `rackcast drain` takes.
pub(super) fn machine(instance: &Instance) -> &str {
    instance.meta.get(MACHINE).unwrap_or(&instance.node)
}
