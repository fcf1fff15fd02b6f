//! Six nodes with what stands in front of them, and one ingest's catalog.

use std::time::{Duration, Instant};

use rackcast_tests::fleet::{Directory, Site};
use rackcast_tests::proxy::Asked;
use rackcast_tests::rack::Ingest;
use rackcast_tests::wait::wait_for;

use super::{LIMIT, SEGMENT};

/// Jobs at a time of each node.
const SLOTS: usize = 1;
/// What the first of the nodes that will fail promises, in output pixels a second.
const PROMISE: f64 = 1e9;
/// And how many times as much as the one before it each further one: more than those before it
/// have taught an ingest to take off.
const MORE: f64 = 20.0;

/// Six nodes, each in a zone of its own: what befalls one says nothing of another.
pub(super) struct Rack {
    pub(super) directory: Directory,
    pub(super) slow: Site,
    pub(super) killed: Site,
    pub(super) corrupt: Site,
    pub(super) refusing: Site,
    pub(super) healthy: [Site; 2],
    /// How far away the corrupt, the refusing and one of the healthy nodes are, each way.
    latency: Duration,
}

impl Rack {
    pub(super) async fn start(latency: Duration) -> Self {
        let site = |name| Site::start(name, name, SLOTS);
        let (directory, slow, corrupt, near, killed, refusing, far) = tokio::join!(
            Directory::start(),
            site("slow"),
            site("corrupt"),
            site("near"),
            site("killed"),
            site("refusing"),
            site("far"),
        );
        let rack = Self {
            directory,
            slow,
            killed,
            corrupt,
            refusing,
            healthy: [near, far],
            latency,
        };
        for site in rack.far() {
            site.wire.set_latency(latency);
        }
        rack
    }

    /// Half of them.
    fn far(&self) -> [&Site; 3] {
        [&self.corrupt, &self.refusing, &self.healthy[1]]
    }

    /// Those that will fail; those that are far away first, so that none is chosen for being nearer
    /// than one that comes after it.
    pub(super) fn failing(&self) -> [&Site; 4] {
        [&self.corrupt, &self.refusing, &self.slow, &self.killed]
    }

    pub(super) fn sites(&self) -> impl Iterator<Item = &Site> {
        self.failing().into_iter().chain(&self.healthy)
    }

    /// What all nodes were asked since a moment, with the latency in front of each.
    pub(super) fn asked(&self, since: Instant) -> Vec<(Asked, Duration)> {
        let of = |site: &Site| {
            let far = self.far().iter().any(|far| far.id == site.id);
            let latency = if far { self.latency } else { Duration::ZERO };
            let asked = site.asked_since(since).into_iter();
            asked.map(move |asked| (asked, latency))
        };
        self.sites().flat_map(of).collect()
    }

    /// Enters a node, with its promise if it is one that will fail.
    async fn enter(&self, site: &Site) {
        let failing = self.failing();
        let Some(place) = failing.iter().position(|failing| failing.id == site.id) else {
            return self.directory.add(site).await;
        };
        let (slots, address) = (site.slots.to_string(), site.wire.address);
        let promise = format!("{:e}", PROMISE * MORE.powi(i32::try_from(place).unwrap()));
        let meta = [
            ("zone", site.zone.as_str()),
            ("slots", &slots),
            ("pixel-rate", &promise),
        ];
        self.directory.enter(&site.id, address, &meta).await;
    }

    /// Puts these nodes, and no others, into the catalog, and waits until the ingest has them.
    pub(super) async fn offer(&self, ingest: &Ingest, offered: &[&Site]) {
        for site in self.sites() {
            match offered.iter().any(|o| o.id == site.id) {
                true => self.enter(site).await,
                false => self.directory.remove(site).await,
            }
        }
        wait_for("the ingest to have read the catalog", LIMIT, || async {
            let nodes = ingest.metric("rackcast_ingest_discovery_nodes", &[]).await;
            (nodes == offered.len() as f64).then_some(())
        })
        .await;
    }
}

/// The share of a site's slots that its work since a moment took, and the real-time factor of
/// that work: seconds for a second of media.
pub(super) fn usage(site: &Site, since: Instant) -> (f64, f64) {
    let (mut work, mut media) = (0.0, 0.0);
    for asked in site.asked_since(since) {
        if let Some(took) = asked.work() {
            work += took.as_secs_f64();
            media += asked.job.spec.source.duration.0 as f64 / 90_000.0;
        }
    }
    let time = since.elapsed().as_secs_f64() * site.slots as f64;
    (work / time, work / f64::max(media, f64::MIN_POSITIVE))
}

/// Whether some stream's newest segment and the one before it went there.
pub(super) fn is_home(site: &Site) -> bool {
    let asked = site.asked_since(Instant::now() - 3 * SEGMENT);
    let mut newest = asked.iter().filter(|a| a.at.elapsed() < SEGMENT);
    newest.any(|b| {
        asked.iter().any(|a| {
            a.job.stream == b.job.stream
                && a.job.sequence.0 + 1 == b.job.sequence.0
                && b.at - a.at > SEGMENT / 2
        })
    })
}

/// What a site took for a segment, in seconds: the median.
pub(super) fn work(site: &Site, since: Instant) -> Option<f64> {
    let asked = site.asked_since(since);
    let mut times: Vec<_> = asked.iter().filter_map(Asked::work).collect();
    times.sort();
    times.get(times.len() / 2).map(Duration::as_secs_f64)
}
