//! Fetches from other ingests what is published there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{HeaderValue, LOCATION};
use http::request::Parts;
use http::{Response, StatusCode};
use rackcast_consul::directory::Place as Entry;
use rackcast_segment::id::{Epoch, StreamId};

use super::Finder;
use crate::relay::{self, Body, Claim, Place, Relay, Scope};

/// Other ingests whose connections are kept.
const MAX_PEERS: usize = 256;

/// The other ingests of the fleet.
#[derive(Debug)]
pub struct Peers {
    finder: Arc<Finder>,
    config: Arc<relay::Config>,
    metrics: relay::Metrics,
    relays: Mutex<HashMap<SocketAddr, Relay>>,
}

impl Peers {
    /// The ingests that `finder` finds.
    pub fn new(finder: Arc<Finder>, config: relay::Config, metrics: relay::Metrics) -> Self {
        Self {
            finder,
            config: Arc::new(config),
            metrics,
            relays: Mutex::default(),
        }
    }

    /// What another ingest answers, the one with the newest epoch of the stream first; `None` if
    /// nobody has it, or nobody an epoch above the `own` one. An ingest that does not answer, or has
    /// the stream no more, is not believed to have it any longer: the directory is asked once more.
    /// Only when none is better does what is left of the stream somewhere count.
    pub async fn answer(
        &self,
        asked: &Parts,
        own: Option<Epoch>,
    ) -> Option<(Claim, Response<Body>)> {
        let stream = stream(asked.uri.path())?;
        let (mut tried, mut left) = (Vec::new(), None);
        for _ in 0..2 {
            let places = self.finder.find(&stream).await;
            let new: Vec<_> = places
                .iter()
                .filter(|p| own.is_none_or(|own| own.0 < p.epoch))
                .filter(|p| !tried.contains(&p.epoch))
                .collect();
            for place in &new {
                tried.push(place.epoch);
                if self.finder.redirects() {
                    return Some((Claim::Strong, redirect(place, asked)?));
                }
                let Some(relay) = self.relay(&place.internal).await else {
                    continue;
                };
                match relay::first(&[relay], asked).await {
                    Some((Claim::Left, answer)) => {
                        left.get_or_insert((Claim::Left, answer));
                    }
                    Some(answer) => return Some(answer),
                    None => {}
                }
            }
            if new.is_empty() {
                break;
            }
            self.finder.doubt(&stream);
        }
        left
    }

    /// The way to an ingest, which may be known by a name.
    async fn relay(&self, internal: &str) -> Option<Relay> {
        let address = match internal.parse() {
            Ok(address) => address,
            Err(_) => tokio::net::lookup_host(internal).await.ok()?.next()?,
        };
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        if relays.len() >= MAX_PEERS && !relays.contains_key(&address) {
            relays.clear();
        }
        let relay = relays.entry(address).or_insert_with(|| {
            let (config, metrics) = (Arc::clone(&self.config), self.metrics.clone());
            Relay::new(
                "ingest",
                Place::Tcp(address),
                Scope::Ingest,
                config,
                metrics,
            )
        });
        Some(relay.clone())
    }
}

/// The stream that a path is about.
fn stream(path: &str) -> Option<StreamId> {
    let mut parts = path.strip_prefix('/')?.splitn(3, '/');
    Some(StreamId {
        app: parts.next()?.parse().ok()?,
        name: parts.next()?.parse().ok()?,
    })
}

fn redirect(place: &Entry, asked: &Parts) -> Option<Response<Body>> {
    let path = asked.uri.path_and_query()?;
    let location = HeaderValue::from_str(&format!("{}{path}", place.public)).ok()?;
    let mut response = Response::new(Body::from(http_body_util::Full::default()));
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    let any = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert("access-control-allow-origin", any);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_stream() {
        let named = |path: &str| stream(path).map(|stream| stream.to_string());
        assert_eq!(
            named("/live/show/master.m3u8").as_deref(),
            Some("live/show")
        );
        assert_eq!(
            named("/live/show/1/source/2.ts").as_deref(),
            Some("live/show")
        );
        for path in ["", "/", "/live", "/../x/y", "/live/%2e%2e/y", "live/show/x"] {
            assert_eq!(named(path), None, "{path}");
        }
    }
}
