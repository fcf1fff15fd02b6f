//! The agent at work: sockets in, registrations out.
//!
//! | Task | Gets | Gives |
//! |---|---|---|
//! | the loop here | answers of the [`Poller`] | what is desired (`watch`), its own status (`watch`) |
//! | reconciler | what is desired | how the registrations stand (`watch`) |
//! | admin server, status socket | the agent's own status | |
//! | watchdog | turns of the loop | |
//!
//! When `shutdown` is cancelled the loop ends, the reconciler deregisters everything, and then the
//! agent's own endpoints go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use prometheus::Registry;
use rackcast_consul::client::Client;
use rackcast_consul::reconcile::{self, Desired, Standing};
use rackcast_service::status::{Health, HealthState, Role, ServiceStatus};
use rackcast_service::{admin, metrics, notify, status};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Rules};
use crate::config::Config;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::poll::{Poller, sockets_in};
use crate::registration::Registrar;
use crate::settle::Settled;

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
    /// Two metrics have one name.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Runs the agent until `shutdown`.
///
/// # Errors
/// Something could not be bound or set up; once it runs, nothing ends it but `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), StartError> {
    let client = Client::new(&config.consul)?;
    let registry = Registry::new();
    metrics::build_info(&registry, "agent", env!("CARGO_PKG_VERSION"))?;
    let metrics = Metrics::register(&registry)?;
    let listener = TcpListener::bind(config.admin)
        .await
        .map_err(|error| StartError::Admin(config.admin, error))?;
    let admin_at = listener.local_addr().unwrap_or(config.admin);

    // The endpoints outlive the loop and the reconciler: one can watch the agent stop.
    let endpoints = CancellationToken::new();
    let _endpoints = endpoints.clone().drop_guard();
    let (own, own_seen) = watch::channel(own_status(&config, admin_at));
    let serving_status = status::serve(&config.status_socket, own_seen.clone(), endpoints.clone())
        .map_err(|source| StartError::Status {
            path: config.status_socket.clone(),
            source,
        })?;
    let progress = own_seen.clone();
    let serving_admin = admin::serve(listener, registry, own_seen, endpoints.clone());
    let watchdog = notify::watchdog(
        notify::advancing(move || progress.borrow().progress),
        endpoints.clone(),
    );
    tokio::spawn(watchdog);

    let (desired, wanted) = watch::channel(Vec::new());
    let reconciler = reconcile::spawn(
        client,
        config.owner_name(),
        config.reconcile.clone(),
        wanted,
        shutdown.clone(),
    );
    notify::ready();
    log::info!(rackcast_node = config.node_name(); "the agent runs; admin address {admin_at}");
    let standing = reconciler.standing.clone();
    let agent = Agent::new(config, metrics, desired, own);
    shutdown.run_until_cancelled(agent.run(standing)).await;

    notify::stopping();
    reconciler.stopped().await;
    endpoints.cancel();
    for task in [serving_status, serving_admin] {
        if let Err(error) = task.await {
            log::error!("an endpoint ended before its time: {error}");
        }
    }
    log::info!("the agent has stopped");
    Ok(())
}

fn own_status(config: &Config, admin: SocketAddr) -> ServiceStatus {
    ServiceStatus {
        role: Role::Agent,
        instance: config.owner_name(),
        node: config.node_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        protocol: 1,
        ready: false,
        draining: false,
        health: health(&Standing::Pending),
        endpoints: [("admin".to_owned(), admin)].into(),
        tags: Vec::new(),
        meta: BTreeMap::new(),
        weight: 1,
        progress: 0,
    }
}

struct Agent {
    config: Config,
    board: Board,
    poller: Poller,
    registrar: Registrar,
    settled: Settled,
    metrics: Metrics,
    desired: watch::Sender<Vec<Desired>>,
    own: watch::Sender<ServiceStatus>,
    /// What the folder of sockets said last time, if it could not be read.
    scan_error: Option<io::ErrorKind>,
    journal: Journal,
}

impl Agent {
    fn new(
        config: Config,
        metrics: Metrics,
        desired: watch::Sender<Vec<Desired>>,
        own: watch::Sender<ServiceStatus>,
    ) -> Self {
        let check = &config.check;
        let rules = Rules {
            silent_after: check.silent_after,
            stalled_after: check.stalled_after,
            forget_after: check.forget_after,
        };
        Self {
            board: Board::new(rules),
            poller: Poller::new(check.poll_interval),
            registrar: Registrar::new(&config),
            settled: Settled::new(check.settle_interval),
            metrics,
            desired,
            own,
            scan_error: None,
            journal: Journal::default(),
            config,
        }
    }

    async fn run(mut self, mut standing: watch::Receiver<Standing>) {
        let mut scan = tokio::time::interval(self.config.check.scan_interval);
        scan.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = scan.tick() => self.look(),
                answer = self.poller.answer() => {
                    let socket = answer.socket.clone();
                    if let Err(error) = &answer.result && !error.is_absent() {
                        log::warn!("{}: {error}", socket.display());
                    }
                    let heard = answer.into_heard();
                    self.metrics.polled(&heard);
                    self.board.hear(&socket, heard, Instant::now());
                    self.publish();
                }
                Ok(()) = standing.changed() => self.report(&standing.borrow_and_update()),
            }
            self.own
                .send_modify(|own| own.progress = own.progress.wrapping_add(1));
        }
    }

    /// Asks the sockets that there are and those that were there.
    fn look(&mut self) {
        let mut sockets: BTreeSet<PathBuf> = self.board.sockets().cloned().collect();
        sockets.extend(
            self.config
                .service
                .iter()
                .map(|service| service.socket.clone()),
        );
        match sockets_in(&self.config.socket_dir) {
            Ok(found) => {
                self.scan_error = None;
                sockets.extend(found);
            }
            Err(error) if self.scan_error == Some(error.kind()) => {}
            Err(error) => {
                log::error!(
                    "{} cannot be read: {error}",
                    self.config.socket_dir.display()
                );
                self.scan_error = Some(error.kind());
            }
        }
        sockets.remove(&self.config.status_socket);
        self.poller.ask(sockets, Instant::now());
    }

    /// Hands on what shall stand in Consul now.
    fn publish(&mut self) {
        let now = Instant::now();
        let mut desired = BTreeMap::new();
        let mut judged = BTreeMap::new();
        for service in self.board.judge(now) {
            let Some(mut want) = self.registrar.desired(&service) else {
                continue;
            };
            let id = want.registration.service.id.clone();
            if desired.contains_key(&id) {
                self.journal.clash(service.socket, &id);
                continue;
            }
            judged.insert(id.clone(), service.verdict.state);
            self.journal.judged(&id, &service);
            self.settled
                .settle(&mut want.registration, service.status.ready, now);
            desired.insert(id, want);
        }
        self.journal.keep(|id| desired.contains_key(id));
        self.settled.keep(|id| desired.contains_key(id));
        self.metrics
            .judged(judged.iter().map(|(id, state)| (id.as_str(), *state)));
        self.desired.send_replace(desired.into_values().collect());
    }

    /// Takes down how the registrations stand.
    fn report(&self, standing: &Standing) {
        self.metrics.standing(standing);
        let health = health(standing);
        match health.state {
            HealthState::Passing => log::debug!("{}", health.summary),
            _ => log::warn!("{}", health.summary),
        }
        notify::status(&health.summary);
        self.own.send_modify(|own| {
            own.ready = true;
            own.health = health;
        });
    }
}

fn health(standing: &Standing) -> Health {
    match standing {
        Standing::Pending => Health::passing("registrations are not compared yet"),
        Standing::Kept => Health::passing("registrations are kept"),
        Standing::Conflict(ids) => Health::warning(format!(
            "not registered, since somebody else holds the ID: {}; give this agent's services \
             another node or instance name, or remove the other's",
            ids.join(", ")
        )),
        Standing::Failing {
            reason,
            retryable: true,
        } => Health::warning(format!(
            "registrations cannot be compared, trying again: {reason}"
        )),
        Standing::Failing {
            reason,
            retryable: false,
        } => Health::critical(format!("registrations are refused: {reason}")),
    }
}
