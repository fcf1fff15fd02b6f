//! Follows the instances of a service, and says how sure it is of them.
//!
//! One task asks Consul with blocking queries. What an answer or a failure means is decided
//! by [`follow`], which is pure: errors and sudden emptiness keep the last known good list,
//! because Consul's absence changes what is known, never what works. The first change is
//! delivered at once; after it the watch rests for a moment, so that a hundred instances
//! that change together cost a few large answers, not a hundred.

mod follow;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rackcast_service::backoff::Backoff;
use rackcast_service::vital;
use rand::RngExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, HealthQuery};
pub use crate::client::{Health, Instance};
use follow::Follower;
pub use follow::next_index;

/// What to watch. Use one watch per process and service: every change sends the whole list
/// to every watcher.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Service name.
    pub service: String,
    /// Datacenter; the client's by default.
    pub datacenter: Option<String>,
    /// Only instances with this tag.
    pub tag: Option<String>,
    /// Leave out instances that are not passing. Off by default: a list that also names the
    /// instances in maintenance tells a drain from a disaster.
    pub passing_only: bool,
    /// How long Consul may hold a question.
    pub wait: Duration,
    /// Rest after a change, shortest and longest.
    pub rest: (Duration, Duration),
    /// For how long an empty list must be reported before it replaces one that was not.
    pub empty_grace: Duration,
    /// Delays after failures.
    pub retry: Backoff,
}

impl Watch {
    /// Watches a service by the measured rules.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            datacenter: None,
            tag: None,
            passing_only: false,
            wait: Duration::from_secs(60),
            rest: (Duration::from_millis(100), Duration::from_millis(250)),
            empty_grace: Duration::from_secs(30),
            retry: Backoff::between(Duration::from_millis(250), Duration::from_secs(30)),
        }
    }
}

/// The instances and how far to trust the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Sorted by node and ID.
    pub nodes: Arc<Vec<Instance>>,
    /// How far to trust them.
    pub state: State,
}

/// How far to trust a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Consul has not answered yet.
    #[default]
    Unknown,
    /// What Consul says now.
    Fresh,
    /// What Consul said last, before it failed or said something not to be believed yet.
    LastKnownGood {
        /// When the doubt began.
        since: Instant,
        /// What raised it.
        reason: String,
    },
}

/// Starts to watch. The task ends with `shutdown`, or when every receiver is dropped.
pub fn watch(client: Client, watch: Watch, shutdown: CancellationToken) -> watch::Receiver<View> {
    let (views, receiver) = watch::channel(View::default());
    let over = shutdown.child_token();
    vital::spawn("the watch of the catalog", &over.clone(), async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = views.closed() => over.cancel(),
            () = follow(&client, watch, &views) => {}
        }
    });
    receiver
}

/// Asks for ever.
async fn follow(client: &Client, watch: Watch, views: &watch::Sender<View>) {
    let mut follower = Follower::new(watch.empty_grace);
    loop {
        let ask = follower.ask(Instant::now(), watch.wait);
        let answer = client
            .health_service(&HealthQuery {
                service: &watch.service,
                datacenter: watch.datacenter.as_deref(),
                tag: watch.tag.as_deref(),
                passing_only: watch.passing_only,
                index: ask.index,
                wait: ask.wait,
            })
            .await;
        let now = Instant::now();
        let rest = match answer {
            Ok(answer) => {
                let changed = answer.index != ask.index;
                follower.answered(now, answer);
                match changed {
                    true => rand::rng().random_range(watch.rest.0..=watch.rest.1),
                    false => Duration::ZERO,
                }
            }
            Err(error) => {
                follower.failed(now, &error);
                watch.retry.delay(follower.failures(), rand::random())
            }
        };
        publish(views, follower.view(), &watch.service);
        tokio::time::sleep(rest).await;
    }
}

/// Wakes the receivers if the view differs, and logs when the trust does.
fn publish(views: &watch::Sender<View>, view: &View, service: &str) {
    views.send_if_modified(|current| {
        if current == view {
            return false;
        }
        if current.state != view.state {
            log_state(view, service);
        }
        *current = view.clone();
        true
    });
}

fn log_state(view: &View, service: &str) {
    let nodes = view.nodes.len();
    match &view.state {
        State::Unknown => {}
        State::Fresh => log::info!("{service}: {nodes} instances in the catalog"),
        State::LastKnownGood { reason, .. } => {
            log::warn!(rackcast_reason = reason.as_str();
                "{service}: keeping the last known {nodes} instances: {reason}");
        }
    }
}
