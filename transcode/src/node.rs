//! A running node: front, workers, admin and status endpoints, from start to drain.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use rackcast_consul::client::Client;
use rackcast_consul::settings;
use rackcast_service::drain::{self, Order};
use rackcast_service::process::OWN_PROGRAM;
use rackcast_service::reload::{self, Hangups, Live, Waiting, commit};
use rackcast_service::status::Role;
use rackcast_service::tls::{self, Credentials, Door, FileError};
use rackcast_service::{admin, metrics as service_metrics, notify, status as socket, vital};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::admission::SlotId;
use crate::calibrate::{self, Report};
use crate::config::Config;
use crate::device::find::Found;
use crate::device::look;
use crate::front::Front;
use crate::gpus;
use crate::metrics::Metrics;
use crate::scheduler::Scheduler;
use crate::status::{Identity, Steady};
use crate::worker::{Blueprint, Post, supervise};

/// How often the status is made anew: so much later is it known that no worker moves.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// Of the drain's time, what is kept for clients to take the last answers.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the agent may take to hear that the node has finished.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a node did not start. Trying again helps only after the cause was removed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not this machine's.
    #[error("cannot listen on {0} (key listen.{1}): {2}")]
    Bind(SocketAddr, &'static str, io::Error),
    /// The status socket cannot be bound.
    #[error("cannot serve the status socket {} (key status_socket): {source}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SIGHUP cannot be listened to.
    #[error("SIGHUP cannot be listened to: {0}")]
    Signals(io::Error),
    /// The certificates cannot be used.
    #[error("[tls] {0}")]
    Certificates(#[from] FileError),
    /// TLS itself cannot be used: a defect.
    #[error("TLS: {0}")]
    Tls(#[from] tls::Error),
    /// The configuration of the Consul client does not work.
    #[error("[consul] {0}")]
    Consul(#[from] rackcast_consul::client::Error),
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// Runs a node until `shutdown`, then drains it.
///
/// # Errors
/// It could not start; once it serves, it ends only by `shutdown`.
pub async fn run(mut live: Live<Config>, shutdown: CancellationToken) -> Result<(), StartError> {
    let hangups = Hangups::new().map_err(StartError::Signals)?;
    let config = Config::clone(&live.config());
    let (segments, segments_at) = bind(config.listen.segments, "segments").await?;
    let (admin_listener, admin_at) = bind(config.listen.admin, "admin").await?;
    let registry = Registry::new();
    service_metrics::build_info(&registry, "transcode", env!("CARGO_PKG_VERSION"))?;
    let mut devices = config.devices(&look(&config).await);
    let like = Arc::new(blueprint(&config));
    let state = config.state_folder();
    let calibrating = calibrate::at_start(&mut devices, state.as_deref(), &like);
    shutdown.run_until_cancelled(calibrating).await;
    let metrics = Metrics::register(&registry)?;
    let scheduler = Scheduler::new(metrics, devices, config.worker.warm_pipelines);
    let tls_metrics = tls::Metrics::register(&registry)?;
    let secure = secure(&config, tls_metrics.clone())?;
    let reloads = reload::Metrics::register(&registry)?;
    live.part(|config: &Config| {
        let level = config.log_level;
        Ok(commit(move || rackcast_service::log::set_level(level)))
    });
    if let Some((credentials, _)) = &secure {
        let named = |config: &Config| Some(config.tls.files(config.tls_use()));
        live.part(Arc::clone(credentials).part("tls", named));
    }
    let live = Arc::new(live);
    let client = Client::observed(&config.consul, tls_metrics)?;
    let settings_metrics = settings::Metrics::register(&registry)?;

    let identity = Identity {
        node: config.node_name(),
        identity: secure
            .as_ref()
            .and_then(|(credentials, _)| credentials.identity()),
        instance: config.instance.clone(),
        segments: segments_at,
        admin: admin_at,
        devices: scheduler.devices().to_vec(),
    };
    let workers = identity.workers();
    let gpus = gpus::watch(&config.gpu);
    // What tells others about the node stops last.
    let end = CancellationToken::new();
    let (status_tx, status_rx) = watch::channel(identity.status(
        &scheduler.load(),
        &scheduler.slots(),
        &gpus.borrow(),
        scheduler.progress(),
    ));
    let mut status_socket = socket::serve(&config.status_socket, status_rx.clone(), end.clone())
        .map_err(|source| StartError::Socket {
            path: config.status_socket.clone(),
            source,
        })?;
    let admin = admin::serve(admin_listener, registry, status_rx, end.clone());
    let orders = drain::follow(drain::file_beside(&config.status_socket), end.clone());
    scheduler.drain(orders.borrow().is_drain());
    let reporting = report(
        identity,
        scheduler.clone(),
        gpus,
        orders,
        live.waiting(),
        status_tx,
        end.clone(),
    );
    let reporter = vital::spawn("the report of the node's state", &end, reporting);

    if let Some(certificates) = client.certificates() {
        let watching = certificates.watch(end.clone());
        vital::spawn("the watch of Consul's certificates", &end, watching);
    }
    let layered = Arc::clone(&live);
    // Those that are refused are in the log and in the metrics: they keep no job from being done.
    let _standing = settings::follow(
        client,
        Role::Transcode,
        config.state_folder(),
        settings_metrics,
        end.clone(),
        move |layer| {
            let laid = layered.layer(layer);
            laid.map(drop).map_err(|refused| refused.to_string())
        },
    );
    let reloading = hangups.reload(Arc::clone(&live), reloads, end.clone());
    let reloading = vital::spawn("the reload", &end, reloading);

    let mut tasks = JoinSet::new();
    let mut numbers = 0..;
    for (index, device) in scheduler.devices().iter().enumerate() {
        for (slot, number) in (0..device.workers).zip(numbers.by_ref()) {
            let id = SlotId {
                device: index,
                slot,
            };
            let (blueprint, scheduler) = (like.clone(), scheduler.clone());
            let post = Post { id, number };
            let keeping = supervise(post, blueprint, scheduler, end.clone());
            tasks.spawn(vital::vital("the keeper of a worker", &end, keeping));
        }
    }
    let (credentials, door) = secure.unzip();
    let certificates = credentials.map(|credentials| {
        let watching = credentials.watch(end.clone());
        vital::spawn("the watch of certificates", &end, watching)
    });
    let front = Front::new(config.front, door, scheduler.clone());
    let closing = CancellationToken::new();
    let serving = front.serve(segments, closing.clone(), GOODBYE);
    let serving = vital::spawn("the front", &closing, serving);
    log::info!(
        segments = segments_at.to_string(), admin = admin_at.to_string(), workers = workers;
        "serving"
    );

    shutdown.cancelled().await;
    finish(&scheduler, live.config().drain_timeout).await;
    closing.cancel();
    let _ = serving.await;
    status_socket.farewell(FAREWELL).await;
    end.cancel();
    tasks.join_all().await;
    if let Some(certificates) = certificates {
        let _ = certificates.await;
    }
    for task in [status_socket.into_future(), admin, reporter, reloading] {
        let _ = task.await;
    }
    log::info!("stopped");
    Ok(())
}

/// How workers are started.
fn blueprint(config: &Config) -> Blueprint {
    Blueprint {
        program: OWN_PROGRAM.into(),
        worker: config.worker.clone(),
        log_level: config.log_level,
    }
}

/// Measures what this machine's devices can do, thoroughly.
pub async fn calibrate(config: &Config) -> Report {
    let devices = config.devices(&look(config).await);
    let state = config.state_folder();
    calibrate::thorough(&devices, state.as_deref(), &blueprint(config)).await
}

/// The GPUs of this machine, where it is not said what does the work.
async fn look(config: &Config) -> Vec<Found> {
    if !config.device.is_empty() {
        return Vec::new();
    }
    let found = look::ask(Path::new(OWN_PROGRAM)).await.unwrap_or_else(|e| {
        log::warn!("GPUs were not looked for, and the CPU works alone: {e}");
        Vec::new()
    });
    for gpu in &found {
        match gpu.is_usable() {
            true => log::info!(rackcast_device = gpu.name; "{} was found", gpu.name),
            false => log::warn!(rackcast_device = gpu.name; "{} idles: {}", gpu.name, gpu.lacks),
        }
    }
    found
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

async fn bind(
    address: SocketAddr,
    key: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |e| StartError::Bind(address, key, e);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
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

/// Keeps the status true and the machine's order obeyed, tells systemd, and feeds its watchdog.
async fn report(
    identity: Identity,
    scheduler: Arc<Scheduler>,
    gpus: watch::Receiver<gpus::Known>,
    mut orders: watch::Receiver<Order>,
    waiting: watch::Receiver<Waiting>,
    status: watch::Sender<rackcast_service::status::ServiceStatus>,
    end: CancellationToken,
) {
    let fed = scheduler.clone();
    let watchdog = notify::watchdog(notify::advancing(move || fed.progress()), end.clone());
    let workers = identity.workers();
    let reporting = async {
        let mut ticks = interval(STATUS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut started, mut summary) = (false, String::new());
        let mut steady = Steady::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = orders.changed() => scheduler.drain(orders.borrow_and_update().is_drain()),
            }
            let mut load = scheduler.load();
            let slots = scheduler.slots();
            let now = std::time::Instant::now();
            load.slots = steady.of(now, load.slots, workers, &slots);
            let mut now = identity.status(&load, &slots, &gpus.borrow(), scheduler.progress());
            now.waiting.clone_from(&waiting.borrow());
            scheduler.metrics.gpus.show(&now.devices);
            // One that starts on a machine that drains has started all the same.
            if load.slots > 0 && !started {
                started = true;
                notify::ready();
            }
            if now.health.summary != summary {
                summary = now.health.summary.clone();
                notify::status(&summary);
            }
            status.send_if_modified(|old| {
                let changed = *old != now;
                *old = now;
                changed
            });
        }
    };
    tokio::join!(watchdog, async {
        end.run_until_cancelled(reporting).await;
    });
}
