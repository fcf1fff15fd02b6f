//! `rackcast nodes`: the fleet as Consul has it.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rackcast_consul::client::{Error, HealthQuery, Instance};
use rackcast_service::status::Role;
use serde::Serialize;

use super::{Exit, complain, say, say_json};
use crate::explain::text::{printable, table};
use crate::reach::Reach;

/// Show every ingest and transcode node of the fleet: where it is, how it is, whether it drains.
///
/// Exits with 1 if none is registered, and with 3 if a datacenter could not be asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only those of this zone.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// How Consul is reached.
    #[command(flatten)]
    pub consul: Consul,
}

/// How Consul is reached, and what the services are called there.
#[derive(Debug, Clone, clap::Args)]
pub struct Consul {
    /// Where Consul is.
    #[command(flatten)]
    pub reach: Reach,
    /// A Consul datacenter; several times for several. Without one, the Consul agent's own.
    #[arg(long, value_name = "DC")]
    pub datacenter: Vec<String>,
    /// What the services are called in Consul: PREFIX-ingest, PREFIX-transcode.
    #[arg(long, value_name = "PREFIX", default_values = ["rackcast", "rackcast-dev"])]
    pub service_prefix: Vec<String>,
}

/// A node of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Node {
    id: String,
    role: &'static str,
    /// The machine, as Consul calls it.
    machine: String,
    zone: String,
    datacenter: String,
    address: String,
    health: String,
    /// It takes nothing new.
    maintenance: bool,
    /// Jobs side by side; of an ingest, none.
    slots: Option<u32>,
    weight: u32,
    version: String,
}

/// Asks, and tells.
pub async fn run(options: &Options) -> Exit {
    let consul = &options.consul;
    let client = match consul.reach.client() {
        Ok(client) => client,
        Err(error) => return complain(Exit::Unasked, &format!("--consul: {error}")),
    };
    let datacenters: Vec<_> = match consul.datacenter.as_slice() {
        [] => vec![None],
        some => some.iter().map(|dc| Some(dc.as_str())).collect(),
    };
    let prefixes: BTreeSet<_> = consul.service_prefix.iter().collect();
    let mut questions = Vec::new();
    for datacenter in datacenters {
        for prefix in &prefixes {
            for role in [Role::Ingest, Role::Transcode] {
                let client = &client;
                let service = format!("{prefix}-{role}");
                questions.push(async move {
                    let query = HealthQuery {
                        service: &service,
                        datacenter,
                        ..HealthQuery::default()
                    };
                    let found = client.health_service(&query).await?.value;
                    let nodes = found.into_iter().map(|found| node(role, found));
                    Ok::<Vec<Node>, Error>(nodes.collect())
                });
            }
        }
    }
    let (mut nodes, mut failures, all) = (Vec::new(), BTreeSet::new(), questions.len());
    let mut failed = 0;
    for answer in join_all(questions).await {
        match answer {
            Ok(found) => nodes.extend(found),
            Err(error) => {
                failed += 1;
                failures.insert(error.to_string());
            }
        }
    }
    nodes.retain(|node| options.zone.as_ref().is_none_or(|zone| node.zone == *zone));
    nodes.sort_by(|a, b| (a.role, &a.zone, &a.id).cmp(&(b.role, &b.zone, &b.id)));
    for failure in &failures {
        complain(Exit::Incomplete, failure);
    }
    match options.json {
        true => _ = say_json(&nodes),
        false => say(printable(&page(&nodes))),
    }
    match (failed, nodes.is_empty()) {
        (0, false) => Exit::Yes,
        (0, true) => complain(Exit::No, &"Consul has no such node"),
        (failed, _) if failed == all => Exit::Unasked,
        _ => Exit::Incomplete,
    }
}

fn node(role: Role, instance: Instance) -> Node {
    let meta = |key: &str| instance.meta.get(key).cloned().unwrap_or_default();
    Node {
        role: role.as_str(),
        zone: meta("zone"),
        address: match instance.address.contains(':') {
            true => format!("[{}]:{}", instance.address, instance.port),
            false => format!("{}:{}", instance.address, instance.port),
        },
        health: instance.health.to_string(),
        maintenance: instance.maintenance,
        slots: meta("slots").parse().ok(),
        weight: instance.weight_passing,
        version: meta("version"),
        id: instance.id,
        machine: instance.node,
        datacenter: instance.datacenter,
    }
}

fn page(nodes: &[Node]) -> String {
    if nodes.is_empty() {
        return String::new();
    }
    let rows = nodes.iter().map(|node| {
        vec![
            node.id.clone(),
            node.machine.clone(),
            node.zone.clone(),
            node.address.clone(),
            match node.maintenance {
                true => format!("{}, maintenance", node.health),
                false => node.health.clone(),
            },
            node.slots
                .map_or_else(String::new, |slots| slots.to_string()),
            node.version.clone(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    table(
        &[
            "NODE", "MACHINE", "ZONE", "ADDRESS", "HEALTH", "SLOTS", "VERSION",
        ],
        &rows,
    )
}
