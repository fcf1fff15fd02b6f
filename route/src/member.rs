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

/// How far a node is trusted, as its certificate says.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// A machine of the operator's own. What has no certificate stands on a network that is
    /// trusted as a whole.
    #[default]
    Trusted,
    /// A machine of somebody else.
    ThirdParty,
}

impl Tier {
    /// As it stands in certificates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::ThirdParty => "third-party",
        }
    }
}

/// Where a node listens, as `host:port` (an IPv6 address stands in brackets), and who must be
/// found there. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Endpoint {
    address: Arc<str>,
    proof: Option<Proof>,
}

/// What whoever answers must prove by a certificate before it is sent anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Proof {
    identity: Arc<str>,
    tier: Tier,
}

impl Endpoint {
    /// From a host name or address and a port; spoken to in cleartext.
    pub fn new(host: &str, port: u16) -> Self {
        let v6 = host.contains(':') && !host.starts_with('[');
        let address = if v6 {
            format!("[{host}]:{port}").into()
        } else {
            format!("{host}:{port}").into()
        };
        let proof = None;
        Self { address, proof }
    }

    /// The same, over TLS, and only to the holder of this identity and tier.
    #[must_use]
    pub fn proven(self, identity: &str, tier: Tier) -> Self {
        let identity = identity.into();
        Self {
            proof: Some(Proof { identity, tier }),
            ..self
        }
    }

    /// As `host:port`: what to connect to, and the authority of the requests sent there.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// Who must answer, where TLS is spoken.
    pub fn identity(&self) -> Option<&str> {
        self.proof.as_ref().map(|proof| proof.identity.as_ref())
    }

    /// How far the node is trusted.
    pub fn tier(&self) -> Tier {
        self.proof
            .as_ref()
            .map(|proof| proof.tier)
            .unwrap_or_default()
    }

    /// The scheme of requests sent there.
    pub fn scheme(&self) -> &'static str {
        match self.proof {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// An endpoint in a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Cleartext(String),
    Proven {
        address: String,
        identity: String,
        tier: Tier,
    },
}

impl From<Written> for Endpoint {
    fn from(written: Written) -> Self {
        let (address, proof) = match written {
            Written::Cleartext(address) => (address, None),
            Written::Proven {
                address,
                identity,
                tier,
            } => {
                let identity = identity.into();
                (address, Some(Proof { identity, tier }))
            }
        };
        Self {
            address: address.into(),
            proof,
        }
    }
}

impl From<Endpoint> for Written {
    fn from(endpoint: Endpoint) -> Self {
        let address = endpoint.address.as_ref().to_owned();
        match endpoint.proof {
            None => Self::Cleartext(address),
            Some(Proof { identity, tier }) => Self::Proven {
                address,
                identity: identity.as_ref().to_owned(),
                tier,
            },
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
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
