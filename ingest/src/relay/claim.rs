//! What two processes say to each other beside the request and its answer.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// On a request: how far it may be passed on. A player that sends it only sees less.
const SCOPE: HeaderName = HeaderName::from_static("rackcast-scope");
/// On an answer to a relayed request.
const CLAIM: HeaderName = HeaderName::from_static("rackcast-claim");

/// How far a request may still be passed on. Each hop makes it narrower, so nothing goes round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Only what the asked process holds itself.
    Process,
    /// That, and the other generations of its ingest.
    Ingest,
    /// Anywhere: it comes from a player.
    Fleet,
}

impl Scope {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(SCOPE).map(HeaderValue::as_bytes) {
            None => Self::Fleet,
            Some(b"ingest") => Self::Ingest,
            Some(_) => Self::Process,
        }
    }

    pub(super) fn put(self, headers: &mut HeaderMap) {
        let value = match self {
            Self::Process => "process",
            Self::Ingest => "ingest",
            Self::Fleet => return,
        };
        headers.insert(SCOPE, HeaderValue::from_static(value));
    }
}

/// Whose answer counts when several processes have one: the greatest; among equals the newer epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// It is what is left of a stream that may go on elsewhere: no publisher, and no end.
    Left,
    /// The stream is published there, and its playlist goes on with another process's.
    CarriesOn,
    /// It is the playlist of that process, with its publisher or its end; or what never changes.
    Strong,
}

impl Claim {
    /// Says it on an answer to another process. To versions before there were three, whatever is
    /// said is weak.
    pub fn put(self, headers: &mut HeaderMap) {
        let value = match self {
            Self::Left => "left",
            Self::CarriesOn => "carries-on",
            Self::Strong => return,
        };
        headers.insert(CLAIM, HeaderValue::from_static(value));
    }

    /// Reads it, and takes it off, since it is nothing to a player.
    pub(super) fn take(headers: &mut HeaderMap) -> Self {
        match headers.remove(CLAIM).as_ref().map(HeaderValue::as_bytes) {
            None => Self::Strong,
            Some(b"carries-on") => Self::CarriesOn,
            Some(_) => Self::Left,
        }
    }
}
