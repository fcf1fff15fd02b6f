//! The loop that compares, mends and reports.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rackcast_service::backoff::Backoff;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::lookout::Lookout;
use super::plan::{Action, Actual, Plan, plan};
use super::{Config, Desired, Standing};
use crate::client::{Client, Error, TokenMark};
use crate::register::{Check, CheckKind, OWNER, Registration, Status};

/// Comparisons follow each other no closer than this, whatever asks for them.
const SYNC_PAUSE: Duration = Duration::from_millis(200);
/// Reports are looked through this often.
const REPORT_PAUSE: Duration = Duration::from_millis(500);
/// Delays after a failed comparison.
const RETRY: Backoff = Backoff::between(Duration::from_millis(250), Duration::from_secs(30));

pub(super) struct Keeper {
    client: Client,
    owner: String,
    config: Config,
    standing: watch::Sender<Standing>,
    drift: Arc<Notify>,
    lookout: Lookout,
    feed: Feed,
    started: Instant,
    failures: u32,
    last_sync: Option<Instant>,
    /// The token that our services are registered with.
    token: Option<TokenMark>,
    /// They must be registered with another one.
    renew: bool,
    /// With the mark in Meta.
    desired: Vec<Desired>,
    /// What we have registered, by service ID.
    registered: BTreeMap<String, Registration>,
    /// Status of every check when last seen, by check ID: what is lost returns with it.
    last_status: HashMap<String, Status>,
}

impl Keeper {
    pub(super) fn new(
        client: Client,
        owner: String,
        config: Config,
        standing: watch::Sender<Standing>,
    ) -> Self {
        let drift = Arc::new(Notify::new());
        Self {
            lookout: Lookout::new(client.clone(), Arc::clone(&drift)),
            feed: Feed::new(config.report_interval, config.report_max_age),
            client,
            owner,
            config,
            standing,
            drift,
            started: Instant::now(),
            failures: 0,
            last_sync: None,
            token: None,
            renew: false,
            desired: Vec::new(),
            registered: BTreeMap::new(),
            last_status: HashMap::new(),
        }
    }

    /// Keeps what `changes` holds until `shutdown`, then removes it.
    pub(super) async fn run(
        mut self,
        mut changes: watch::Receiver<Vec<Desired>>,
        shutdown: CancellationToken,
    ) {
        let drift = Arc::clone(&self.drift);
        let mut open = true;
        self.desire(&changes.borrow_and_update());
        let mut sync_at = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                next = self.step(sync_at) => sync_at = next,
            }
            let wake = sync_at.min(Instant::now() + REPORT_PAUSE);
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = changes.changed(), if open => {
                    open = changed.is_ok();
                    if self.desire(&changes.borrow_and_update()) {
                        sync_at = Instant::now();
                    }
                }
                () = drift.notified() => sync_at = self.soon(),
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        self.remove_all().await;
    }

    /// Takes over what is desired now; says whether more than reports changed.
    fn desire(&mut self, desired: &[Desired]) -> bool {
        let before = std::mem::replace(&mut self.desired, desired.to_vec());
        for want in &mut self.desired {
            want.registration
                .service
                .meta
                .insert(OWNER.to_owned(), self.owner.clone());
        }
        before.len() != self.desired.len()
            || before.iter().zip(&self.desired).any(|(before, now)| {
                before.registration != now.registration || before.maintenance != now.maintenance
            })
    }

    /// Compares if it is time, then reports; returns when to compare next.
    async fn step(&mut self, sync_at: Instant) -> Instant {
        let mut next = sync_at;
        // Who has a new token need not wait until the old one would have been tried again.
        if Instant::now() >= sync_at || self.client.token_mark().await != self.token {
            let synced = self.sync().await;
            let now = Instant::now();
            self.last_sync = Some(now);
            next = now
                + match &synced {
                    Ok(_) => {
                        self.failures = 0;
                        self.config.sync_interval
                    }
                    Err(_) => {
                        self.failures = self.failures.saturating_add(1);
                        RETRY.delay(self.failures, rand::random())
                    }
                };
            self.say(synced);
        }
        match self.report().await {
            true => next,
            false => next.min(self.soon()),
        }
    }

    /// The first moment at which to compare again.
    fn soon(&self) -> Instant {
        let now = Instant::now();
        self.last_sync
            .map_or(now, |last| now.max(last + SYNC_PAUSE))
    }

    /// Compares once and does what differs. Returns the IDs that others hold. A refused
    /// registration does not keep the others from being made.
    async fn sync(&mut self) -> Result<Vec<String>, Error> {
        let token = self.client.token_mark().await;
        let renewed = std::mem::replace(&mut self.token, token) != token;
        self.renew |= renewed && !self.registered.is_empty();
        let actual = Actual {
            services: self.client.agent_services().await?,
            checks: self.client.agent_checks().await?,
        };
        let remove_unknown = self.started.elapsed() >= self.config.probation;
        let mut plan = plan(
            &self.desired,
            &actual,
            &self.owner,
            &self.registered,
            remove_unknown,
        );
        if self.renew {
            plan.register_all(&self.desired, &actual);
            self.lookout.set(std::iter::empty());
        }
        let mut refused = None;
        for action in &plan.actions {
            match self.apply(action, &plan).await {
                Ok(()) => {}
                Err(error) if error.retryable() => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        for (id, check) in actual.checks {
            self.last_status.insert(id, check.status);
        }
        self.last_status
            .retain(|id, _| self.registered.values().any(|r| has_check(r, id)));
        self.lookout.set(self.registered.keys());
        match refused {
            Some(error) => Err(error),
            None => {
                self.renew = false;
                Ok(plan.conflicts)
            }
        }
    }

    async fn apply(&mut self, action: &Action, plan: &Plan) -> Result<(), Error> {
        match action {
            Action::Register(registration) => {
                let id = &registration.service.id;
                // Before it is sent: if we are stopped in between, it is removed all the same.
                self.registered.insert(id.clone(), registration.clone());
                let healthy = self.with_health(registration, plan.maintains(id));
                let result = self.client.register_service(&healthy).await;
                if let Err(error) = result {
                    if !error.retryable() {
                        self.registered.remove(id);
                    }
                    return Err(error);
                }
                self.feed.forget(|check| !has_check(registration, check));
                log::info!("registered {id} in Consul");
            }
            Action::Deregister(id) => {
                self.client.deregister_service(id).await?;
                self.registered.remove(id);
                log::info!("removed {id} from Consul");
            }
            Action::Renew { id, reason } => self.renew(id, reason).await?,
            Action::Maintain { id, reason } => {
                self.client.set_maintenance(id, reason.as_deref()).await?;
                let reason = reason.as_deref().unwrap_or("over");
                log::info!(rackcast_reason = reason; "maintenance of {id}: {reason}");
            }
        }
        Ok(())
    }

    /// Consul keeps the first reason of a maintenance until it ends. Between its end and the next
    /// one nobody shall take the service for free.
    async fn renew(&mut self, id: &str, reason: &str) -> Result<(), Error> {
        if let Some(registration) = self.registered.get(id) {
            for check in ttl_checks(registration) {
                let why = "its maintenance gets another reason";
                self.client
                    .update_ttl(&check.id, Status::Critical, why)
                    .await?;
            }
            self.feed.forget(|check| !has_check(registration, check));
        }
        self.client.set_maintenance(id, None).await?;
        self.client.set_maintenance(id, Some(reason)).await?;
        log::info!(rackcast_reason = reason; "maintenance of {id}: {reason}");
        Ok(())
    }

    /// The registration with the health that its checks have now, by report or as last seen:
    /// Consul starts a check as critical until its first result. What is to be in maintenance at
    /// once is not to be taken for free until then; the reports that follow say how it is.
    fn with_health(&self, registration: &Registration, to_maintain: bool) -> Registration {
        let mut registration = registration.clone();
        let now = Instant::now();
        let reports = self.desired.iter().flat_map(|want| &want.reports);
        let young: HashMap<&str, Status> = reports
            .filter(|report| self.feed.is_young(report, now))
            .map(|report| (report.check.as_str(), report.status))
            .collect();
        for check in &mut registration.checks {
            let known = match check.kind {
                CheckKind::Ttl { .. } if to_maintain => Some(&Status::Critical),
                CheckKind::Ttl { .. } => young.get(check.id.as_str()),
                CheckKind::Http { .. } | CheckKind::Tcp { .. } => self.last_status.get(&check.id),
            };
            check.status = known.copied().unwrap_or(check.status);
        }
        registration
    }

    /// Sends the reports that are due; false if the agent does not know a check of ours, or does
    /// not take our word any more.
    async fn report(&mut self) -> bool {
        let mut known = true;
        for want in &self.desired {
            let Some(registration) = self.registered.get(&want.registration.service.id) else {
                continue;
            };
            for report in &want.reports {
                let now = Instant::now();
                if !has_check(registration, &report.check) || !self.feed.is_due(report, now) {
                    continue;
                }
                match self
                    .client
                    .update_ttl(&report.check, report.status, &report.output)
                    .await
                {
                    Ok(true) => self.feed.sent(report, now),
                    Ok(false) => known = false,
                    // The comparison will say so; once it has, its own pace is enough.
                    Err(error) if !error.retryable() && self.failures == 0 => known = false,
                    Err(error) => log::debug!("report of {}: {error}", report.check),
                }
            }
        }
        known
    }

    /// Tells how it stands, and logs when that changes.
    fn say(&self, synced: Result<Vec<String>, Error>) {
        let standing = match synced {
            Ok(conflicts) if conflicts.is_empty() => Standing::Kept,
            Ok(conflicts) => Standing::Conflict(conflicts),
            Err(error) => Standing::Failing {
                reason: error.to_string(),
                retryable: error.retryable(),
            },
        };
        self.standing.send_if_modified(|current| {
            if *current == standing {
                return false;
            }
            match &standing {
                Standing::Pending => {}
                Standing::Kept => log::info!("the registrations in Consul are as they shall be"),
                Standing::Conflict(ids) => {
                    log::error!(
                        "registered by somebody else, left alone: {}",
                        ids.join(", ")
                    );
                }
                Standing::Failing { reason, .. } => {
                    log::warn!(rackcast_reason = reason.as_str();
                        "the registrations in Consul cannot be kept: {reason}");
                }
            }
            *current = standing;
            true
        });
    }

    /// Removes what we registered, within the limit.
    async fn remove_all(&mut self) {
        self.desired.clear();
        let limit = self.config.shutdown_limit;
        match tokio::time::timeout(limit, self.sync()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::warn!("services stay registered in Consul: {error}"),
            Err(_) => log::warn!("Consul did not take all removals within {limit:?}"),
        }
    }
}

fn ttl_checks(registration: &Registration) -> impl Iterator<Item = &Check> {
    let checks = registration.checks.iter();
    checks.filter(|check| matches!(check.kind, CheckKind::Ttl { .. }))
}

fn has_check(registration: &Registration, id: &str) -> bool {
    registration.checks.iter().any(|check| check.id == id)
}
