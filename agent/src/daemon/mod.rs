//! The agent at work: sockets in, registrations out.
//!
//! | Task | Gets | Gives |
//! |---|---|---|
//! | the loop ([`work`]) | answers of the [`Poller`](crate::poll::Poller), orders (`watch`) | what is desired (`watch`), what is known (`watch`), its own status (`watch`) |
//! | reconciler | what is desired | how the registrations stand (`watch`) |
//! | orders from Consul ([`remote`]) | KV | orders |
//! | the fleet's settings | KV | a layer over the file, how that stands (`watch`) |
//! | control socket | what is known, an operator's wishes | orders |
//! | probes ([`crate::probe`]) | | findings (`watch`) |
//! | admin server, status socket | the agent's own status | |
//! | watchdog | turns of the loop | |
//!
//! When `shutdown` is cancelled the loop ends, the reconciler deregisters everything, and then the
//! agent's own endpoints go. An order to drain stays.

mod own;
mod work;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus::Registry;
use rackcast_consul::client::Client;
use rackcast_consul::{reconcile, settings};
use rackcast_service::reload::{self, Hangups, Live, commit};
use rackcast_service::status::Role;
use rackcast_service::{admin, metrics, notify, status, tls, vital};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::control::{self, Control};
use crate::metrics::Metrics;
use crate::orders::{OrderError, Orders};
use crate::{probe, remote};
use work::{Agent, Inlets, Outlets};

/// Why the agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration of the Consul client does not work.
    #[error("consul: {0}")]
    Consul(#[from] rackcast_consul::client::Error),
    /// The admin address cannot be bound.
    #[error("cannot listen on {0} (key `admin`): {1}")]
    Admin(SocketAddr, io::Error),
    /// The agent's own status socket cannot be bound.
    #[error("cannot serve the status socket {} (key `status_socket`): {source}", path.display())]
    Status {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The control socket cannot be bound.
    #[error(transparent)]
    Control(#[from] control::BindError),
    /// What the machine was told last is not known.
    #[error("{0} (key `state_dir`)")]
    Orders(#[from] OrderError),
    /// SIGHUP cannot be listened to.
    #[error("SIGHUP cannot be listened to: {0}")]
    Signals(io::Error),
    /// Two metrics have one name.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Runs the agent by `config` until `shutdown`. `live` is the same configuration, where SIGHUP shall
/// reload it.
///
/// # Errors
/// Something could not be bound or set up; once it runs, nothing ends it but `shutdown`.
pub async fn run(
    config: Config,
    live: Option<Live<Config>>,
    shutdown: CancellationToken,
) -> Result<(), StartError> {
    run_until(config, live, shutdown, CancellationToken::new()).await
}

/// Runs the agent until `shutdown`, or until `hand_over`: then the registrations stay, for a
/// successor that takes them over before their TTL ends.
///
/// # Errors
/// As [`run`].
pub async fn run_until(
    config: Config,
    live: Option<Live<Config>>,
    shutdown: CancellationToken,
    hand_over: CancellationToken,
) -> Result<(), StartError> {
    let hangups = Hangups::new().map_err(StartError::Signals)?;
    let registry = Registry::new();
    let client = Client::observed(&config.consul, tls::Metrics::register(&registry)?)?;
    let orders = Orders::open(&config.state_folder())?;
    metrics::build_info(&registry, "agent", env!("CARGO_PKG_VERSION"))?;
    let metrics = Metrics::register(&registry)?;
    let reloads = reload::Metrics::register(&registry)?;
    let settings_metrics = settings::Metrics::register(&registry)?;
    let listener = TcpListener::bind(config.admin)
        .await
        .map_err(|error| StartError::Admin(config.admin, error))?;
    let admin_at = listener.local_addr().unwrap_or(config.admin);

    // The endpoints outlive the loop and the reconciler: one can watch the agent stop.
    let endpoints = CancellationToken::new();
    let _endpoints = endpoints.clone().drop_guard();
    let (own, own_seen) = watch::channel(own::status(&config, admin_at));
    let order = orders.subscribe().borrow().clone();
    let (machine, known) = watch::channel(own::machine(&config, &own_seen.borrow(), order));
    let serving_status = status::serve(&config.status_socket, own_seen.clone(), endpoints.clone())
        .map_err(|source| StartError::Status {
            path: config.status_socket.clone(),
            source,
        })?;
    let control = Control {
        orders: orders.clone(),
        machine: known,
    };
    let (path, group) = (config.control_path(), &config.control_group);
    let serving_control = control::serve(&path, group, control, endpoints.clone())?;
    let progress = own_seen.clone();
    let serving_admin = admin::serve(listener, registry, own_seen, endpoints.clone());
    let watchdog = notify::watchdog(
        notify::advancing(move || progress.borrow().progress),
        endpoints.clone(),
    );
    tokio::spawn(watchdog);
    let waiting = live.as_ref().map(Live::waiting);
    let mut fleets = watch::channel(settings::Standing::default()).1;
    if let Some(mut live) = live {
        live.part(|config: &Config| {
            let level = config.log_level;
            Ok(commit(move || rackcast_service::log::set_level(level)))
        });
        client.reload_with(&mut live, |config| &config.consul);
        let live = Arc::new(live);
        let layered = Arc::clone(&live);
        fleets = settings::follow(
            client.clone(),
            Role::Agent,
            Some(config.state_folder()),
            settings_metrics,
            endpoints.clone(),
            move |layer| {
                let laid = layered.layer(layer);
                laid.map(drop).map_err(|refused| refused.to_string())
            },
        );
        let reloading = hangups.reload(live, reloads, endpoints.clone());
        vital::spawn("the reload", &endpoints, reloading);
    }

    if let Some(certificates) = client.certificates() {
        let watching = certificates.watch(endpoints.clone());
        vital::spawn("the watch of certificates", &endpoints, watching);
    }
    let standing =
        rackcast_consul::orders::follow(client.clone(), &config.node_name(), endpoints.clone());
    let (obeying, obeyed) = (
        remote::obey(standing, orders.clone()),
        endpoints.child_token(),
    );
    vital::spawn("the taking of orders", &obeyed.clone(), async move {
        obeying.await;
        obeyed.cancel();
    });
    let findings = probe::spawn(&config.probe, client.clone(), &endpoints);
    let (desired, wanted) = watch::channel(Vec::new());
    let removal = CancellationToken::new();
    let reconciler = reconcile::spawn(
        client,
        config.owner_name(),
        config.reconcile.clone(),
        wanted,
        removal.clone(),
    );
    let standing = reconciler.standing.clone();
    let node = config.node_name();
    let outlets = Outlets {
        desired,
        own,
        machine,
    };
    let inlets = Inlets {
        orders: orders.subscribe(),
        findings,
        settings: fleets,
        waiting,
    };
    let agent = Agent::new(config, metrics, inlets, outlets);
    // Services that start after the agent find the order in its place.
    notify::ready();
    log::info!(rackcast_node = node; "the agent runs; admin address {admin_at}");
    tokio::select! {
        () = agent.run(standing) => {}
        () = shutdown.cancelled() => {}
        () = hand_over.cancelled() => {}
    }

    notify::stopping();
    // Without its end the reconciler removes nothing; it goes with the process.
    if !hand_over.is_cancelled() {
        removal.cancel();
        reconciler.stopped().await;
    }
    endpoints.cancel();
    for task in [serving_status.into_future(), serving_control, serving_admin] {
        if let Err(error) = task.await {
            log::error!("an endpoint ended before its time: {error}");
        }
    }
    log::info!("the agent has stopped");
    Ok(())
}
