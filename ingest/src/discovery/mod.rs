//! Feeds the catalog's view of the transcode nodes into the route table.
//!
//! Consul says who is a member; it is a cache, never in the path of a segment. The watch keeps
//! the last known good list when Consul fails or is suddenly empty, and the list is kept on
//! disk too, so that an ingest that starts while Consul is away begins with the nodes of its
//! last life. What the nodes do then is what [`rackcast_route`] measures.
//!
//! [`probe`] asks the nodes that get no work for their load.

mod config;
mod member;
mod metrics;
mod probe;
mod saved;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use rackcast_consul::client::Instance;
use rackcast_consul::watch::{State, View};
use rackcast_route::{Endpoint, Member};
use rackcast_service::vital;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatcher;
pub use config::Config;
use member::select;
use metrics::Metrics;

/// How long an empty catalog is doubted by a process that knows nodes of its last life only.
const EMPTY_GRACE: Duration = Duration::from_secs(30);

/// Starts to follow the catalog and to probe, until `shutdown`.
///
/// `views` has one watch for each datacenter that nodes are taken from; `state_dir` is where
/// the last list is kept. The receiver turns true once the catalog was asked: the table then
/// holds what can be known, which may be nothing.
///
/// # Errors
/// Its metrics are registered already.
pub fn start(
    config: Config,
    state_dir: Option<PathBuf>,
    views: Vec<watch::Receiver<View>>,
    dispatcher: Arc<Dispatcher>,
    registry: &prometheus::Registry,
    shutdown: CancellationToken,
) -> Result<watch::Receiver<bool>, prometheus::Error> {
    let metrics = Arc::new(Metrics::register(registry)?);
    let (ready, is_ready) = watch::channel(false);
    let prober = probe::run(
        config.clone(),
        Arc::clone(&dispatcher),
        Arc::clone(&metrics),
    );
    let follower = Follower {
        config,
        state_dir,
        views,
        dispatcher,
        metrics,
        members: Vec::new(),
        unfit: BTreeSet::new(),
        unsaved: false,
        emptiness: Emptiness::default(),
    };
    let until = shutdown.clone();
    vital::spawn("the discovery of nodes", &until, async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = follower.run(ready) => {}
            () = prober => {}
        }
    });
    Ok(is_ready)
}

/// Where an instance of the catalog is found.
///
/// # Errors
/// What of it makes no sense, or why it may not be spoken to.
pub(crate) fn endpoint(instance: &Instance, dispatcher: &Dispatcher) -> Result<Endpoint, String> {
    let member = member::member(instance, dispatcher.security());
    member
        .map(|m| m.endpoint)
        .map_err(|unfit| unfit.to_string())
}

struct Follower {
    config: Config,
    state_dir: Option<PathBuf>,
    views: Vec<watch::Receiver<View>>,
    dispatcher: Arc<Dispatcher>,
    metrics: Arc<Metrics>,
    /// What the table holds.
    members: Vec<Member>,
    /// Instances that were complained about.
    unfit: BTreeSet<String>,
    /// They are not what the file holds.
    unsaved: bool,
    emptiness: Emptiness,
}

/// Whether a catalog that names nobody is believed, in a process that has not seen it otherwise: it
/// may just have lost what it knew, and a watch can doubt only what it has seen. Pure.
#[derive(Debug, Default)]
struct Emptiness {
    since: Option<Instant>,
    believed: bool,
}

impl Emptiness {
    /// Until when it is not; `None` if what the catalog says counts.
    fn doubted_until(&mut self, is_empty: bool, now: Instant) -> Option<Instant> {
        self.believed |= !is_empty;
        if self.believed {
            return None;
        }
        let until = *self.since.get_or_insert(now) + EMPTY_GRACE;
        self.believed = now >= until;
        (!self.believed).then_some(until)
    }
}

impl Follower {
    async fn run(mut self, ready: watch::Sender<bool>) {
        let mut saved = self.load().await;
        saved.retain(|member| self.admits(member));
        self.adopt(saved.clone());
        let patience = sleep(self.config.first_answer);
        tokio::pin!(patience);
        loop {
            let (all_answered, doubted_until) = self.follow(&saved, Instant::now()).await;
            if all_answered {
                ready.send_replace(true);
            }
            tokio::select! {
                () = changed(&mut self.views) => {}
                () = sleep_until(doubted_until.unwrap_or_else(Instant::now)), if doubted_until.is_some() => {}
                () = &mut patience, if !*ready.borrow() => {
                    log::warn!(rackcast_reason = "no-catalog";
                        "Consul has not answered; going on with {} nodes of the last run",
                        self.members.len());
                    ready.send_replace(true);
                }
            }
        }
    }

    /// Takes over what the watches say now. Tells whether all of them have had an answer, and until
    /// when an empty one is not believed.
    async fn follow(&mut self, saved: &[Member], now: Instant) -> (bool, Option<Instant>) {
        let views: Vec<View> = self
            .views
            .iter_mut()
            .map(|v| v.borrow_and_update().clone())
            .collect();
        let answered = |v: &&View| v.state != State::Unknown;
        let all_answered = views.iter().all(|v| answered(&v));
        let fresh = views.iter().all(|v| v.state == State::Fresh);
        self.metrics.fresh.set(i64::from(fresh));
        let instances = views.iter().filter(answered).flat_map(|v| v.nodes.iter());
        let several = views.len() > 1;
        let mut selection = select(instances, self.dispatcher.security(), several);
        self.complain(&selection.unfit);
        let is_empty = selection.members.is_empty();
        let doubted_until = match all_answered && !saved.is_empty() {
            true => self.emptiness.doubted_until(is_empty, now),
            false => None,
        };
        if !all_answered || doubted_until.is_some() {
            selection.members.extend_from_slice(saved);
        }
        self.unsaved |= self.adopt(selection.members);
        if self.unsaved && fresh && doubted_until.is_none() {
            self.unsaved = false;
            self.save().await;
        }
        (all_answered, doubted_until)
    }

    /// Whether a node of an earlier life may be spoken to in this one, whose configuration may be
    /// another.
    fn admits(&self, member: &Member) -> bool {
        let security = self.dispatcher.security();
        match member.endpoint.identity().map(str::parse).transpose() {
            Ok(identity) => security.admits(identity.as_ref()).is_ok(),
            Err(_) => false,
        }
    }

    /// Makes these the table's members; true if that changes anything.
    fn adopt(&mut self, mut members: Vec<Member>) -> bool {
        members.sort_by(|a, b| a.id.cmp(&b.id));
        members.dedup_by(|b, a| a.id == b.id);
        let ignored = members.len().saturating_sub(self.config.max_nodes);
        let gauge = i64::try_from(ignored).unwrap_or(i64::MAX);
        self.metrics.ignored.set(gauge);
        if ignored > 0 {
            log::warn!(rackcast_reason = "max-nodes";
                "the catalog has {} nodes; those beyond {} are ignored",
                members.len(), self.config.max_nodes);
            members.truncate(self.config.max_nodes);
        }
        if members == self.members {
            return false;
        }
        log_changes(&self.members, &members);
        self.members = members;
        self.dispatcher.update_members(&self.members);
        true
    }

    /// Says once of each instance what is wrong with it.
    fn complain(&mut self, unfit: &[(String, member::Unfit)]) {
        self.metrics
            .unfit
            .set(i64::try_from(unfit.len()).unwrap_or(i64::MAX));
        for (id, why) in unfit {
            if !self.unfit.contains(id) {
                log::warn!(rackcast_node = id.escape_debug().to_string(), rackcast_reason = "unfit";
                    "the instance is ignored: {why}");
            }
        }
        self.unfit = unfit.iter().map(|(id, _)| id.clone()).collect();
    }

    async fn load(&self) -> Vec<Member> {
        let Some(dir) = self.state_dir.clone() else {
            return Vec::new();
        };
        let loaded = tokio::task::spawn_blocking(move || saved::load(&dir)).await;
        loaded
            .unwrap_or_else(|e| Err(e.into()))
            .unwrap_or_else(|e| {
                log::warn!(rackcast_reason = e.to_string(); "the last catalog cannot be read");
                Vec::new()
            })
    }

    async fn save(&self) {
        let Some(dir) = self.state_dir.clone() else {
            return;
        };
        let members = self.members.clone();
        let stored = tokio::task::spawn_blocking(move || saved::store(&dir, members)).await;
        if let Err(e) = stored.unwrap_or_else(|e| Err(e.into())) {
            log::warn!(rackcast_reason = e.to_string(); "the catalog cannot be kept on disk");
        }
    }
}

/// Waits until any of the watches has something new.
async fn changed(views: &mut [watch::Receiver<View>]) {
    if views.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(views.iter_mut().map(|view| Box::pin(news(view)))).await;
}

/// A watch that has ended, which it does only when the process ends, has no more news.
async fn news(view: &mut watch::Receiver<View>) {
    if view.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn log_changes(before: &[Member], after: &[Member]) {
    let has = |list: &[Member], m: &Member| {
        list.iter()
            .any(|o| o.id == m.id && o.endpoint == m.endpoint)
    };
    for m in after.iter().filter(|m| !has(before, m)) {
        log::info!(rackcast_node = m.id.as_str(), rackcast_peer = m.endpoint.as_str();
            "a transcode node in zone {} with {} slots", m.zone, m.slots);
    }
    for m in before.iter().filter(|m| !has(after, m)) {
        log::info!(rackcast_node = m.id.as_str(), rackcast_peer = m.endpoint.as_str();
            "the catalog no longer offers the transcode node");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emptiness_is_doubted_until_somebody_was_there_or_the_grace_is_over() {
        let start = Instant::now();
        let mut doubt = Emptiness::default();
        let until = Some(start + EMPTY_GRACE);
        assert_eq!(doubt.doubted_until(true, start), until);
        assert_eq!(doubt.doubted_until(true, start + EMPTY_GRACE / 2), until);
        assert_eq!(doubt.doubted_until(false, start + EMPTY_GRACE / 2), None);
        assert_eq!(doubt.doubted_until(true, start + EMPTY_GRACE / 2), None);

        let mut doubt = Emptiness::default();
        doubt.doubted_until(true, start);
        assert_eq!(doubt.doubted_until(true, start + EMPTY_GRACE), None);
    }
}
