//! The instances of a service with their health, as the servers see them.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};

use super::agent::{AgentService, or_default};
use super::{Client, Error, Request};
use crate::register::Status;

/// What to ask for.
#[derive(Debug, Clone, Default)]
pub struct HealthQuery<'a> {
    /// Service name.
    pub service: &'a str,
    /// Datacenter; the client's configured one, else the agent's own, if `None`.
    pub datacenter: Option<&'a str>,
    /// Only instances with this tag.
    pub tag: Option<&'a str>,
    /// Only instances none of whose checks is worse than passing.
    pub passing_only: bool,
    /// Answer at once if 0, else when the index is past this one.
    pub index: u64,
    /// Longest time to wait for a change, if `index` is not 0.
    pub wait: Duration,
}

/// An answer with the index to wait on next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed<T> {
    /// `X-Consul-Index`.
    pub index: u64,
    /// The answer.
    pub value: T,
}

/// Health of an instance: the worst of its checks and of its node's.
pub type Health = Status;

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Service ID, unique on its node.
    pub id: String,
    /// Service name.
    pub service: String,
    /// Consul node that it runs on.
    pub node: String,
    /// Host or IP address to connect to: the service's, or the node's if it gave none.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Tags.
    pub tags: Vec<String>,
    /// Meta.
    pub meta: BTreeMap<String, String>,
    /// Share of the work while passing.
    pub weight_passing: u32,
    /// Datacenter of the node.
    pub datacenter: String,
    /// Worst of its checks.
    pub health: Health,
    /// Whether it, or its node, is in maintenance mode: alive, but wants no new work.
    pub maintenance: bool,
    /// Why; empty if nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub maintenance_reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: AgentService,
    #[serde(default, deserialize_with = "or_default")]
    checks: Vec<EntryCheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "Node")]
    name: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    datacenter: String,
}

#[derive(Deserialize)]
struct EntryCheck {
    #[serde(rename = "CheckID", default)]
    id: String,
    #[serde(rename = "Status", default)]
    status: Status,
    #[serde(rename = "Notes", default)]
    notes: String,
}

/// Check IDs that stand for maintenance of the node and, as a prefix, of a service.
const NODE_MAINTENANCE: &str = "_node_maintenance";
const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

impl From<Entry> for Instance {
    fn from(entry: Entry) -> Self {
        let Entry {
            node,
            service,
            checks,
        } = entry;
        let (maintenance, checks): (Vec<_>, Vec<_>) = checks
            .into_iter()
            .partition(|c| c.id == NODE_MAINTENANCE || c.id.starts_with(SERVICE_MAINTENANCE));
        let address = match service.address.is_empty() {
            true => node.address,
            false => service.address,
        };
        Self {
            id: service.id,
            service: service.name,
            node: node.name,
            address,
            port: service.port,
            tags: service.tags,
            meta: service.meta,
            weight_passing: service.weights.passing,
            datacenter: node.datacenter,
            health: checks
                .iter()
                .map(|check| check.status)
                .max()
                .unwrap_or(Status::Passing),
            maintenance: !maintenance.is_empty(),
            maintenance_reason: maintenance
                .into_iter()
                .map(|check| check.notes)
                .find(|notes| !notes.is_empty())
                .unwrap_or_default(),
        }
    }
}

impl Client {
    /// The instances of a service, waiting for a change if `query.index` is not 0.
    ///
    /// An answer that is empty because the token may not look is [`Error::AclFiltered`].
    pub async fn health_service(
        &self,
        query: &HealthQuery<'_>,
    ) -> Result<Indexed<Vec<Instance>>, Error> {
        let datacenter = query.datacenter.or(self.inner.config.datacenter.as_deref());
        let mut request = Request::new(Method::GET, "/v1/health/service/", query.service);
        if let Some(datacenter) = datacenter {
            request = request.query("dc", datacenter);
        }
        if let Some(tag) = query.tag {
            request = request.query("tag", tag);
        }
        if query.passing_only {
            request = request.query("passing", "true");
        }
        if query.index > 0 {
            request = request
                .query("index", &query.index.to_string())
                .wait(query.wait);
        }
        let answer = self.send(request).await?;
        let entries: Vec<Entry> = answer.json()?;
        if entries.is_empty() && (answer.filtered || self.sees_no_node(datacenter).await?) {
            return Err(Error::AclFiltered);
        }
        // Without an index every question would be answered at once, in a circle.
        let index = answer
            .index
            .ok_or_else(|| Error::Malformed("the answer has no X-Consul-Index".to_owned()))?;
        Ok(Indexed {
            index,
            value: entries.into_iter().map(Instance::from).collect(),
        })
    }

    /// Whether the list of nodes is empty. A catalog always has a node, the server that
    /// answers, so only a token without `node:read` sees none; and it sees no service
    /// instance either. Versions that mark filtered answers make this needless, 1.8 does not.
    async fn sees_no_node(&self, datacenter: Option<&str>) -> Result<bool, Error> {
        let mut request = Request::new(Method::GET, "/v1/catalog/nodes", "");
        if let Some(datacenter) = datacenter {
            request = request.query("dc", datacenter);
        }
        let nodes: Vec<serde::de::IgnoredAny> = self.send(request).await?.json()?;
        Ok(nodes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn instance(service_address: &str, checks: impl Into<Value>) -> Instance {
        let entry = json!({
            "Node": { "Node": "n1", "Address": "10.0.0.9", "Datacenter": "dc1", "New": 1 },
            "Service": {
                "ID": "a", "Service": "web", "Address": service_address, "Port": 80,
                "Tags": null, "Meta": null, "Weights": { "Passing": 7, "Warning": 1 }
            },
            "Checks": checks.into()
        });
        serde_json::from_value::<Entry>(entry).unwrap().into()
    }

    #[test]
    fn health_is_the_worst_check() {
        let with = |states: &[&str]| {
            let checks: Value = states
                .iter()
                .map(|s| json!({ "CheckID": "c", "Status": s }))
                .collect();
            instance("", checks).health
        };
        assert_eq!(with(&[]), Status::Passing);
        assert_eq!(with(&["passing", "passing"]), Status::Passing);
        assert_eq!(with(&["passing", "warning"]), Status::Warning);
        assert_eq!(with(&["critical", "warning", "passing"]), Status::Critical);
    }

    #[test]
    fn maintenance_is_not_ill_health() {
        for id in ["_service_maintenance:a", "_node_maintenance"] {
            let instance = instance(
                "",
                json!([
                    { "CheckID": "c", "Status": "passing" },
                    { "CheckID": id, "Status": "critical", "Notes": "disk swap" }
                ]),
            );
            assert!(instance.maintenance);
            assert_eq!(instance.maintenance_reason, "disk swap");
            assert_eq!(instance.health, Status::Passing);
        }
    }

    #[test]
    fn the_node_lends_its_address() {
        assert_eq!(instance("", json!([])).address, "10.0.0.9");
        assert_eq!(instance("10.1.1.1", json!(null)).address, "10.1.1.1");
        assert_eq!(instance("", json!([])).weight_passing, 7);
    }
}
