//! `/v1/status` and what the agent says of itself.

use http::StatusCode;
use serde_json::json;

use super::http::Reply;
use super::node::{DATACENTER, NODE, node};
use super::shared::Shared;

pub(super) const VERSION: &str = "1.8.7+rackcast.dev";

/// `leader` or `peers`: always this catalog.
pub(super) fn answer(shared: &Shared, what: &str) -> Reply {
    let address = shared.address.to_string();
    match what {
        "leader" => Reply::json(&json!(address)),
        _ => Reply::json(&json!([address])),
    }
}

pub(super) fn agent_self(shared: &Shared) -> Reply {
    Reply::json(&json!({
        "Config": {
            "Datacenter": DATACENTER,
            "NodeName": NODE,
            "NodeID": node(shared.address).get("ID"),
            "Revision": "",
            "Server": true,
            "Version": VERSION,
        },
        "DebugConfig": { "DevMode": true },
        "Member": member(shared),
        "Meta": { "rackcast": "development-catalog" },
    }))
    .status(StatusCode::OK)
}

pub(super) fn members(shared: &Shared) -> Reply {
    Reply::json(&json!([member(shared)]))
}

fn member(shared: &Shared) -> serde_json::Value {
    json!({
        "Name": NODE,
        "Addr": shared.address.ip(),
        "Port": shared.address.port(),
        "Tags": { "build": VERSION, "dc": DATACENTER, "role": "consul" },
        "Status": 1,
    })
}
