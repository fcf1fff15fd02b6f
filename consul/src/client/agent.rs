//! What the agent of this machine knows: its services and their checks.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};

use super::{Client, Error, Request};
use crate::register::{Registration, Status, Weights};

/// A service as the agent holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AgentService {
    /// Unique on the agent.
    #[serde(rename = "ID")]
    pub id: String,
    /// The name that it is found by.
    #[serde(rename = "Service")]
    pub name: String,
    /// Tags.
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
    /// Host or IP address; the node's own if empty.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Meta.
    #[serde(deserialize_with = "or_default")]
    pub meta: BTreeMap<String, String>,
    /// Share of the work by health.
    pub weights: Weights,
}

/// A check as the agent holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AgentCheck {
    /// Unique on the agent.
    #[serde(rename = "CheckID")]
    pub id: String,
    /// For people.
    pub name: String,
    /// Its health now.
    pub status: Status,
    /// For people; of a maintenance check, the reason.
    pub notes: String,
    /// Last result in words.
    pub output: String,
    /// The service that it belongs to, or empty for the node's own.
    #[serde(rename = "ServiceID")]
    pub service_id: String,
    /// `ttl`, `http`, ...; empty in versions that do not say.
    #[serde(rename = "Type")]
    pub kind: String,
}

/// `null` where an object or a list is meant is how Go writes an empty one.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A service with the hash by which a change of it can be waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// Pass it to the next call to wait until the service differs.
    pub hash: Option<String>,
    /// The service.
    pub service: AgentService,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckUpdate<'a> {
    status: Status,
    output: &'a str,
}

impl Client {
    /// Registers a service with its checks, replacing what was registered under its ID.
    /// Checks that it no longer has are removed; those that it keeps keep their status.
    pub async fn register_service(&self, registration: &Registration) -> Result<(), Error> {
        let request = Request::new(Method::PUT, "/v1/agent/service/register", "")
            .query("replace-existing-checks", "true")
            .json(registration)?;
        self.send(request).await.map(drop)
    }

    /// Removes a service. One that does not exist is removed already.
    pub async fn deregister_service(&self, id: &str) -> Result<(), Error> {
        let request = Request::new(Method::PUT, "/v1/agent/service/deregister/", id);
        match self.send(request).await {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reports the state of a TTL check. `output` should stay the same while the state does.
    /// `Ok(false)` means that the agent does not know the check: the registration is lost.
    pub async fn update_ttl(
        &self,
        check: &str,
        status: Status,
        output: &str,
    ) -> Result<bool, Error> {
        let request = Request::new(Method::PUT, "/v1/agent/check/update/", check)
            .json(&CheckUpdate { status, output })?;
        match self.send(request).await {
            Ok(_) => Ok(true),
            // 404 from 1.9 on, 500 before: only a look at the agent can tell what is lost.
            Err(Error::NotFound(_) | Error::Server { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts a service into maintenance, or ends it with `None`.
    pub async fn set_maintenance(&self, id: &str, reason: Option<&str>) -> Result<(), Error> {
        let request = Request::new(Method::PUT, "/v1/agent/service/maintenance/", id)
            .query("enable", if reason.is_some() { "true" } else { "false" })
            .query("reason", reason.unwrap_or_default());
        self.send(request).await.map(drop)
    }

    /// All services of this agent by ID, also those that others registered.
    pub async fn agent_services(&self) -> Result<BTreeMap<String, AgentService>, Error> {
        self.send(Request::new(Method::GET, "/v1/agent/services", ""))
            .await?
            .json()
    }

    /// All checks of this agent by ID.
    pub async fn agent_checks(&self) -> Result<BTreeMap<String, AgentCheck>, Error> {
        self.send(Request::new(Method::GET, "/v1/agent/checks", ""))
            .await?
            .json()
    }

    /// One service, or `None` if the agent does not have it. With the `hash` of an earlier
    /// answer it waits up to `wait` for a difference; a loss is answered at once.
    pub async fn agent_service(
        &self,
        id: &str,
        hash: Option<&str>,
        wait: Duration,
    ) -> Result<Option<Hashed>, Error> {
        let mut request = Request::new(Method::GET, "/v1/agent/service/", id);
        if let Some(hash) = hash {
            request = request.query("hash", hash).wait(wait);
        }
        match self.send(request).await {
            Ok(answer) => Ok(Some(Hashed {
                service: answer.json()?,
                hash: answer.content_hash,
            })),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
