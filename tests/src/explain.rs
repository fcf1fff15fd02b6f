//! What an ingest says of its own decisions, for tests that hold it to what really happened.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use rackcast_service::explain::{
    Answer, EXPLAIN_PATH, End, Move, NODES_PATH, Nodes, Segment, Story, Streams, What,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::dev::Dev;
use crate::http::Http;
use crate::process::program;
use crate::wait::wait_seeing;

/// An ingest's admin address.
#[derive(Debug, Clone)]
pub struct Explain {
    base: String,
    http: Http,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registered {
    address: String,
    meta: BTreeMap<String, String>,
}

impl Explain {
    /// Of the ingest that has its admin address at `base`: `http://HOST:PORT`.
    pub fn at(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            http: Http::default(),
        }
    }

    /// Of the ingest of a `rackcast dev`, as the catalog tells where it is.
    ///
    /// # Panics
    /// The catalog has no ingest.
    pub async fn of(dev: &Dev) -> Self {
        let http = Http::default();
        for service in ["rackcast-ingest", "rackcast-dev-ingest"] {
            let url = format!("{}/v1/health/service/{service}", dev.ready.consul);
            let answer = http.get(&url).await.unwrap();
            let mut found: Vec<BTreeMap<String, serde_json::Value>> =
                serde_json::from_slice(&answer.body).unwrap();
            let Some(service) = found.first_mut().and_then(|i| i.remove("Service")) else {
                continue;
            };
            let at: Registered = serde_json::from_value(service).unwrap();
            let port = &at.meta["admin-port"];
            let host = at.meta.get("admin-address").unwrap_or(&at.address);
            return Self::at(&format!("http://{host}:{port}"));
        }
        panic!("no ingest at {}", dev.ready.consul);
    }

    /// The streams that it can explain.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn streams(&self) -> Streams {
        self.ask(EXPLAIN_PATH).await.unwrap()
    }

    /// All that it remembers of `APP/STREAM`, or `None` if that is nothing (yet).
    ///
    /// # Panics
    /// It does not answer, or has no room for all of it.
    pub async fn story(&self, stream: &str) -> Option<Story> {
        let story: Story = self.ask(&format!("{EXPLAIN_PATH}/{stream}")).await?;
        assert_eq!(story.omitted, 0, "the answer leaves segments out");
        Some(story)
    }

    /// One segment of `APP/STREAM`, or `None` if that is not remembered (yet).
    ///
    /// # Panics
    /// It does not answer.
    pub async fn segment(&self, stream: &str, number: u64) -> Option<Segment> {
        let target = format!("{EXPLAIN_PATH}/{stream}?segment={number}");
        self.ask::<Story>(&target).await?.segments.pop()
    }

    /// The table of nodes.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn nodes(&self) -> Nodes {
        self.ask(NODES_PATH).await.unwrap()
    }

    /// Waits until it sends segments to the nodes of these machines, and to no others.
    ///
    /// # Panics
    /// The limit passed.
    pub async fn goes_by(&self, machines: &BTreeSet<String>, limit: Duration) {
        let what = format!("{} to go by {machines:?}", self.base);
        wait_seeing(&what, limit, || async {
            let table = self.try_ask::<Nodes>(NODES_PATH).await?;
            let nodes = table.into_iter().flat_map(|t| t.nodes);
            let nodes = nodes.filter(|node| node.standing.code != "draining");
            let ids: Vec<_> = nodes.map(|node| node.id).collect();
            let is_of =
                |machine: &String| ids.iter().any(|id| id.contains(&format!("-{machine}-")));
            match ids.len() == machines.len() && machines.iter().all(is_of) {
                true => Ok(()),
                false => Err(format!("{ids:?}")),
            }
        })
        .await;
    }

    async fn ask<T: DeserializeOwned>(&self, target: &str) -> Option<T> {
        self.try_ask(target).await.unwrap()
    }

    async fn try_ask<T: DeserializeOwned>(&self, target: &str) -> Result<Option<T>, String> {
        let url = format!("{}{target}", self.base);
        let answer = self.http.get(&url).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let told = || format!("{url}: {}: {:?}", answer.status, answer.body);
        if answer.status != 200 {
            return Err(told());
        }
        let read: Result<Answer<T>, _> = serde_json::from_slice(&answer.body);
        let read = read.map_err(|e| format!("{e}: {}", told()))?;
        Ok(Some(read.content))
    }
}

/// What a test asks of a segment.
pub trait Told {
    /// The node that it was sent to first.
    fn first_node(&self) -> Option<&str>;
    /// The node that a submission went to.
    fn sent_to(&self, attempt: u32) -> Option<&str>;
    /// The node that players got a rendition from.
    fn ready_from(&self, rendition: &str) -> Option<&str>;
    /// How submissions to this node ended: a code each, such as `complete`, `refused:no-slot`,
    /// `claimed:undecodable`, `failed:connect`, `cancelled:lost`.
    fn ends_at(&self, node: &str) -> Vec<String>;
}

impl Told for Segment {
    fn first_node(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match &step.what {
            What::Sent { node, .. } => Some(node.id.as_str()),
            _ => None,
        })
    }

    fn sent_to(&self, wanted: u32) -> Option<&str> {
        self.steps.iter().find_map(|step| match &step.what {
            What::Sent { node, attempt, .. } if *attempt == wanted => Some(node.id.as_str()),
            _ => None,
        })
    }

    fn ready_from(&self, rendition: &str) -> Option<&str> {
        let end = self.renditions.iter().find(|r| r.name == rendition)?;
        match &end.end {
            End::Ready { attempt, .. } => self.sent_to(*attempt),
            _ => None,
        }
    }

    fn ends_at(&self, wanted: &str) -> Vec<String> {
        let ends = self.steps.iter().filter_map(|step| {
            let (node, end) = match &step.what {
                What::Complete { node, .. } => (node, "complete".to_owned()),
                What::Refused { node, code, .. } => (node, format!("refused:{code}")),
                What::Claimed { node, code, .. } => (node, format!("claimed:{code}")),
                What::Failed { node, why, .. } => (node, format!("failed:{}", why.code)),
                What::Cancelled { node, why, .. } => (node, format!("cancelled:{}", why.code)),
                _ => return None,
            };
            (node.id == wanted).then_some(end)
        });
        ends.collect()
    }
}

/// The moves of a stream away from a node.
pub fn moves_from<'a>(story: &'a Story, node: &str) -> Vec<&'a Move> {
    let moves = story.summary.moves.iter();
    moves.filter(|m| m.from.id == node).collect()
}

/// Runs `rackcast explain`: its exit code and what it prints.
///
/// # Panics
/// It cannot be started.
pub fn rackcast_explain(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program("rackcast"))
        .arg("explain")
        .args(args)
        .env_remove("CONSUL_HTTP_ADDR")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}
