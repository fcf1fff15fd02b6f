//! The catalog's one node.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::register::Status;

pub(super) const DATACENTER: &str = "dc1";
pub(super) const NODE: &str = "rackcast-dev";
const NODE_ID: &str = "00000000-0000-4000-8000-000000000000";

/// The only node.
pub(super) fn node(address: SocketAddr) -> Value {
    let ip = address.ip();
    json!({
        "ID": NODE_ID,
        "Node": NODE,
        "Address": ip,
        "Datacenter": DATACENTER,
        "TaggedAddresses": { "lan": ip, "lan_ipv4": ip, "wan": ip, "wan_ipv4": ip },
        "Meta": { "rackcast": "development-catalog" },
        "CreateIndex": 1,
        "ModifyIndex": 1,
    })
}

/// The node's own check: the node is alive as long as it answers.
pub(super) fn serf_health() -> Value {
    json!({
        "Node": NODE,
        "CheckID": "serfHealth",
        "Name": "Serf Health Status",
        "Status": Status::Passing,
        "Notes": "",
        "Output": "Agent alive and reachable",
        "ServiceID": "",
        "ServiceName": "",
        "ServiceTags": [],
        "Type": "",
        "Definition": {},
        "CreateIndex": 1,
        "ModifyIndex": 1,
    })
}
