//! A running node: front, workers, admin and status endpoints, from start to drain.

mod devices;
mod error;
mod report;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rackcast_consul::client::Client;
use rackcast_consul::settings::{self, Standing};
use rackcast_service::reload::{self, Hangups, Live, commit};
use rackcast_service::status::Role;
use rackcast_service::tls::{self, Credentials, Door};
use rackcast_service::{metrics as service_metrics, notify, vital};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::admission::SlotId;
use crate::config::Config;
use crate::front::Front;
use crate::metrics::Metrics;
use crate::scheduler::Scheduler;
use crate::status::Identity;
use crate::worker::{Blueprint, Post, supervise};

pub use devices::calibrate;
pub use error::StartError;

use report::Report;
use sockets::Sockets;

/// Of the drain's time, what is kept for clients to take the last answers.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs a node until `shutdown`, then drains it.
///
/// # Errors
/// It could not start; once it serves, it ends only by `shutdown`.
pub async fn run(mut live: Live<Config>, shutdown: CancellationToken) -> Result<(), StartError> {
    let hangups = Hangups::new().map_err(StartError::Signals)?;
    let config = Config::clone(&live.config());
    let Sockets { segments, admin } = Sockets::bind(&config.listen).await?;
    let (segments_at, admin_at) = (segments.at, admin.at);
    let registry = Registry::new();
    let metrics = Registered::all(&registry)?;
    let like = Arc::new(devices::blueprint(&config));
    let devices = devices::measured(&config, &like, &shutdown).await;
    let scheduler = Scheduler::new(metrics.node, devices, config.worker.warm_pipelines);
    let (credentials, door) = secure(&config, metrics.tls.clone())?.unzip();
    reloadable(&mut live, credentials.as_ref());
    let live = Arc::new(live);
    let client = Client::observed(&config.consul, metrics.tls)?;

    let identity = Identity {
        node: config.node_name(),
        identity: credentials.as_ref().and_then(|own| own.identity()),
        instance: config.instance.clone(),
        segments: segments_at,
        admin: admin_at,
        devices: scheduler.devices().to_vec(),
    };
    let workers = identity.workers();
    // What tells others about the node stops last.
    let end = CancellationToken::new();
    let told = (admin, registry);
    let mut report = Report::begin(&config, identity, &scheduler, live.waiting(), told, &end)?;
    let _standing = follow(client, &config, metrics.settings, &live, &end);
    let reloading = hangups.reload(Arc::clone(&live), metrics.reloads, end.clone());
    let reloading = vital::spawn("the reload", &end, reloading);
    let keepers = keep_workers(&scheduler, &like, &end);
    let certificates = credentials.map(|own| {
        let watching = own.watch(end.clone());
        vital::spawn("the watch of certificates", &end, watching)
    });
    let front = Front::new(config.front, door, Arc::clone(&scheduler));
    let closing = CancellationToken::new();
    let serving = front.serve(segments.listener, closing.clone(), GOODBYE);
    let serving = vital::spawn("the front", &closing, serving);
    log::info!(
        "serving segments at {segments_at} with {workers} workers; admin address {admin_at}"
    );

    shutdown.cancelled().await;
    finish(&scheduler, live.config().drain_timeout).await;
    closing.cancel();
    let _ = serving.await;
    report.farewell().await;
    end.cancel();
    keepers.join_all().await;
    for task in certificates.into_iter().chain([reloading]) {
        let _ = task.await;
    }
    report.ended().await;
    log::info!("stopped");
    Ok(())
}

/// What is counted, by this crate and by what it uses.
struct Registered {
    node: Metrics,
    tls: tls::Metrics,
    reloads: reload::Metrics,
    settings: settings::Metrics,
}

impl Registered {
    fn all(registry: &Registry) -> Result<Self, prometheus::Error> {
        service_metrics::build_info(registry, "transcode", env!("CARGO_PKG_VERSION"))?;
        Ok(Self {
            node: Metrics::register(registry)?,
            tls: tls::Metrics::register(registry)?,
            reloads: reload::Metrics::register(registry)?,
            settings: settings::Metrics::register(registry)?,
        })
    }
}

/// The certificates and the door that they guard, where TLS is asked for.
fn secure(
    config: &Config,
    metrics: tls::Metrics,
) -> Result<Option<(Arc<Credentials>, Door)>, StartError> {
    const NAME: &str = "segments";
    if !config.tls.is_set() {
        return Ok(None);
    }
    let files = config.tls.files(config.tls_use());
    let credentials = Credentials::load(NAME, files, metrics.clone())?;
    let callers = Role::Ingest;
    let door = Door::for_members(NAME, credentials.clone(), callers, &config.tls, metrics)?;
    Ok(Some((credentials, door)))
}

/// Says what a reload changes while the node runs.
fn reloadable(live: &mut Live<Config>, credentials: Option<&Arc<Credentials>>) {
    live.part(|config: &Config| {
        let level = config.log_level;
        Ok(commit(move || rackcast_service::log::set_level(level)))
    });
    if let Some(credentials) = credentials {
        let named = |config: &Config| Some(config.tls.files(config.tls_use()));
        live.part(Arc::clone(credentials).part("tls", named));
    }
}

/// Lays what Consul says over the configuration, for as long as the answer is kept.
fn follow(
    client: Client,
    config: &Config,
    metrics: settings::Metrics,
    live: &Arc<Live<Config>>,
    end: &CancellationToken,
) -> watch::Receiver<Standing> {
    if let Some(certificates) = client.certificates() {
        let watching = certificates.watch(end.clone());
        vital::spawn("the watch of Consul's certificates", end, watching);
    }
    let layered = Arc::clone(live);
    // Those that are refused are in the log and in the metrics: they keep no job from being done.
    let apply = move |layer| {
        let laid = layered.layer(layer);
        laid.map(drop).map_err(|refused| refused.to_string())
    };
    let state = config.state_folder();
    settings::follow(client, Role::Transcode, state, metrics, end.clone(), apply)
}

/// A task for each slot, which keeps a worker in it.
fn keep_workers(
    scheduler: &Arc<Scheduler>,
    like: &Arc<Blueprint>,
    end: &CancellationToken,
) -> JoinSet<()> {
    let mut keepers = JoinSet::new();
    let devices = scheduler.devices().iter().enumerate();
    let slots = devices.flat_map(|(device, of)| (0..of.workers).map(move |slot| (device, slot)));
    for (number, (device, slot)) in slots.enumerate() {
        let id = SlotId { device, slot };
        let (like, scheduler) = (Arc::clone(like), Arc::clone(scheduler));
        let keeping = supervise(Post { id, number }, like, scheduler, end.clone());
        keepers.spawn(vital::vital("the keeper of a worker", end, keeping));
    }
    keepers
}

/// Refuses new jobs and waits for the admitted ones, up to a limit.
async fn finish(scheduler: &Scheduler, limit: Duration) {
    notify::stopping();
    scheduler.stop();
    let deadline = Instant::now() + limit;
    let idle = async {
        while !scheduler.is_idle() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    match timeout_at(deadline, idle).await {
        Ok(()) => log::info!("drained: no job is left"),
        Err(_) => log::warn!("jobs were cut off: they were not done after {limit:?}"),
    }
}
