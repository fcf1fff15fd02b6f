//! The process that does the work.
//!
//! Built once, in the order in which the parts depend on each other, then everything runs
//! until the supervisor says stop (or is gone, which counts as the same):
//!
//! ```text
//! rtmp ──▶ registry of streams ──▶ origin ──▶ http
//!                    └──▶ dispatch ──▶ nodes ◀── discovery ◀── Consul
//!                             └──▶ explain ──▶ admin
//! report (4 times a second) ──▶ supervisor
//! inside ──▶ origin, admin: what the other generations of this ingest ask for
//! ```
//!
//! It accepts once it is fit for work. When a newer generation does, it retires: it serves the
//! publishers that it has, their players through the newer one ([`site`]), and ends when nothing
//! is left.
//!
//! Stopping: publishers are sent away (they reconnect, here or elsewhere), what is out is
//! settled or has passed its deadline, open answers finish. No playlist is ended by it: the
//! stream may live on.

pub mod http;
mod inside;
mod others;
mod pages;
mod report;
mod site;

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use prometheus::{IntCounter, Registry as MetricsRegistry};
use rackcast_consul::client::Client;
use rackcast_consul::settings;
use rackcast_consul::watch::{View, Watch};
use rackcast_route::Router;
use rackcast_service::explain::Ingest;
use rackcast_service::process::{InheritError, inherited, inherited_stream};
use rackcast_service::reload::{self as live_reload, Live, Waiting};
use rackcast_service::status::Role;
use rackcast_service::tls::Door;
use rackcast_service::{admin, drain, frame, metrics as service_metrics};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::directory::{self, Directory, Finder, Peers, Who, Writer};
use crate::dispatch::Dispatcher;
use crate::entrance::Entrance;
use crate::explain::Trails;
use crate::origin::Origin;
use crate::stream::{self, Epochs, Parts, Registry, Streams};
use crate::supervisor::control::{CONTROL_FD, INSIDE_FD, PUBLISH_FD};
use crate::supervisor::{Listeners, status};
use crate::tls::{self, Tls};
use crate::turn::Turn;
use crate::{auth, discovery, explain, reload, rtmp};
use others::Others;
use pages::Pages;
use report::Reporter;
use site::Site;

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
    /// Certificates of `[tls]` cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
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

/// Runs a generation until its supervisor stops it. `number` tells it from the others of this
/// ingest.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(mut live: Live<Config>, number: u64) -> Result<(), Error> {
    let config = live.config();
    let control = frame::Framed::new(inherited_stream(CONTROL_FD)?);
    let listeners = Listeners::inherit()?;
    let (inside, door) = (take_listener(INSIDE_FD)?, take_listener(PUBLISH_FD)?);
    let endpoints = listeners.endpoints()?;
    let (status_tx, status_rx) = watch::channel(status::first(&config, &endpoints));
    let turn = Turn::default();
    let shutdown = turn.serving().clone();
    let label = [("generation".to_owned(), number.to_string())];
    let metrics = MetricsRegistry::new_custom(None, Some(label.into()))?;
    service_metrics::build_info(&metrics, Role::Ingest.as_str(), env!("CARGO_PKG_VERSION"))?;
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
    let tls = Tls::load(&config, &metrics)?;
    tls.watch(&tasks, &shutdown);
    tls.reload_with(&mut live);
    let consul = Client::observed(&config.consul, tls.metrics)?;
    consul.reload_with(&mut live, |config| &config.consul);
    if let Some(certificates) = consul.certificates() {
        tasks.spawn(certificates.watch(shutdown.clone()));
    }
    let dispatcher = Arc::new(dispatcher.secured(tls.nodes));
    let known = discovery::start(
        config.discovery.clone(),
        Some(config.state_dir.clone()),
        catalog(&config, &consul, &shutdown),
        Arc::clone(&dispatcher),
        &metrics,
        shutdown.clone(),
    )?;
    let parts = reload::Parts {
        settings: Arc::new(ArcSwap::from_pointee(reload::settings(&config)?)),
        rtmp: Arc::new(ArcSwap::from_pointee(config.rtmp.clone())),
        origin: Arc::clone(&origin),
        trails: Arc::clone(&trails),
        dispatcher: Arc::clone(&dispatcher),
    };
    reload::register(&mut live, parts.clone());
    let others = Others::new(config.relay.clone(), &metrics)?;
    let orders = drain::follow(drain::file_beside(&config.status_socket), shutdown.clone());
    let client = consul.clone();
    let directory = Directory::default();
    let directory_metrics = directory::Metrics::register(&metrics)?;
    let registry = Registry::new(Parts {
        settings: parts.settings,
        origin: Arc::clone(&origin),
        dispatcher: Arc::clone(&dispatcher),
        epochs: Epochs::open(&config.state_dir).map_err(Error::State)?,
        metrics: stream::Metrics::register(&metrics)?,
        directory: directory.clone(),
        elsewhere: others.doors(),
        leaving: turn.staying().clone(),
        orders: orders.clone(),
        shutdown: shutdown.clone(),
    });
    let (streams, knocks) = Streams::door(DOOR_CAPACITY);
    let peers = config.directory.enabled.then(|| {
        let (client, own) = (client.clone(), config.identity());
        let finder = Finder::new(
            client,
            own,
            config.directory.clone(),
            directory_metrics.clone(),
        );
        Peers::new(finder, config.relay.clone(), others.metrics())
    });
    if config.directory.enabled {
        let who = who(&config, &endpoints);
        let table = config.directory.clone();
        let writer = Writer::new(directory, client.clone(), who, table, directory_metrics);
        tasks.spawn(writer.run(shutdown.clone()));
    }
    let site = Site::new(Arc::clone(&origin), others.relays(), peers, turn.clone());
    let site = Arc::new(site);
    let asked = Arc::clone(&dispatcher);
    let nodes = move || explain::nodes(&mut asked.router(), Instant::now());
    let told = Arc::clone(&registry);
    let told = move || told.told();
    let explain = explain::api::Api::new(Arc::clone(&trails), nodes, told, identity(&config));
    let pages = Arc::new(Pages::new(explain, metrics.clone(), others.relays()));
    let (rtmp_metrics, http_metrics) = (
        rtmp::Metrics::register(&metrics)?,
        http::Metrics::register(&metrics)?,
    );

    let handover_failures = IntCounter::new(
        "rackcast_ingest_handover_failures_total",
        "New generations that were to take over from this one and could not",
    )?;
    metrics.register(Box::new(handover_failures.clone()))?;

    tasks.spawn(Arc::clone(&registry).run(knocks));
    tasks.spawn(stream::elsewhere::serve(
        door,
        Arc::clone(&registry),
        config.stream.max_streams,
        shutdown.clone(),
    ));
    tasks.spawn(inside::serve(
        inside,
        Arc::clone(&site),
        Arc::clone(&pages),
        config.relay.max_requests,
        shutdown.clone(),
    ));
    tasks.spawn(sweep(
        Arc::clone(&origin),
        trails,
        Arc::clone(&dispatcher),
        shutdown.clone(),
    ));
    let live = Arc::new(live);
    let layered = Arc::clone(&live);
    let settings_standing = settings::follow(
        client,
        Role::Ingest,
        Some(config.state_dir.clone()),
        settings::Metrics::register(&metrics)?,
        shutdown.clone(),
        move |layer| {
            layered
                .layer(layer)
                .map(drop)
                .map_err(|refused| refused.to_string())
        },
    );
    let mut reporter = Reporter {
        control,
        status: status_tx,
        known: known.clone(),
        dispatcher,
        registry,
        origin,
        rtmp: rtmp_metrics.clone(),
        http: http_metrics.clone(),
        others,
        live: Arc::clone(&live),
        settings: settings_standing,
        reloads: live_reload::Metrics::register(&metrics)?,
        waiting: live.waiting(),
        waiting_above: Waiting::new(),
        turn: turn.clone(),
        handover_failures,
        reloaded: None,
    };
    reporter.introduced().await.map_err(io::Error::other)?;
    // Who accepts must be fit for work: until then another generation serves, or connections wait.
    let (rtmp_config, http_config) = (parts.rtmp, config.http.clone());
    let (rtmp, http, admin) = (
        entrance(listeners.rtmp, listeners.rtmps, tls.rtmps)?,
        entrance(listeners.http, listeners.https, tls.https)?,
        listen(listeners.admin)?,
    );
    let accepting = turn.clone();
    tasks.spawn(async move {
        if !ready(known, &accepting).await {
            return;
        }
        let pages = move |uri| {
            let pages = Arc::clone(&pages);
            async move { pages.answer(uri).await }
        };
        let until = accepting.accepting().clone();
        let shown = drain::shown(status_rx, orders);
        let admin = admin::serve_with(admin, metrics, shown, pages, until);
        let rtmp = rtmp::serve(rtmp, streams, rtmp_config, rtmp_metrics, accepting.clone());
        let http = http::serve(http, site, http_config, http_metrics, accepting);
        let _ = tokio::join!(rtmp, http, admin);
    });

    reporter.until_stopped().await;
    turn.end();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Waits until the catalog was asked; `false` if the turn is over before.
async fn ready(mut known: watch::Receiver<bool>, turn: &Turn) -> bool {
    let known = known.wait_for(|known| *known);
    matches!(turn.serving().run_until_cancelled(known).await, Some(Ok(_)))
}

/// One watch for each datacenter that nodes are taken from.
fn catalog(
    config: &Config,
    client: &Client,
    shutdown: &CancellationToken,
) -> Vec<watch::Receiver<View>> {
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
    datacenters.into_iter().map(follow).collect()
}

/// A socket at which the other generations come.
fn take_listener(name: &str) -> Result<UnixListener, Error> {
    let listener = StdUnixListener::from(inherited(name)?);
    listener.set_nonblocking(true)?;
    Ok(UnixListener::from_std(listener)?)
}

/// A listener, and the one behind TLS if there is one.
fn entrance(
    open: StdTcpListener,
    guarded: Option<StdTcpListener>,
    door: Option<Arc<Door>>,
) -> io::Result<Entrance> {
    let guarded = guarded.map(listen).transpose()?;
    Ok(Entrance::from(listen(open)?).beside(guarded.zip(door)))
}

fn listen(listener: StdTcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// This ingest as other ingests are told of it.
fn who(config: &Config, endpoints: &[(&'static str, SocketAddr)]) -> Who {
    let http = endpoints.iter().find(|(name, _)| *name == "http");
    Who {
        ingest: config.identity(),
        service: format!("{}-{}", config.service_prefix, Role::Ingest),
        node: config.node_name(),
        zone: config.zone.clone(),
        http: http.map_or(config.listen.http, |(_, address)| *address),
    }
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
