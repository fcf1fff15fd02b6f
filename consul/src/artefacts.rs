//! What Rackcast wants to find in Consul: ACL policies, and prepared queries for DNS.
//!
//! The files stand in `consul/policies/` and `consul/queries/` and are compiled in, so that
//! `rackcast consul install` has them wherever it runs.

use serde_json::Value;

use crate::client::{Client, Error, Installed, Policy};

/// The policies, one for each kind of token.
pub const POLICIES: [Policy<'static>; 5] = [
    Policy {
        name: "rackcast-agent",
        description: "Registers the Rackcast services of a machine",
        rules: include_str!("../policies/agent.hcl"),
    },
    Policy {
        name: "rackcast-ingest",
        description: "Finds transcode nodes, enters its streams",
        rules: include_str!("../policies/ingest.hcl"),
    },
    Policy {
        name: "rackcast-transcode",
        description: "Follows the fleet's settings",
        rules: include_str!("../policies/transcode.hcl"),
    },
    Policy {
        name: "rackcast-operator",
        description: "Sees the fleet, writes settings, orders machines to drain",
        rules: include_str!("../policies/operator.hcl"),
    },
    Policy {
        name: "rackcast-dns",
        description: "Finds Rackcast services by DNS",
        rules: include_str!("../policies/dns.hcl"),
    },
];

/// The prepared queries, in JSON.
pub const QUERIES: [(&str, &str); 1] = [(
    "rackcast-ingest-nearest",
    include_str!("../queries/ingest-nearest.json"),
)];

/// Installs all policies, in their order.
///
/// # Errors
/// The token may not (it takes `acl = "write"`), or ACLs are off.
pub async fn install_policies(client: &Client) -> Result<Vec<(&'static str, Installed)>, Error> {
    let mut done = Vec::new();
    for policy in &POLICIES {
        done.push((policy.name, client.install_policy(policy).await?));
    }
    Ok(done)
}

/// Installs all prepared queries.
///
/// # Errors
/// The token may not: it takes `query_prefix "rackcast-" { policy = "write" }`.
pub async fn install_queries(client: &Client) -> Result<Vec<(&'static str, Installed)>, Error> {
    let mut done = Vec::new();
    for (name, query) in &QUERIES {
        let query: Value =
            serde_json::from_str(query).map_err(|error| Error::Malformed(error.to_string()))?;
        done.push((*name, client.install_query(&query).await?));
    }
    Ok(done)
}
