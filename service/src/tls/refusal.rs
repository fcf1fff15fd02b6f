//! Why a handshake failed, named so that an operator knows where to look.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, OtherError};

use super::identity::{Identity, IdentityError};
use crate::status::Role;

/// Why, in one word: the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The peer showed no certificate.
    NoCertificate,
    /// Nobody whom we trust vouches for its certificate.
    UnknownAuthority,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet: one of the clocks may be wrong.
    NotYetValid,
    /// Its certificate names a member, and not the one that was called.
    WrongNode,
    /// Its certificate names a member with another role.
    WrongRole,
    /// Its certificate names a member of another tier than the catalog says.
    WrongTier,
    /// Its certificate is of another trust domain.
    WrongDomain,
    /// Its certificate is for another host name.
    WrongName,
    /// Its certificate names no member of a fleet.
    NoIdentity,
    /// Its certificate may not be used for this (extended key usage).
    WrongPurpose,
    /// Its certificate is malformed, revoked, or wrongly signed.
    BadCertificate,
    /// It refused us, and said so: its log says why.
    RefusedUs,
    /// It does not speak TLS.
    NotTls,
    /// It speaks no version, cipher or protocol that we do.
    Incompatible,
    /// The handshake took too long.
    Timeout,
    /// It went away.
    Closed,
    /// Anything else.
    Other,
}

impl Reason {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::UnknownAuthority => "unknown-authority",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongNode => "wrong-node",
            Self::WrongRole => "wrong-role",
            Self::WrongTier => "wrong-tier",
            Self::WrongDomain => "wrong-domain",
            Self::WrongName => "wrong-name",
            Self::NoIdentity => "no-identity",
            Self::WrongPurpose => "wrong-purpose",
            Self::BadCertificate => "bad-certificate",
            Self::RefusedUs => "refused-us",
            Self::NotTls => "not-tls",
            Self::Incompatible => "incompatible",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Other => "other",
        }
    }

    /// Whether another attempt may succeed without anybody doing anything.
    pub fn retryable(self) -> bool {
        matches!(self, Self::Timeout | Self::Closed | Self::Other)
    }
}

/// A handshake that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in one line. It may quote what the peer's certificate says.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::other(refusal)
    }
}

impl Refusal {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    pub(super) fn from_io(error: &io::Error) -> Self {
        Self::of(error).unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::new(Reason::Closed, "it closed the connection"),
            io::ErrorKind::TimedOut => Self::new(Reason::Timeout, "the handshake took too long"),
            _ => Self::new(Reason::Other, error.to_string()),
        })
    }

    /// The failure of TLS among an error and its causes, if there is one.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refusal) = error.downcast_ref::<Self>() {
                return Some(refusal.clone());
            }
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(tls.into());
            }
            // What an I/O error wraps is not among its sources.
            let inner = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            if let Some(refusal) = inner.and_then(|inner| Self::of(inner)) {
                return Some(refusal);
            }
            cause = error.source();
        }
        None
    }
}

impl From<&rustls::Error> for Refusal {
    fn from(error: &rustls::Error) -> Self {
        use rustls::Error as E;
        let reason = match error {
            E::NoCertificatesPresented => {
                return Self::new(Reason::NoCertificate, "it showed no certificate");
            }
            E::InvalidCertificate(certificate) => return certificate.into(),
            E::AlertReceived(alert) => {
                let meaning = meaning(*alert);
                return Self::new(Reason::RefusedUs, format!("it refused us: {meaning}"));
            }
            E::InvalidMessage(_) => Reason::NotTls,
            E::PeerIncompatible(_) | E::NoApplicationProtocol => Reason::Incompatible,
            _ => Reason::Other,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<&CertificateError> for Refusal {
    fn from(error: &CertificateError) -> Self {
        use CertificateError as E;
        let reason = match error {
            E::Other(OtherError(inner)) => {
                if let Some(stranger) = inner.downcast_ref::<Stranger>() {
                    return Self::new(stranger.reason(), stranger.to_string());
                }
                Reason::BadCertificate
            }
            E::Expired | E::ExpiredContext { .. } => Reason::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => Reason::NotYetValid,
            E::UnknownIssuer => {
                let detail = "no authority that is trusted here vouches for its certificate";
                return Self::new(Reason::UnknownAuthority, detail);
            }
            E::NotValidForName | E::NotValidForNameContext { .. } => Reason::WrongName,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Reason::WrongPurpose,
            _ => Reason::BadCertificate,
        };
        Self::new(reason, format!("its certificate is refused: {error}"))
    }
}

/// What an alert means to an operator.
fn meaning(alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => "it wants a certificate and got none".to_owned(),
        A::UnknownCA => "our certificate's authority is unknown to it".to_owned(),
        A::CertificateExpired => "our certificate has expired, or its clock is wrong".to_owned(),
        A::BadCertificate | A::CertificateUnknown | A::AccessDenied => {
            "our certificate is not of one that it serves".to_owned()
        }
        other => format!("alert {other:?}"),
    }
}

/// A peer with a true certificate that is not the one that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stranger {
    #[error(transparent)]
    NoIdentity(#[from] IdentityError),
    #[error("its certificate names {found}, and only members of {wanted} are served")]
    Domain { found: Identity, wanted: String },
    #[error("its certificate names {found}, and here an {wanted} is served")]
    Role { found: Identity, wanted: Role },
    #[error("its certificate names {found}, and {wanted} was called")]
    Node { found: Identity, wanted: Identity },
    #[error("its certificate names {found}, and the catalog says {wanted}")]
    Tier { found: Identity, wanted: Identity },
}

impl Stranger {
    fn reason(&self) -> Reason {
        match self {
            Self::NoIdentity(_) => Reason::NoIdentity,
            Self::Domain { .. } => Reason::WrongDomain,
            Self::Role { .. } => Reason::WrongRole,
            Self::Node { .. } => Reason::WrongNode,
            Self::Tier { .. } => Reason::WrongTier,
        }
    }
}

impl From<Stranger> for rustls::Error {
    fn from(stranger: Stranger) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(stranger))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_under_what_wraps_it() {
        let tls = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        let refusal = Refusal::of(&wrapped).unwrap();
        assert_eq!(refusal.reason, Reason::RefusedUs);
        assert!(refusal.detail.contains("authority is unknown"), "{refusal}");
        let again = io::Error::from(refusal.clone());
        assert_eq!(Refusal::of(&again), Some(refusal));
        assert_eq!(Refusal::of(&io::Error::other("x")), None);
    }
}
