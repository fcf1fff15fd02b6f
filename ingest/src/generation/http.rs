//! The HTTP server that players and CDNs reach: connections, limits, and the site behind.
//!
//! When the generation retires it accepts no more, and its connections move to the one that does:
//! HTTP/1 is told so with the next answer, since a connection that is closed while it idles may
//! meet a request on its way; what is left after a while, and HTTP/2, ends gracefully.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus::{IntCounter, IntGauge, Registry};
use rackcast_service::patient::Patient;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::site::Site;
use crate::entrance::{Arrival, Entrance};
use crate::turn::Turn;

/// Pause after a failed accept (no file descriptors left), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection of a generation that retired may wait for its next request.
const MOVE: Duration = Duration::from_secs(15);

/// `[http]`: limits of the server for players.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Connections at a time; more wait in the backlog.
    pub max_connections: usize,
    /// How long a client may take to send a request's head, or to send none at all.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a client may leave what it is sent untaken.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Requests that one HTTP/2 connection may have open.
    pub max_concurrent_streams: u32,
    /// How long open answers may take once the generation stops.
    #[serde(with = "humantime_serde")]
    pub stop_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            max_concurrent_streams: 128,
            stop_grace: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// The key that is wrong, and how.
    pub fn check(&self) -> Result<(), String> {
        let most = Semaphore::MAX_PERMITS;
        if self.max_connections == 0 || self.max_connections > most {
            return Err(format!("http.max_connections must be from 1 to {most}"));
        }
        if self.max_concurrent_streams == 0 {
            return Err("http.max_concurrent_streams must be above 0".to_owned());
        }
        for (key, length) in [
            ("header_timeout", self.header_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            if length.is_zero() {
                return Err(format!("http.{key} must be above 0"));
            }
        }
        Ok(())
    }
}

/// Figures of the server.
#[derive(Debug, Clone)]
pub struct Metrics {
    connections: IntGauge,
    full: IntCounter,
    refused: IntCounter,
    timeouts: IntCounter,
}

impl Metrics {
    /// Open connections.
    pub fn open(&self) -> i64 {
        self.connections.get()
    }

    /// Makes and registers them.
    ///
    /// # Errors
    /// A name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            connections: IntGauge::new(
                "rackcast_ingest_http_connections",
                "Open connections of players and CDNs",
            )?,
            full: IntCounter::new(
                "rackcast_ingest_http_full_total",
                "Times that new connections had to wait because http.max_connections were open",
            )?,
            refused: IntCounter::new(
                "rackcast_ingest_http_accept_failures_total",
                "Connections that could not be accepted",
            )?,
            timeouts: IntCounter::new(
                "rackcast_ingest_http_timeouts_total",
                "Connections that were closed because the client sent or took nothing for too long",
            )?,
        };
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.full.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.timeouts.clone()))?;
        Ok(metrics)
    }
}

/// Accepts until the turn has retired, moves its connections on, and lets open answers finish
/// within a grace once the turn has ended.
pub async fn serve(
    entrance: Entrance,
    site: Arc<Site>,
    config: Config,
    metrics: Metrics,
    turn: Turn,
) {
    let room = Arc::new(Semaphore::new(config.max_connections));
    let open = GracefulShutdown::new();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(config.header_timeout)
        .keep_alive_timeout(config.header_timeout)
        .max_concurrent_streams(config.max_concurrent_streams);
    let accepting = async {
        loop {
            if room.available_permits() == 0 {
                metrics.full.inc();
            }
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let Some(arrival) = accept(&entrance, &metrics).await else {
                continue;
            };
            let site = Arc::clone(&site);
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(site.answer(request).await) }
            });
            let (server, watcher) = (server.clone(), open.watcher());
            let (accepting, metrics) = (turn.accepting().clone(), metrics.clone());
            let (first, write) = (config.header_timeout, config.write_timeout);
            metrics.connections.inc();
            tokio::spawn(async move {
                if let Some(Some(stream)) = accepting.run_until_cancelled(arrival.enter()).await {
                    let stream = TokioIo::new(Patient::new(stream, first, write));
                    let connection = server.serve_connection(stream, service);
                    // A player that breaks off in the middle is everyday life.
                    if let Err(e) = watcher.watch(connection.into_owned()).await {
                        if is_timeout(&*e) {
                            metrics.timeouts.inc();
                        }
                        log::debug!("a player's connection ended: {e}");
                    }
                }
                metrics.connections.dec();
                drop(permit);
            });
        }
    };
    turn.accepting().run_until_cancelled(accepting).await;
    drop(entrance);
    let moved = tokio::time::sleep(MOVE);
    turn.serving().run_until_cancelled(moved).await;
    let _ = tokio::time::timeout(config.stop_grace, open.shutdown()).await;
}

/// Whether it was the peer that took too long.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| Error::source(*e)).any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        let hyper = cause.downcast_ref::<hyper::Error>();
        io.is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
            || hyper.is_some_and(hyper::Error::is_timeout)
    })
}

async fn accept(entrance: &Entrance, metrics: &Metrics) -> Option<Arrival> {
    match entrance.accept().await {
        Ok(arrival) => Some(arrival),
        Err(e) => {
            metrics.refused.inc();
            // A peer that left at once says nothing of this machine.
            if e.kind() != io::ErrorKind::ConnectionAborted {
                log::warn!("a connection could not be accepted: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}
