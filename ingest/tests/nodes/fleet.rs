//! A dispatcher over a few nodes that do as they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use rackcast_ingest::config::Config;
use rackcast_ingest::dispatch::{Dispatcher, Lane, Order, Outcome};
use rackcast_ingest::explain::{self, Trails};
use rackcast_route::plan::GiveUp;
use rackcast_route::table::{NodeView, Standing};
use rackcast_route::{Endpoint, Member, Router};
use tokio::sync::mpsc::Receiver;

use super::media;
use super::node::{Answer, Node};

/// Long enough for any machine.
pub const PLENTY: Duration = Duration::from_secs(20);
pub const BOTH: [&str; 2] = ["720p", "360p"];

/// What became of each rendition.
pub type Outcomes = BTreeMap<String, Result<Bytes, GiveUp>>;

/// Nodes that are tried in their order, because each claims to be faster than the next.
pub struct Fleet {
    pub nodes: Vec<Node>,
    pub dispatcher: Arc<Dispatcher>,
    pub lane: Lane,
    registry: Registry,
}

/// The member that node `i` is.
pub fn member(i: usize, zone: &str, port: u16) -> Member {
    Member {
        id: format!("n{i}").into(),
        zone: zone.to_owned(),
        endpoint: Endpoint::new("127.0.0.1", port),
        slots: 4,
        pixel_rate: Some(1e9 / 4f64.powi(i32::try_from(i).unwrap())),
        weight: 1,
    }
}

impl Fleet {
    /// Nodes of one zone.
    pub async fn new(answers: Vec<Vec<Answer>>) -> Self {
        Self::with(&unhedged(), answers).await
    }

    pub async fn with(config: &Config, answers: Vec<Vec<Answer>>) -> Self {
        let answers = answers.into_iter().map(|a| ("z", a)).collect();
        Self::in_zones(config, answers).await
    }

    /// Each node in the zone that stands beside its answers.
    pub async fn in_zones(config: &Config, answers: Vec<(&str, Vec<Answer>)>) -> Self {
        let (mut nodes, mut members) = (Vec::new(), Vec::new());
        for (i, (zone, answers)) in answers.into_iter().enumerate() {
            let node = Node::start(answers).await;
            members.push(member(i, zone, node.addr.port()));
            nodes.push(node);
        }
        let registry = Registry::new();
        let dispatcher = dispatcher(config, &registry);
        dispatcher.update_members(&members);
        Self {
            nodes,
            lane: dispatcher.open("live/show".parse().unwrap()),
            dispatcher,
            registry,
        }
    }

    /// Sends a segment of both renditions.
    pub fn submit(&self, time: Duration) -> Receiver<Outcome> {
        self.lane.submit(media::order(&BOTH, 5000, time))
    }

    pub async fn run(&self, order: Order) -> Outcomes {
        collect(self.lane.submit(order)).await
    }

    /// Both renditions come, and are right.
    pub async fn both_come(&self) {
        let outcomes = collect(self.submit(PLENTY)).await;
        let media = media::rendition();
        assert_eq!(outcomes.len(), 2);
        for (name, outcome) in outcomes {
            let right = outcome.as_ref() == Ok(&media);
            assert!(right, "{name}: {:?}", outcome.map(|media| media.len()));
        }
    }

    pub async fn none_comes(&self, time: Duration, reason: GiveUp) {
        let outcomes = collect(self.submit(time)).await;
        let lengths = outcomes.into_values().map(|o| o.map(|media| media.len()));
        assert_eq!(lengths.collect::<Vec<_>>(), [Err(reason), Err(reason)]);
    }

    /// What each node was asked: attempt and renditions.
    pub fn asked(&self, node: usize) -> Vec<(u32, Vec<String>)> {
        let seen = self.nodes[node].seen();
        let names = seen.iter().map(|job| {
            let names = job.spec.renditions.iter().map(|r| r.name.to_string());
            (job.attempt, names.collect())
        });
        names.collect()
    }

    /// Jobs that arrived at any node.
    pub fn arrived(&self) -> usize {
        self.nodes.iter().map(|n| n.seen().len()).sum()
    }

    /// The value of a metric with this label, or of one that has no label.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|f| f.name().ends_with(name));
        let metrics = family.map(|f| f.get_metric()).unwrap_or_default();
        let has = |m: &&prometheus::proto::Metric| {
            label.is_empty() || m.get_label().iter().any(|l| l.value() == label)
        };
        let found = metrics.iter().find(has);
        found.map_or(0.0, |m| {
            m.get_counter().get_value() + m.get_gauge().get_value()
        })
    }

    /// Waits until a metric has this value: what is decided is counted when its segment is over.
    pub async fn counts(&self, name: &str, label: &str, value: f64) {
        let limit = Instant::now() + PLENTY;
        loop {
            let found = self.metric(name, label);
            if found == value {
                return;
            }
            assert!(
                Instant::now() < limit,
                "{name} {label}: {found}, not {value}: {:?}",
                self.registry
                    .gather()
                    .iter()
                    .find(|f| f.name().ends_with(name))
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn view<T>(&self, node: usize, f: impl Fn(NodeView<'_>) -> T) -> T {
        let router = self.dispatcher.router();
        let id = format!("n{node}");
        let mut nodes = router.table().nodes(Instant::now());
        f(nodes.find(|n| n.member.id.as_str() == id).unwrap())
    }

    pub fn standing(&self, node: usize) -> Standing {
        self.view(node, |n| n.standing)
    }

    pub fn failures(&self, node: usize) -> u32 {
        self.view(node, |n| n.failures)
    }

    /// Our requests that the table takes this node to have.
    pub fn in_flight(&self, node: usize) -> u32 {
        self.view(node, |n| n.in_flight)
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + PLENTY;
        while !condition(self) {
            assert!(Instant::now() < limit, "{what} did not come about");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A dispatcher that knows no node.
pub fn dispatcher(config: &Config, registry: &Registry) -> Arc<Dispatcher> {
    let router = Router::new(config.router(), "test", Instant::now());
    let trails = Arc::new(Trails::new(explain::Config::default(), registry).unwrap());
    let dispatcher = Dispatcher::new(config.dispatch.clone(), router, trails, registry);
    Arc::new(dispatcher.unwrap())
}

/// All outcomes of a segment, each rendition's once.
pub async fn collect(mut outcomes: Receiver<Outcome>) -> Outcomes {
    let mut all = Outcomes::new();
    while let Some(outcome) = outcomes.recv().await {
        let (rendition, result) = match outcome {
            Outcome::Ready {
                rendition, media, ..
            } => (rendition, Ok(media)),
            Outcome::Missing { rendition, reason } => (rendition, Err(reason)),
        };
        let before = all.insert(rendition.to_string(), result);
        assert!(before.is_none(), "answered twice");
    }
    all
}

pub fn both() -> Vec<String> {
    BOTH.map(str::to_owned).to_vec()
}

/// No hedges: on a busy machine any answer is late. The tests of hedges ask for them.
pub fn unhedged() -> Config {
    let mut config = Config::default();
    config.dispatch.hedge.enabled = false;
    config
}

/// An attempt gets a twentieth of the time, one second.
pub fn impatient() -> Config {
    let mut config = unhedged();
    config.dispatch.attempts.share = 0.05;
    config
}
