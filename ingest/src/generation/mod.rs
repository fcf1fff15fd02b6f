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

mod context;
mod error;
pub mod http;
mod inside;
mod others;
mod pages;
mod report;
mod routing;
mod site;
mod sockets;
mod streams;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use prometheus::IntCounter;
use rackcast_consul::client::Client;
use rackcast_consul::settings::{self, Standing};
use rackcast_service::explain::Ingest;
use rackcast_service::reload::{self as live_reload, Live, Waiting};
use rackcast_service::status::Role;
use rackcast_service::{admin, drain, tls as service_tls, vital};
use tokio::sync::watch;

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::explain::{self, Trails};
use crate::origin::Origin;
use crate::supervisor::status;
use crate::tls::Tls;
use crate::turn::Turn;
use crate::{reload, rtmp};
use context::Context;
pub use error::Error;
use others::Others;
use pages::Pages;
use report::Reporter;
use routing::Routing;
use sockets::{Sockets, entrance, listen};
use streams::Streams;

/// How often streams are looked for whose time in memory is over, and gauges are brought up to
/// date.
const SWEEP: Duration = Duration::from_secs(1);

/// Runs a generation until its supervisor stops it. `number` tells it from the others of this
/// ingest.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(mut live: Live<Config>, number: u64) -> Result<(), Error> {
    let sockets = Sockets::inherit()?;
    let endpoints = sockets.listeners.endpoints()?;
    let context = Context::new(live.config(), number)?;
    let (config, metrics, turn) = (&context.config, &context.metrics, &context.turn);
    let (status_tx, status_rx) = watch::channel(status::first(config, &endpoints));
    std::fs::create_dir_all(&config.state_dir).map_err(Error::State)?;

    let tls = Tls::load(config, metrics)?;
    tls.watch(&context.tasks, turn.serving());
    tls.reload_with(&mut live);
    let consul = consul(&context, &mut live, tls.metrics)?;
    let routing = Routing::start(&context, &consul, tls.nodes)?;
    let origin = Arc::new(Origin::new(config.origin.clone(), metrics)?);
    let parts = reload::Parts {
        settings: Arc::new(ArcSwap::from_pointee(reload::settings(config)?)),
        rtmp: Arc::new(ArcSwap::from_pointee(config.rtmp.clone())),
        origin: Arc::clone(&origin),
        trails: Arc::clone(&routing.trails),
        dispatcher: Arc::clone(&routing.dispatcher),
    };
    reload::register(&mut live, parts.clone());
    let live = Arc::new(live);
    let standing = follow_settings(&context, &consul, &live)?;

    let others = Others::new(config.relay.clone(), metrics)?;
    let orders = drain::follow(
        drain::file_beside(&config.status_socket),
        context.shutdown(),
    );
    let streams = Streams::start(
        &context,
        &consul,
        &parts,
        &others,
        orders.clone(),
        sockets.publish,
        &endpoints,
    )?;
    let pages = Arc::new(pages(&context, &routing, &streams, &others));
    let inside = inside::serve(
        sockets.inside,
        Arc::clone(&streams.site),
        Arc::clone(&pages),
        config.relay.max_requests,
        context.shutdown(),
    );
    context.spawn("the server for other generations", inside);
    let sweep = sweep(
        Arc::clone(&origin),
        routing.trails,
        Arc::clone(&routing.dispatcher),
        turn.clone(),
    );
    context.spawn("the sweep", sweep);

    let rtmp_metrics = rtmp::Metrics::register(metrics)?;
    let http_metrics = http::Metrics::register(metrics)?;
    let handover_failures = IntCounter::new(
        "rackcast_ingest_handover_failures_total",
        "New generations that were to take over from this one and could not",
    )?;
    metrics.register(Box::new(handover_failures.clone()))?;
    let mut reporter = Reporter {
        control: sockets.control,
        status: status_tx,
        known: routing.known.clone(),
        dispatcher: routing.dispatcher,
        registry: streams.registry,
        origin,
        rtmp: rtmp_metrics.clone(),
        http: http_metrics.clone(),
        others,
        waiting: live.waiting(),
        waiting_above: Waiting::new(),
        live,
        settings: standing,
        reloads: live_reload::Metrics::register(metrics)?,
        turn: turn.clone(),
        handover_failures,
        reloaded: None,
    };
    reporter.introduced().await.map_err(io::Error::other)?;
    let rtmp = entrance(sockets.listeners.rtmp, sockets.listeners.rtmps, tls.rtmps)?;
    let http = entrance(sockets.listeners.http, sockets.listeners.https, tls.https)?;
    let admin = listen(sockets.listeners.admin)?;
    let (door, site, table) = (streams.door, streams.site, config.http.clone());
    let (shown, registered) = (drain::shown(status_rx, orders), metrics.clone());
    let accepting = turn.clone();
    // Who accepts must be fit for work: until then another generation serves, or connections wait.
    let until = turn.accepting().clone();
    let serving = async move {
        if !ready(routing.known, &accepting).await {
            return;
        }
        let pages = move |uri| {
            let pages = Arc::clone(&pages);
            async move { pages.answer(uri).await }
        };
        let until = accepting.accepting().clone();
        let admin = admin::serve_with(admin, registered, shown, pages, until);
        let rtmp = rtmp::serve(rtmp, door, parts.rtmp, rtmp_metrics, accepting.clone());
        let http = http::serve(http, site, table, http_metrics, accepting);
        let _ = tokio::join!(rtmp, http, admin);
    };
    let serving = vital::vital("the servers for publishers and players", &until, serving);
    context.tasks.spawn(serving);

    reporter.until_stopped().await;
    turn.end();
    context.tasks.close();
    context.tasks.wait().await;
    Ok(())
}

/// What asks Consul, with what is fresh of its certificates and token.
fn consul(
    context: &Context,
    live: &mut Live<Config>,
    metrics: service_tls::Metrics,
) -> Result<Client, Error> {
    let consul = Client::observed(&context.config.consul, metrics)?;
    consul.reload_with(live, |config| &config.consul);
    if let Some(certificates) = consul.certificates() {
        let watching = certificates.watch(context.shutdown());
        context.spawn("the watch of Consul's certificates", watching);
    }
    Ok(consul)
}

/// Lays the fleet's settings over the file, as they change; tells how that stands.
fn follow_settings(
    context: &Context,
    consul: &Client,
    live: &Arc<Live<Config>>,
) -> Result<watch::Receiver<Standing>, Error> {
    let live = Arc::clone(live);
    Ok(settings::follow(
        consul.clone(),
        Role::Ingest,
        Some(context.config.state_dir.clone()),
        settings::Metrics::register(&context.metrics)?,
        context.shutdown(),
        move |layer| {
            let layered = live.layer(layer);
            layered.map(drop).map_err(|refused| refused.to_string())
        },
    ))
}

/// What operators are answered at the admin address.
fn pages(context: &Context, routing: &Routing, streams: &Streams, others: &Others) -> Pages {
    let asked = Arc::clone(&routing.dispatcher);
    let nodes = move || explain::nodes(&mut asked.router(), Instant::now());
    let told = Arc::clone(&streams.registry);
    let told = move || told.told();
    let trails = Arc::clone(&routing.trails);
    let explain = explain::api::Api::new(trails, nodes, told, identity(&context.config));
    Pages::new(explain, context.metrics.clone(), others.relays())
}

/// This ingest as the catalog calls it.
fn identity(config: &Config) -> Ingest {
    Ingest {
        id: config.identity(),
        node: config.node_name(),
        zone: config.zone.clone(),
    }
}

/// Waits until the catalog was asked; `false` if the turn is over before.
async fn ready(mut known: watch::Receiver<bool>, turn: &Turn) -> bool {
    let known = known.wait_for(|known| *known);
    matches!(turn.serving().run_until_cancelled(known).await, Some(Ok(_)))
}

async fn sweep(origin: Arc<Origin>, trails: Arc<Trails>, dispatcher: Arc<Dispatcher>, turn: Turn) {
    let mut ticks = tokio::time::interval(SWEEP);
    let serving = turn.serving();
    while serving.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = Instant::now();
        origin.sweep(now);
        trails.sweep(now);
        dispatcher.measure();
    }
}
