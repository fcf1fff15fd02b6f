//! Who a certificate says that its holder is.
//!
//! One URI among the subject alternative names, a SPIFFE ID, so that any authority that issues
//! those can issue ours:
//!
//! ```text
//! spiffe://<trust domain>/rackcast/<role>/<tier>/<node>
//! spiffe://video.example/rackcast/transcode/trusted/gpu-7
//! ```
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::status::Role;

/// What a SPIFFE ID begins with.
const SCHEME: &str = "spiffe://";
/// The first part of the path: the same trust domain may name things that are not ours.
const APPLICATION: &str = "rackcast";
/// The longest trust domain and the longest SPIFFE ID, in bytes.
const MAX_DOMAIN: usize = 255;
const MAX_ID: usize = 2048;

/// How far a member of the fleet is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// A machine of the operator's own.
    Trusted,
    /// A machine of somebody else: it gets segments and nothing more.
    ThirdParty,
}

impl Tier {
    /// As it stands in an identity.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::ThirdParty => "third-party",
        }
    }
}

/// A member of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The trust domain: the fleet whose authority answers for it.
    pub domain: String,
    /// What it does.
    pub role: Role,
    /// How far it is trusted.
    pub tier: Tier,
    /// The machine's name in the fleet.
    pub node: String,
}

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be read.
    #[error("the certificate is malformed: {0}")]
    Certificate(String),
    /// It has no SPIFFE ID.
    #[error("the certificate has no URI {SCHEME}... among its subject alternative names")]
    None,
    /// It has more than one, and nobody could say which counts.
    #[error("the certificate has several URIs {SCHEME}...; exactly one is needed")]
    Several,
    /// It has one that is not ours.
    #[error(
        "{0:?} is no identity: {SCHEME}DOMAIN/{APPLICATION}/(ingest|transcode|agent)/\
         (trusted|third-party)/NODE is needed"
    )]
    Foreign(String),
}

impl Identity {
    /// The identity in a certificate. It is true only if the certificate is.
    ///
    /// # Errors
    /// The certificate names no member, or is malformed.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let certificate = EndEntityCert::try_from(certificate)
            .map_err(|e| IdentityError::Certificate(e.to_string()))?;
        let mut ids = certificate
            .valid_uri_names()
            .filter(|uri| uri.starts_with(SCHEME));
        match (ids.next(), ids.next()) {
            (None, _) => Err(IdentityError::None),
            (Some(id), None) => id.parse(),
            (Some(_), Some(_)) => Err(IdentityError::Several),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(id: &str) -> Result<Self, IdentityError> {
        parse(id).ok_or_else(|| IdentityError::Foreign(id.chars().take(MAX_DOMAIN).collect()))
    }
}

fn parse(id: &str) -> Option<Identity> {
    if id.len() > MAX_ID {
        return None;
    }
    let mut parts = id.strip_prefix(SCHEME)?.split('/');
    let (domain, application) = (parts.next()?, parts.next()?);
    let (role, tier, node) = (parts.next()?, parts.next()?, parts.next()?);
    let role = match role {
        "ingest" => Role::Ingest,
        "transcode" => Role::Transcode,
        "agent" => Role::Agent,
        _ => return None,
    };
    let tier = match tier {
        "trusted" => Tier::Trusted,
        "third-party" => Tier::ThirdParty,
        _ => return None,
    };
    let fits = application == APPLICATION
        && is_domain(domain)
        && is_segment(node)
        && parts.next().is_none();
    fits.then(|| Identity {
        domain: domain.to_owned(),
        role,
        tier,
        node: node.to_owned(),
    })
}

/// Whether a name can stand as a node's in an identity.
pub fn is_node_name(name: &str) -> bool {
    is_segment(name)
}

/// A path segment of a SPIFFE ID.
fn is_segment(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(allowed) && text != "." && text != ".."
}

fn is_domain(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.len() <= MAX_DOMAIN && text.chars().all(allowed)
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            role,
            tier,
            node,
        } = self;
        let tier = tier.as_str();
        write!(f, "{SCHEME}{domain}/{APPLICATION}/{role}/{tier}/{node}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_identity_says_role_tier_and_node() {
        let text = "spiffe://video.example/rackcast/transcode/third-party/gpu-7.lab";
        let identity: Identity = text.parse().unwrap();
        let expected = Identity {
            domain: "video.example".to_owned(),
            role: Role::Transcode,
            tier: Tier::ThirdParty,
            node: "gpu-7.lab".to_owned(),
        };
        assert_eq!(identity, expected);
        assert_eq!(identity.to_string(), text);
    }

    #[test]
    fn what_is_not_exactly_one_is_none() {
        for text in [
            "",
            "spiffe://",
            "https://video.example/rackcast/transcode/trusted/n",
            "spiffe://video.example/other/transcode/trusted/n",
            "spiffe://video.example/rackcast/transcode/trusted",
            "spiffe://video.example/rackcast/transcode/trusted/",
            "spiffe://video.example/rackcast/transcode/trusted/n/",
            "spiffe://video.example/rackcast/transcode/trusted/n/1",
            "spiffe://video.example/rackcast/transcode/trusted/..",
            "spiffe://video.example/rackcast/transcode/trusted/a b",
            "spiffe://video.example/rackcast/transcode/trusted/n?x",
            "spiffe://video.example/rackcast/transcode/Trusted/n",
            "spiffe://video.example/rackcast/root/trusted/n",
            "spiffe://Video.example/rackcast/ingest/trusted/n",
            "spiffe://user@video.example/rackcast/ingest/trusted/n",
            "spiffe://video.example:1/rackcast/ingest/trusted/n",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_read_is_written_the_same(
            id in "(spiffe://)?[a-zA-Z/.]{0,9}(/rackcast)?(/(ingest|transcode|agent|x))?(/(trusted|third-party))?(/.{0,9})?",
        ) {
            if let Ok(identity) = id.parse::<Identity>() {
                prop_assert_eq!(identity.to_string(), id);
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(Identity::of(&bytes.into()).is_err());
        }
    }
}
