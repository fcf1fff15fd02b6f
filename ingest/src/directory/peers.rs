//! Fetches from other ingests what is published there.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{HeaderValue, LOCATION};
use http::request::Parts;
use http::{Response, StatusCode};
use rackcast_consul::directory::Place as Entry;
use rackcast_segment::id::{Epoch, StreamId};
use tokio::sync::Semaphore;

use super::Finder;
use crate::relay::{self, Body, Claim, Place, Relay, Scope};

/// Other ingests whose connections are kept.
const MAX_PEERS: usize = 256;
/// Names that are looked up at the same time.
const MAX_LOOKUPS: usize = 8;

/// The other ingests of the fleet.
#[derive(Debug)]
pub struct Peers {
    finder: Arc<Finder>,
    config: Arc<relay::Config>,
    metrics: relay::Metrics,
    relays: Mutex<HashMap<SocketAddr, Relay>>,
    /// Room for lookups of names.
    lookups: Arc<Semaphore>,
    names: fn(&str) -> Option<SocketAddr>,
}

impl Peers {
    /// The ingests that `finder` finds.
    pub fn new(finder: Arc<Finder>, config: relay::Config, metrics: relay::Metrics) -> Self {
        Self {
            finder,
            config: Arc::new(config),
            metrics,
            relays: Mutex::default(),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            names: |name| name.to_socket_addrs().ok()?.next(),
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

    /// The first address of a name. The system's resolver has no limit of its own and holds a thread
    /// for as long as it asks: so many do so at a time, and a player waits for `relay.head_timeout`,
    /// its turn included. A lookup that nobody waits for any more keeps its place until it ends.
    async fn resolve(&self, name: &str) -> Option<SocketAddr> {
        let (room, names, name) = (Arc::clone(&self.lookups), self.names, name.to_owned());
        let (limit, told) = (self.config.head_timeout, name.clone());
        let lookup = async {
            let turn = room.acquire_owned().await.ok()?;
            let looking = tokio::task::spawn_blocking(move || {
                let found = names(&name);
                drop(turn);
                found
            });
            looking.await.ok()?
        };
        let found = tokio::time::timeout(limit, lookup).await;
        if found.is_err() {
            self.metrics.asked("ingest", "unresolved");
            log::warn!(rackcast_peer = told; "the name of an ingest was not resolved in {limit:?}");
        }
        found.ok().flatten()
    }

    /// The way to an ingest, which may be known by a name.
    async fn relay(&self, internal: &str) -> Option<Relay> {
        let address = match internal.parse() {
            Ok(address) => address,
            Err(_) => self.resolve(internal).await?,
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
    use std::time::{Duration, Instant};

    use rackcast_consul::client::Client;

    use super::*;

    #[tokio::test]
    async fn a_resolver_that_hangs_keeps_no_player_waiting_and_few_threads() {
        let client = Client::new(&rackcast_consul::client::Config {
            address: "http://127.0.0.1:1".to_owned(),
            ..Default::default()
        });
        let registry = prometheus::Registry::new();
        let metrics = crate::directory::Metrics::register(&registry).unwrap();
        let finder = Finder::new(
            client.unwrap(),
            "own".to_owned(),
            Default::default(),
            metrics,
        );
        let config = relay::Config {
            head_timeout: Duration::from_millis(50),
            ..relay::Config::default()
        };
        let metrics = relay::Metrics::register(&registry).unwrap();
        let mut peers = Peers::new(Arc::new(finder), config, metrics);
        assert!(peers.relay("localhost:80").await.is_some());
        peers.names = |_| {
            std::thread::sleep(Duration::from_secs(3));
            None
        };
        let asked = Instant::now();
        let all = (0..3 * MAX_LOOKUPS).map(|_| peers.relay("ingest.example:80"));
        let found = futures_util::future::join_all(all).await;
        assert!(found.iter().all(Option::is_none));
        assert!(asked.elapsed() < Duration::from_millis(2_500));
        assert_eq!(peers.lookups.available_permits(), 0);
    }

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
