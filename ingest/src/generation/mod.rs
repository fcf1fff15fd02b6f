//! The process that does the work.
//!
//! Built once, in the order in which the parts depend on each other, then everything runs
//! until the supervisor says stop (or is gone, which counts as the same):
//!
//! ```text
//! rtmp ──▶ registry of streams ──▶ origin ──▶ http
//!                    └──▶ dispatch ──▶ nodes ◀── discovery ◀── Consul
//!                             └──▶ explain ──▶ admin
//! report (once a second) ──▶ supervisor
//! ```
//!
//! Stopping: publishers are sent away (they reconnect, here or elsewhere), what is out is
//! settled or has passed its deadline, open answers finish. No playlist is ended by it: the
//! stream may live on.

pub mod http;
mod report;

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry as MetricsRegistry;
use rackcast_consul::client::Client;
use rackcast_consul::watch::{View, Watch};
use rackcast_route::Router;
use rackcast_service::explain::Ingest;
use rackcast_service::process::{InheritError, inherited_stream};
use rackcast_service::status::Role;
use rackcast_service::{admin, frame};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::explain::Trails;
use crate::origin::Origin;
use crate::stream::{self, Epochs, Parts, Registry, Streams};
use crate::supervisor::control::CONTROL_FD;
use crate::supervisor::{Listeners, status};
use crate::{auth, discovery, explain, rtmp};

/// How often streams are looked for whose time in memory is over, and gauges are brought up to
/// date.
const SWEEP: Duration = Duration::from_secs(1);
/// Publishers that may wait at the door at once; more wait in their connections.
const DOOR_CAPACITY: usize = 64;

/// Why a generation cannot work. All but the last need an operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not started by a supervisor.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The state directory does not hold what it should.
    #[error("state_dir: {0}")]
    State(io::Error),
    /// Keys or the webhook of `[auth]` cannot be used.
    #[error("auth: {0}")]
    Auth(#[from] auth::AuthError),
    /// `[consul]` cannot be used.
    #[error("consul: {0}")]
    Consul(#[from] rackcast_consul::client::Error),
    /// Two metrics have one name: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system refuses what every process needs.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs a generation until its supervisor stops it.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(config: Config) -> Result<(), Error> {
    let control = frame::Framed::new(inherited_stream(CONTROL_FD)?);
    let listeners = Listeners::inherit()?;
    let endpoints = listeners.endpoints()?;
    let (status_tx, status_rx) = watch::channel(status::first(&config, &endpoints));
    let shutdown = CancellationToken::new();
    let metrics = MetricsRegistry::new();
    let tasks = TaskTracker::new();

    std::fs::create_dir_all(&config.state_dir).map_err(Error::State)?;
    let origin = Arc::new(Origin::new(config.origin.clone(), &metrics)?);
    let trails = Arc::new(Trails::new(config.explain.clone(), &metrics)?);
    let router = Router::new(config.router(), &config.identity(), Instant::now());
    let dispatcher = Dispatcher::new(
        config.dispatch.clone(),
        router,
        Arc::clone(&trails),
        &metrics,
    )?;
    let dispatcher = Arc::new(dispatcher);
    let known = discovery::start(
        config.discovery.clone(),
        Some(config.state_dir.clone()),
        catalog(&config, &shutdown)?,
        Arc::clone(&dispatcher),
        &metrics,
        shutdown.clone(),
    )?;
    let registry = Registry::new(Parts {
        config: config.stream.clone(),
        segmenter: config.segmenter.clone(),
        authoriser: auth::Authoriser::new(&config.auth)?,
        origin: Arc::clone(&origin),
        dispatcher: Arc::clone(&dispatcher),
        epochs: Epochs::open(&config.state_dir).map_err(Error::State)?,
        metrics: stream::Metrics::register(&metrics)?,
        shutdown: shutdown.clone(),
    });
    let (streams, knocks) = Streams::door(DOOR_CAPACITY);

    tasks.spawn(registry.run(knocks));
    tasks.spawn(rtmp::serve(
        listen(listeners.rtmp)?,
        streams,
        config.rtmp.clone(),
        rtmp::Metrics::register(&metrics)?,
        shutdown.clone(),
    ));
    tasks.spawn(http::serve(
        listen(listeners.http)?,
        Arc::clone(&origin),
        config.http.clone(),
        http::Metrics::register(&metrics)?,
        shutdown.clone(),
    ));
    tasks.spawn(sweep(
        origin,
        Arc::clone(&trails),
        Arc::clone(&dispatcher),
        shutdown.clone(),
    ));
    let asked = Arc::clone(&dispatcher);
    let nodes = move || explain::nodes(&mut asked.router(), Instant::now());
    let explain = explain::api::Api::new(trails, nodes, identity(&config));
    let admin = admin::serve_with(
        listen(listeners.admin)?,
        metrics,
        status_rx,
        move |uri| explain.answer(uri),
        shutdown.clone(),
    );

    report::until_stopped(control, &status_tx, &known, &dispatcher).await;
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    let _ = admin.await;
    Ok(())
}

/// One watch for each datacenter that nodes are taken from.
fn catalog(
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<Vec<watch::Receiver<View>>, rackcast_consul::client::Error> {
    let client = Client::new(&config.consul)?;
    let service = format!("{}-{}", config.service_prefix, Role::Transcode);
    let own = [None];
    let others = config.datacenters.iter().cloned().map(Some);
    let datacenters: Vec<_> = if config.datacenters.is_empty() {
        own.to_vec()
    } else {
        others.collect()
    };
    let follow = |datacenter| {
        let watch = Watch {
            datacenter,
            ..Watch::new(service.clone())
        };
        rackcast_consul::watch::watch(client.clone(), watch, shutdown.clone())
    };
    Ok(datacenters.into_iter().map(follow).collect())
}

fn listen(listener: StdTcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// This ingest as the catalog calls it.
fn identity(config: &Config) -> Ingest {
    Ingest {
        id: config.identity(),
        node: config.node_name(),
        zone: config.zone.clone(),
    }
}

async fn sweep(
    origin: Arc<Origin>,
    trails: Arc<Trails>,
    dispatcher: Arc<Dispatcher>,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(SWEEP);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = Instant::now();
        origin.sweep(now);
        trails.sweep(now);
        dispatcher.measure();
    }
}
