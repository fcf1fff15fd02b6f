use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A node's name: the ID under which it stands in the catalog. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for NodeId {
    fn from(s: &str) -> Self {
        Self(s.into())
    }
}

impl From<String> for NodeId {
    fn from(s: String) -> Self {
        Self(s.into())
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a node listens, as `host:port`; an IPv6 address stands in brackets. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Endpoint(Arc<str>);

impl Endpoint {
    /// From a host name or address and a port.
    pub fn new(host: &str, port: u16) -> Self {
        let v6 = host.contains(':') && !host.starts_with('[');
        Self(if v6 {
            format!("[{host}]:{port}").into()
        } else {
            format!("{host}:{port}").into()
        })
    }

    /// As `host:port`: what to connect to, and the authority of the requests sent there.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Endpoint {
    fn from(s: String) -> Self {
        Self(s.into())
    }
}

impl From<Endpoint> for String {
    fn from(e: Endpoint) -> Self {
        e.0.as_ref().to_owned()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the catalog says of a node. Its numbers are claims: where to start, until measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its ID in the catalog.
    pub id: NodeId,
    /// Its zone; empty where none is named.
    pub zone: String,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Segments that it transcodes side by side; 0 counts as 1.
    pub slots: u32,
    /// Output pixels a second of the whole node, at calibration; `None` while unknown.
    pub pixel_rate: Option<f64>,
    /// Its share among nodes that are otherwise equal; 0 counts as 1.
    pub weight: u32,
}

/// What a node says of its own load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Segments that it transcodes side by side.
    pub slots: u32,
    /// Segments running or admitted and waiting, from whomever they came.
    pub jobs: u32,
    /// It admits nothing new.
    pub draining: bool,
}
