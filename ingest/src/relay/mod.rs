//! Answers of another process: HLS of a stream that this one has not.
//!
//! A stream lives in one process: a generation of an ingest, on one machine. Who is asked for it
//! need not be that one. An older generation keeps its streams while the newest takes all HTTP,
//! and a player may be sent to any ingest of the fleet. Whoever has not what is asked for passes
//! the request on over a [`Relay`] and the answer back: headers as they are, the body frame by
//! frame as it comes, nothing copied, nothing kept.
//!
//! | Bound | By |
//! |---|---|
//! | hops | [`Scope`]: a relayed request is relayed less far, an answer comes after two hops at most |
//! | requests at a time | `relay.max_requests` to each process, until the body's last byte |
//! | time to the answer's head | `relay.head_timeout` |
//! | time between two frames of a body | `relay.body_timeout` |
//! | idle connections | `relay.idle_connections` to each process |
//!
//! A process that does not answer costs its own streams and nothing else: the request goes on to
//! the next, and in the end is answered as what is not here. When several have something, the
//! [`Claim`] in an answer says whose it is.

mod body;
mod claim;
mod config;
mod connect;
mod metrics;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use body::Body;
pub use claim::{Claim, Scope};
pub use config::Config;
pub use connect::Place;
pub use metrics::Metrics;

use connect::Connector;

/// What a relayed request takes along: what the answer depends on.
const PASSED_ON: [HeaderName; 4] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_NONE_MATCH,
    header::ACCEPT,
];
/// What concerns one connection and must not be passed back (RFC 9110, 7.6.1).
const OF_A_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TRAILER,
    header::TE,
    HeaderName::from_static("keep-alive"),
];

/// Why another process gave no answer. Each may be gone at the next request.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// `relay.max_requests` are under way to it.
    #[error("as many requests as relay.max_requests allows are under way")]
    Busy,
    /// It did not answer in time.
    #[error("it did not answer within relay.head_timeout")]
    Late,
    /// It cannot be reached, or broke off.
    #[error("it cannot be asked: {0}")]
    Failed(#[from] ClientError),
    /// The request cannot be written anew.
    #[error("the request cannot be passed on: {0}")]
    Request(#[from] http::Error),
}

/// The way to one other process. Clones share its connections and bounds.
#[derive(Debug, Clone)]
pub struct Relay {
    kind: &'static str,
    place: Place,
    scope: Scope,
    client: Client<Connector, Empty<Bytes>>,
    room: Arc<Semaphore>,
    config: Arc<Config>,
    metrics: Metrics,
}

impl Relay {
    /// A way to the process at `place`, which is told to look no further than `scope`. `kind` is
    /// what metrics call it: `generation`, `ingest`.
    pub fn new(
        kind: &'static str,
        place: Place,
        scope: Scope,
        config: Arc<Config>,
        metrics: Metrics,
    ) -> Self {
        let mut client = Client::builder(TokioExecutor::new());
        client
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(config.idle_connections);
        Self {
            kind,
            client: client.build(Connector::new(place.clone(), config.head_timeout)),
            place,
            scope,
            room: Arc::new(Semaphore::new(config.max_requests)),
            config,
            metrics,
        }
    }

    /// Where it leads.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Asks the other process. `None`: it has not what is asked for.
    ///
    /// # Errors
    /// [`RelayError`]: it may have it, and could not say so.
    pub async fn fetch(&self, asked: &Parts) -> Result<Option<Response<Body>>, RelayError> {
        let answer = self.ask(asked).await;
        let result = match &answer {
            Ok(Some(_)) => "answered",
            Ok(None) => "missing",
            Err(RelayError::Busy) => "busy",
            Err(RelayError::Late) => "late",
            Err(_) => "failed",
        };
        self.metrics.asked(self.kind, result);
        if let Err(e) = &answer {
            log::debug!(rackcast_peer = self.place.to_string(); "a request could not be relayed: {e}");
        }
        answer
    }

    async fn ask(&self, asked: &Parts) -> Result<Option<Response<Body>>, RelayError> {
        let permit = Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| RelayError::Busy)?;
        let response = self.client.request(self.rewritten(asked)?);
        let response = timeout(self.config.head_timeout, response)
            .await
            .map_err(|_| RelayError::Late)??;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let (mut head, body) = response.into_parts();
        for name in OF_A_CONNECTION {
            head.headers.remove(name);
        }
        let sent = self.metrics.sent(self.kind);
        let body = Body::relayed(body, self.config.body_timeout, permit, sent);
        Ok(Some(Response::from_parts(head, body)))
    }

    /// The same request, from this process.
    fn rewritten(&self, asked: &Parts) -> Result<Request<Empty<Bytes>>, http::Error> {
        let path = asked.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.place.authority())
            .path_and_query(path)
            .build()?;
        let method = match asked.method {
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Empty::new())?;
        let headers = request.headers_mut();
        for name in PASSED_ON {
            for value in asked.headers.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        self.scope.put(headers);
        Ok(request)
    }
}

/// Asks each of these in turn, until one has a strong [`Claim`]; the greatest that there is.
pub async fn first(relays: &[Relay], asked: &Parts) -> Option<(Claim, Response<Body>)> {
    let mut best: Option<(Claim, Response<Body>)> = None;
    for relay in relays {
        // What is wrong with it is counted and logged where it was asked.
        let Ok(Some(mut response)) = relay.fetch(asked).await else {
            continue;
        };
        let claim = Claim::take(response.headers_mut());
        if best.as_ref().is_none_or(|(best, _)| *best < claim) {
            best = Some((claim, response));
        }
        if claim == Claim::Strong {
            break;
        }
    }
    best
}

/// How far a request may still be passed on, by what it says of itself.
pub fn scope(headers: &HeaderMap) -> Scope {
    Scope::of(headers)
}
