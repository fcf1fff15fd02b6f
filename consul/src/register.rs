//! What a service says of itself to Consul.
//!
//! Consul 1.8 refuses a registration with a field that it does not know, so only fields
//! that every version since then accepts exist here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// Meta key that names who keeps a registration true. Nobody else touches it.
pub const OWNER: &str = "rackcast-owner";

/// A service and its checks, registered together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// The service.
    #[serde(flatten)]
    pub service: Service,
    /// Its checks.
    #[serde(rename = "Checks")]
    pub checks: Vec<Check>,
}

/// A service instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Service {
    /// Unique on the agent: `<prefix>-<role>-<node>-<instance>`.
    #[serde(rename = "ID")]
    pub id: String,
    /// The name that it is found by.
    pub name: String,
    /// Tags, in an order that does not change.
    pub tags: Vec<String>,
    /// Host or IP address that clients use; the node's own if empty.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Facts that do not change while it runs. Never load: each change is sent to every
    /// watcher.
    pub meta: BTreeMap<String, String>,
    /// Share of the work by health, for DNS and for clients.
    pub weights: Weights,
}

/// Share of the work that an instance should get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weights {
    /// While passing; at least 1.
    pub passing: u32,
    /// While warning.
    pub warning: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            passing: 1,
            warning: 1,
        }
    }
}

/// A health check of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Check {
    /// Unique on the agent, such as `<service id>:devices`.
    #[serde(rename = "CheckID")]
    pub id: String,
    /// For people.
    pub name: String,
    /// How it is found out.
    #[serde(flatten)]
    pub kind: CheckKind,
    /// Until the first result. Without it Consul starts a check as critical.
    pub status: Status,
    /// Consul removes the service once it was critical for so long; at least a minute.
    #[serde(
        rename = "DeregisterCriticalServiceAfter",
        serialize_with = "go_optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub deregister_after: Option<Duration>,
}

/// How a check finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CheckKind {
    /// The owner reports; silence for this long is critical.
    Ttl {
        /// Longest silence.
        #[serde(rename = "TTL", serialize_with = "go_duration")]
        ttl: Duration,
    },
    /// Consul's agent asks by HTTP: 2xx is passing, 429 warning, anything else critical.
    Http {
        /// What it asks for, by GET.
        #[serde(rename = "HTTP")]
        url: String,
        /// How often.
        #[serde(rename = "Interval", serialize_with = "go_duration")]
        interval: Duration,
        /// Longest time for an answer.
        #[serde(rename = "Timeout", serialize_with = "go_duration")]
        timeout: Duration,
    },
    /// Consul's agent connects: accepted is passing.
    Tcp {
        /// `HOST:PORT`.
        #[serde(rename = "TCP")]
        address: String,
        /// How often.
        #[serde(rename = "Interval", serialize_with = "go_duration")]
        interval: Duration,
        /// Longest time for the connection to be made.
        #[serde(rename = "Timeout", serialize_with = "go_duration")]
        timeout: Duration,
    },
}

impl CheckKind {
    /// Consul's name of the kind.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ttl { .. } => "ttl",
            Self::Http { .. } => "http",
            Self::Tcp { .. } => "tcp",
        }
    }
}

/// Health of a check, from best to worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Fit for work.
    Passing,
    /// Fit, with something to look at.
    Warning,
    /// Not fit; what any state that we do not know is taken for.
    #[default]
    #[serde(other)]
    Critical,
}

impl Status {
    /// Consul's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes a duration as Go reads it.
fn go_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}ms", duration.as_millis()))
}

fn go_optional_duration<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => go_duration(duration, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_json_is_what_consul_1_8_accepts() {
        let registration = Registration {
            service: Service {
                id: "rackcast-ingest-n1-a".into(),
                name: "rackcast-ingest".into(),
                tags: vec!["rtmp".into()],
                address: "10.0.0.1".into(),
                port: 1935,
                meta: [(OWNER.to_owned(), "agent-n1".to_owned())].into(),
                weights: Weights {
                    passing: 8,
                    warning: 1,
                },
            },
            checks: vec![
                Check {
                    id: "ttl".into(),
                    name: "devices".into(),
                    kind: CheckKind::Ttl {
                        ttl: Duration::from_secs(15),
                    },
                    status: Status::Warning,
                    deregister_after: Some(Duration::from_secs(600)),
                },
                Check {
                    id: "http".into(),
                    name: "healthz".into(),
                    kind: CheckKind::Http {
                        url: "http://10.0.0.1:9000/healthz".into(),
                        interval: Duration::from_secs(5),
                        timeout: Duration::from_millis(1_500),
                    },
                    status: Status::Critical,
                    deregister_after: None,
                },
            ],
        };
        assert_eq!(
            serde_json::to_value(&registration).unwrap(),
            json!({
                "ID": "rackcast-ingest-n1-a",
                "Name": "rackcast-ingest",
                "Tags": ["rtmp"],
                "Address": "10.0.0.1",
                "Port": 1935,
                "Meta": { "rackcast-owner": "agent-n1" },
                "Weights": { "Passing": 8, "Warning": 1 },
                "Checks": [
                    {
                        "CheckID": "ttl",
                        "Name": "devices",
                        "TTL": "15000ms",
                        "Status": "warning",
                        "DeregisterCriticalServiceAfter": "600000ms"
                    },
                    {
                        "CheckID": "http",
                        "Name": "healthz",
                        "HTTP": "http://10.0.0.1:9000/healthz",
                        "Interval": "5000ms",
                        "Timeout": "1500ms",
                        "Status": "critical"
                    }
                ]
            })
        );
    }

    #[test]
    fn an_unknown_state_is_critical() {
        let read = |text: &str| serde_json::from_value::<Status>(json!(text)).unwrap();
        assert_eq!(read("passing"), Status::Passing);
        assert_eq!(read("warning"), Status::Warning);
        assert_eq!(read("something-new"), Status::Critical);
    }
}
