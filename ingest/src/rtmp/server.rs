//! Accepts connections, within limits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::{Config, Metrics};
use crate::entrance::Entrance;
use crate::stream::Streams;
use crate::turn::Turn;

/// How long to wait after the system could not accept a connection (out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes publishers until the turn has retired and serves them until it has ended; then tells
/// those that are left to go, and returns when they are gone. The configuration is that of the
/// moment at which a connection comes. A publisher sent away so may continue its stream elsewhere or, within
/// the stream's grace, here.
pub async fn serve(
    entrance: impl Into<Entrance>,
    streams: Streams,
    config: Arc<ArcSwap<Config>>,
    metrics: Metrics,
    turn: Turn,
) {
    let entrance = entrance.into();
    let shutdown = turn.accepting();
    let places = Arc::new(Places::default());
    let tasks = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(entrance.accept()).await {
        let arrival = match accepted {
            Ok(arrival) => arrival,
            Err(error) => {
                log::warn!("no RTMP connection can be accepted: {error}");
                let pause = tokio::time::sleep(ACCEPT_PAUSE);
                shutdown.run_until_cancelled(pause).await;
                continue;
            }
        };
        let (config, peer) = (config.load_full(), arrival.peer);
        let place = match Places::take(&places, peer, &config) {
            Ok(place) => place,
            Err(limit) => {
                metrics.turned_away.with_label_values(&[limit]).inc();
                log::debug!(
                    rackcast_peer = peer.to_string(), rackcast_reason = limit;
                    "RTMP connection turned away"
                );
                continue;
            }
        };
        let (streams, metrics) = (streams.clone(), metrics.clone());
        let (accepting, shutdown) = (shutdown.clone(), turn.serving().clone());
        tasks.spawn(async move {
            metrics.connections.inc();
            let entered = accepting.run_until_cancelled(arrival.enter()).await;
            if let Some(Some(stream)) = entered {
                let connection = Connection::new(stream, peer, streams, config, metrics.clone());
                connection.run(&shutdown).await;
            }
            metrics.connections.dec();
            drop(place);
        });
    }
    drop(entrance);
    tasks.close();
    tasks.wait().await;
}

/// How many connections there are, and from where.
#[derive(Debug, Default)]
struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    /// A limit was reached and said so.
    warned: bool,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// A place for this peer, or which limit stands against it.
    fn take(this: &Arc<Self>, peer: SocketAddr, config: &Config) -> Result<Place, &'static str> {
        let address = network(peer.ip());
        let mut taken = this.lock();
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        let limit = if taken.all >= config.connections {
            Some("connections")
        } else if here >= config.connections_per_address {
            Some("connections_per_address")
        } else {
            None
        };
        if let Some(limit) = limit {
            if !std::mem::replace(&mut taken.warned, true) {
                log::warn!(
                    rackcast_peer = peer.to_string();
                    "rtmp.{limit} is reached; more connections are turned away"
                );
            }
            return Err(limit);
        }
        taken.all = taken.all.saturating_add(1);
        taken.by_address.insert(address, here.saturating_add(1));
        Ok(Place {
            places: Arc::clone(this),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        taken.warned = false;
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 host may own.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}
