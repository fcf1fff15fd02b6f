//! A request before it is sent: everything from outside is percent-encoded here.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::Error;

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Method, target, body and deadline.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) body: Option<Bytes>,
    pub(super) deadline: Option<Duration>,
}

impl Request {
    /// A request for `path`, a constant, followed by `name` as one encoded path segment.
    pub(super) fn new(method: Method, path: &'static str, name: &str) -> Self {
        let name = utf8_percent_encode(name, ENCODED);
        Self {
            method,
            target: format!("{path}{name}"),
            body: None,
            deadline: None,
        }
    }

    /// Adds a query parameter.
    pub(super) fn query(mut self, key: &'static str, value: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        let value = utf8_percent_encode(value, ENCODED);
        self.target = format!("{}{separator}{key}={value}", self.target);
        self
    }

    /// Adds a JSON body.
    pub(super) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let json = serde_json::to_vec(body).map_err(|error| Error::Config(error.to_string()))?;
        self.body = Some(json.into());
        Ok(self)
    }

    /// Asks Consul to hold the request up to `wait`. Consul adds up to a sixteenth to it, so
    /// the deadline is that and time for the answer to travel.
    pub(super) fn wait(mut self, wait: Duration) -> Self {
        self.deadline = Some(deadline(wait));
        // A wait without a unit is refused, and one of zero means five minutes.
        self.query("wait", &format!("{}ms", wait.as_millis().max(1)))
    }
}

/// How long an answer to a blocking query may take in all.
fn deadline(wait: Duration) -> Duration {
    wait.saturating_add(wait / 16)
        .saturating_add(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_encoded() {
        let request = Request::new(Method::GET, "/v1/health/service/", "a b/ü?&#")
            .query("tag", "x&y=z")
            .query("dc", "dc-1");
        assert_eq!(
            request.target,
            "/v1/health/service/a%20b%2F%C3%BC%3F%26%23?tag=x%26y%3Dz&dc=dc-1"
        );
    }

    #[test]
    fn a_wait_has_a_unit_and_a_deadline() {
        let request = Request::new(Method::GET, "/v1/x", "").wait(Duration::from_millis(500));
        assert_eq!(request.target, "/v1/x?wait=500ms");
        assert_eq!(
            deadline(Duration::from_secs(60)),
            Duration::from_millis(68_750)
        );
        let shortest = Request::new(Method::GET, "/v1/x", "").wait(Duration::ZERO);
        assert_eq!(shortest.target, "/v1/x?wait=1ms");
    }
}
