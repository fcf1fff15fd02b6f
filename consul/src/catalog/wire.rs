//! Registrations as clients send them. A field that is not here is refused, as Consul
//! refuses what its version does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::go::parse_duration;
use crate::register::{Status, Weights};

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub(super) struct ServiceDefinition {
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) tags: Vec<String>,
    pub(super) address: String,
    pub(super) port: u16,
    #[serde(deserialize_with = "or_default")]
    pub(super) meta: BTreeMap<String, String>,
    #[serde(deserialize_with = "weights")]
    pub(super) weights: Weights,
    pub(super) enable_tag_override: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) tagged_addresses: BTreeMap<String, Value>,
    pub(super) check: Option<CheckDefinition>,
    #[serde(deserialize_with = "or_default")]
    pub(super) checks: Vec<CheckDefinition>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub(super) struct CheckDefinition {
    #[serde(rename = "CheckID")]
    pub(super) check_id: String,
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) name: String,
    pub(super) notes: String,
    pub(super) status: String,
    #[serde(rename = "ServiceID")]
    pub(super) service_id: String,
    #[serde(rename = "TTL", deserialize_with = "duration")]
    pub(super) ttl: Duration,
    #[serde(rename = "HTTP")]
    pub(super) http: String,
    pub(super) method: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) header: BTreeMap<String, Vec<String>>,
    pub(super) body: String,
    #[serde(rename = "TCP")]
    pub(super) tcp: String,
    #[serde(deserialize_with = "duration")]
    pub(super) interval: Duration,
    #[serde(deserialize_with = "duration")]
    pub(super) timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub(super) deregister_critical_service_after: Duration,
    pub(super) success_before_passing: u32,
    pub(super) failures_before_critical: u32,
    pub(super) output_max_size: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct CheckUpdate {
    pub(super) status: String,
    #[serde(default)]
    pub(super) output: String,
}

/// How a check finds out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Ttl(Duration),
    Http(HttpPoll),
    Tcp(TcpPoll),
    Maintenance,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct HttpPoll {
    pub(super) url: String,
    pub(super) method: String,
    pub(super) header: BTreeMap<String, Vec<String>>,
    pub(super) body: String,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct TcpPoll {
    pub(super) address: String,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// Checks without a timeout of their own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl CheckDefinition {
    /// What the check does, or why it makes no sense.
    pub(super) fn kind(&self) -> Result<Kind, String> {
        let timeout = match self.timeout.is_zero() {
            true => DEFAULT_TIMEOUT,
            false => self.timeout,
        };
        let interval = self.interval;
        let polls = !self.http.is_empty() || !self.tcp.is_empty();
        if polls && interval.is_zero() {
            return Err("Interval must be > 0 for Script, HTTP, or TCP checks".to_owned());
        }
        if !interval.is_zero() && !self.ttl.is_zero() {
            return Err("Interval and TTL cannot both be specified".to_owned());
        }
        if !self.http.is_empty() {
            let method = if self.method.is_empty() {
                "GET".to_owned()
            } else {
                self.method.clone()
            };
            let (header, body) = (self.header.clone(), self.body.clone());
            return Ok(Kind::Http(HttpPoll {
                url: self.http.clone(),
                method,
                header,
                body,
                interval,
                timeout,
            }));
        }
        if !self.tcp.is_empty() {
            return Ok(Kind::Tcp(TcpPoll {
                address: self.tcp.clone(),
                interval,
                timeout,
            }));
        }
        match self.ttl.is_zero() {
            true => Err("TTL must be > 0 for TTL checks".to_owned()),
            false => Ok(Kind::Ttl(self.ttl)),
        }
    }

    /// The state to start in.
    pub(super) fn status(&self) -> Result<Status, String> {
        match self.status.as_str() {
            "" => Ok(Status::Critical),
            text => parse_status(text).ok_or_else(|| {
                "Status for checks must 'passing', 'warning', 'critical'".to_owned()
            }),
        }
    }
}

pub(super) fn parse_status(text: &str) -> Option<Status> {
    [Status::Passing, Status::Warning, Status::Critical]
        .into_iter()
        .find(|s| s.name() == text)
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Numbers below 1 for passing are refused later, so they must be readable.
fn weights<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Weights, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
    struct Signed {
        passing: i64,
        warning: i64,
    }
    let Some(signed) = Option::<Signed>::deserialize(deserializer)? else {
        return Ok(Weights::default());
    };
    let fail =
        |what| serde::de::Error::custom(format!("Invalid Weights: {what} must be greater than 0"));
    match (u32::try_from(signed.passing), u32::try_from(signed.warning)) {
        (Err(_) | Ok(0), _) => Err(fail("Passing")),
        (_, Err(_)) => Err(fail("Warning")),
        (Ok(passing), Ok(warning)) => Ok(Weights { passing, warning }),
    }
}

/// Go durations, or a number of nanoseconds.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Nanoseconds(u64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Nanoseconds(nanoseconds) => Ok(Duration::from_nanos(nanoseconds)),
        Either::Text(text) if text.is_empty() => Ok(Duration::ZERO),
        Either::Text(text) => parse_duration(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("time: invalid duration \"{text}\""))),
    }
}
