//! What can go wrong between us and Consul, and whether asking again can help.

use std::time::Duration;

use http::StatusCode;
use rackcast_service::tls::Refusal;

/// A failed request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error("consul: {0}")]
    Config(String),
    /// The token file cannot be read or does not hold a token.
    #[error("consul: token file: {0}")]
    Token(String),
    /// No connection, or it broke.
    #[error("consul: agent unreachable: {0}")]
    Unreachable(String),
    /// TLS failed: a certificate, Consul's or ours, is not what the other side takes.
    #[error("consul: TLS: {0}")]
    Tls(Refusal),
    /// The answer was not complete in time.
    #[error("consul: no complete answer within {0:?}")]
    TimedOut(Duration),
    /// 401 or 403: the token is missing, unknown or may not do this.
    #[error("consul: forbidden (check the token and its policy): {0}")]
    Forbidden(String),
    /// The answer is empty because the token may not see what was asked for. Taken at its
    /// word it would say that a service has no instance.
    #[error("consul: the answer was filtered by ACLs: the token needs node:read and service:read")]
    AclFiltered,
    /// 404: what was named does not exist.
    #[error("consul: not found: {0}")]
    NotFound(String),
    /// Any other 4xx: the request itself is wrong for this Consul, such as a field that its
    /// version does not know.
    #[error("consul: refused with {status}: {message}")]
    Refused {
        /// The status code.
        status: StatusCode,
        /// What Consul said.
        message: String,
    },
    /// 429: Consul limits our rate.
    #[error("consul: rate limited: {0}")]
    Busy(String),
    /// 5xx: no leader, no path to the datacenter, or a fault of the agent.
    #[error("consul: server error {status}: {message}")]
    Server {
        /// The status code.
        status: StatusCode,
        /// What Consul said.
        message: String,
    },
    /// The answer is larger than the configured limit.
    #[error("consul: answer larger than {0} bytes (answer_limit)")]
    TooLarge(usize),
    /// The answer is not what the API promises.
    #[error("consul: answer not understood: {0}")]
    Malformed(String),
}

impl Error {
    /// Whether the same request may succeed later without anybody changing a
    /// configuration, a policy or a version.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) | Self::Busy(_) | Self::Server { .. } => true,
            Self::Tls(refusal) => refusal.reason.retryable(),
            Self::Config(_)
            | Self::Token(_)
            | Self::Forbidden(_)
            | Self::AclFiltered
            | Self::NotFound(_)
            | Self::Refused { .. }
            | Self::TooLarge(_)
            | Self::Malformed(_) => false,
        }
    }

    /// The error that the loss of a connection means.
    pub(super) fn from_loss(error: &(dyn std::error::Error + 'static)) -> Self {
        match Refusal::of(error) {
            Some(refusal) => Self::Tls(refusal),
            None => Self::Unreachable(chain(error)),
        }
    }

    /// The error that an answer's status and body mean.
    pub(super) fn from_answer(status: StatusCode, body: &[u8]) -> Self {
        let message = summary(body);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Forbidden(message),
            StatusCode::NOT_FOUND => Self::NotFound(message),
            StatusCode::TOO_MANY_REQUESTS => Self::Busy(message),
            // Before 1.9 a token that no server knows is a 403 from some endpoints and a 500
            // from others.
            _ if message.contains("ACL not found") || message.contains("Permission denied") => {
                Self::Forbidden(message)
            }
            _ if status.is_server_error() => Self::Server { status, message },
            _ => Self::Refused { status, message },
        }
    }
}

/// An error with its causes: hyper hides "connection refused" two levels down.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The first line of a body, short enough for a log line.
fn summary(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..512).unwrap_or(body));
    text.trim().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_kinds() {
        let kind = |status: u16, body: &str| {
            Error::from_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert!(matches!(
            kind(403, "Permission denied"),
            Error::Forbidden(_)
        ));
        assert!(matches!(
            kind(500, "rpc error: ACL not found"),
            Error::Forbidden(_)
        ));
        assert!(matches!(kind(404, ""), Error::NotFound(_)));
        assert!(matches!(
            kind(400, "unknown field \"Ports\""),
            Error::Refused { .. }
        ));
        assert!(matches!(kind(429, ""), Error::Busy(_)));
        assert!(matches!(
            kind(500, "No cluster leader"),
            Error::Server { .. }
        ));
        assert!(kind(500, "No cluster leader").retryable());
        assert!(!kind(400, "").retryable());
    }

    #[test]
    fn a_long_body_becomes_one_short_line() {
        let body = "a\n".repeat(100_000);
        assert_eq!(summary(body.as_bytes()), "a");
        assert!(summary("x".repeat(100_000).as_bytes()).len() <= 512);
    }
}
