//! `rackcast nodes`: the fleet as Consul has it.

use rackcast_consul::client::Instance;
use rackcast_service::status::Role;
use serde::Serialize;

use super::fleet::{Consul, Fleet, machine};
use super::{Exit, complain, say, say_json};
use crate::explain::text::{printable, table};

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

/// A node of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Node {
    id: String,
    role: &'static str,
    /// The machine, as its agent calls it.
    machine: String,
    zone: String,
    datacenter: String,
    address: String,
    health: String,
    /// It takes nothing new.
    maintenance: bool,
    /// Who wants it so, since when and why.
    maintenance_reason: String,
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
    let fleet = Fleet::of(&client, &consul.names, &datacenters).await;
    let found = fleet.instances.into_iter();
    let mut nodes: Vec<_> = found.map(|(role, found)| node(role, found)).collect();
    nodes.retain(|node| options.zone.as_ref().is_none_or(|zone| node.zone == *zone));
    nodes.sort_by(|a, b| (a.role, &a.zone, &a.id).cmp(&(b.role, &b.zone, &b.id)));
    for failure in &fleet.failures {
        complain(Exit::Incomplete, failure);
    }
    match options.json {
        true => _ = say_json(&nodes),
        false => say(printable(&page(&nodes))),
    }
    match (fleet.failures.is_empty(), nodes.is_empty()) {
        (true, false) => Exit::Yes,
        (true, true) => complain(Exit::No, &"Consul has no such node"),
        _ if fleet.unasked => Exit::Unasked,
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
        machine: machine(&instance).to_owned(),
        id: instance.id,
        maintenance_reason: instance.maintenance_reason,
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
            node.slots
                .map_or_else(String::new, |slots| slots.to_string()),
            node.version.clone(),
            match (node.maintenance, node.maintenance_reason.as_str()) {
                (true, "") => format!("{}, maintenance", node.health),
                (true, why) => format!("{}, maintenance: {why}", node.health),
                (false, _) => node.health.clone(),
            },
        ]
    });
    let rows: Vec<_> = rows.collect();
    table(
        &[
            "NODE", "MACHINE", "ZONE", "ADDRESS", "SLOTS", "VERSION", "HEALTH",
        ],
        &rows,
    )
}
