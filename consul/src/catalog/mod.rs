//! The development catalog: a stand-in for Consul on a developer's machine.
//!
//! It speaks the part of Consul's HTTP API that Rackcast and its developers use (agent,
//! catalog, health, KV, status), with the semantics that were measured on Consul 1.8.7, and
//! runs TTL, HTTP and TCP checks for real. It is **for developers and tests only**: one node,
//! in memory, without access control, DNS or a UI; everything is lost when it stops. It gives
//! its version as `1.8.7+rackcast.dev`, so that nobody takes it for the real thing.
//!
//! [`store`] holds the state and its indexes ([`entry`], [`keys`]), [`blocking`] lets a question wait for them to
//! grow, [`runner`] runs the checks, and a module each answers a group of endpoints.

mod agent;
mod blocking;
mod check;
mod entry;
mod go;
mod health;
mod http;
mod keys;
mod kv;
mod listing;
mod node;
mod router;
mod runner;
mod session;
mod shared;
mod status;
mod store;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use shared::Shared;

/// What a developer's mistake may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; more wait in the listener's queue.
    pub connections: usize,
    /// Longest time for a client to send its headers.
    pub header_timeout: Duration,
    /// Bytes in the body of a registration.
    pub registration_bytes: usize,
    /// Services.
    pub services: usize,
    /// Checks.
    pub checks: usize,
    /// Bytes in a KV value.
    pub kv_value_bytes: usize,
    /// Bytes in all KV keys and values.
    pub kv_bytes: usize,
    /// Sessions.
    pub sessions: usize,
    /// `DeregisterCriticalServiceAfter` counts as at least this much.
    pub deregister_after_min: Duration,
    /// How often critical services are looked for.
    pub reap_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_timeout: Duration::from_secs(10),
            registration_bytes: 256 << 10,
            services: 4096,
            checks: 16_384,
            kv_value_bytes: 512 << 10,
            kv_bytes: 64 << 20,
            sessions: 1024,
            deregister_after_min: Duration::from_secs(60),
            reap_interval: Duration::from_secs(30),
        }
    }
}

/// A development catalog that listens, and serves as soon as it is told to.
#[derive(Debug)]
pub struct Catalog {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Catalog {
    /// Binds to an address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            limits: Limits::default(),
        })
    }

    /// Replaces the limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`. Questions that wait are then cut off.
    pub async fn serve(self, shutdown: CancellationToken) {
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let shared = Shared::new(self.address, self.limits);
        let reaper = tokio::spawn(runner::reap(Arc::downgrade(&shared)));
        let tasks = TaskTracker::new();
        loop {
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                break;
            };
            let stream = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, mostly: it passes when some are closed.
                        log::warn!("development catalog: accept: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (shared, shutdown) = (Arc::clone(&shared), shutdown.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = serve_connection(stream, shared) => {}
                }
                drop(permit);
            });
        }
        reaper.abort();
        drop(self.listener);
        tasks.close();
        tasks.wait().await;
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    let header_timeout = shared.limits.header_timeout;
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(router::answer(&shared, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        log::debug!("development catalog: connection: {error}");
    }
}
