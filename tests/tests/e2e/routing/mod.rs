//! Four of six nodes fail, each in a way of its own and all at once, and players do not notice.
//!
//! What real processes cannot be made to do (answer with corrupt media, refuse everything, stand
//! far away) the proxies in front of them do; see `fleet`.

mod rack;
mod soak;
mod told;

use std::time::{Duration, Instant};

use rackcast_tests::audit::Submissions;
use rackcast_tests::load::{self, Load};
use rackcast_tests::proxy::Fault;
use rackcast_tests::rack::Ingest;

use rack::{Rack, usage, work};
use told::{assert_nothing_lost, assert_truly_told};

const STREAMS: usize = 8;
/// Longer than any of these tests may take.
const LENGTH: Duration = Duration::from_secs(180);
/// Segments of each stream after all faults are on: 24 s.
const SEGMENTS: usize = 12;
const LIMIT: Duration = Duration::from_secs(30);
/// So many times at most the streams begin anew because some node has none. Were they spread by dice,
/// two times of five one of four would have none of eight.
const TRIES: usize = 8;
/// The length of one.
const SEGMENT: Duration = Duration::from_secs(2);
/// A stream leaves its node for none that is merely better, and no segment is spent on finding
/// out: so each node has the streams that it is meant to have when it fails, on a busy machine too.
const SPREAD: &str = "[route]\ncuriosity = 0.0\n[route.home]\nleast_gain = \"3s\"\nbalance = 0.0";
/// Between the ingest's decision and the proxy's note of it, on a busy machine.
const DOUBT: Duration = Duration::from_millis(200);

fn names(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{kind}-{i}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_of_six_nodes_fail_and_nothing_is_lost() {
    Box::pin(four_of_six_fail(Duration::ZERO, Fault::Rot)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "passed too few times to be relied on"]
async fn the_same_with_half_of_the_nodes_100_ms_away() {
    Box::pin(four_of_six_fail(Duration::from_millis(100), Fault::Swap)).await;
}

async fn four_of_six_fail(latency: Duration, corruption: Fault) {
    let rack = Rack::start(latency).await;
    let spare = names("spare", STREAMS);
    let tries: Vec<_> = (0..TRIES)
        .map(|i| names(&format!("run{i}"), STREAMS))
        .collect();
    let all = [spare.clone(), tries.concat()].concat();
    let config = format!("{}\n{SPREAD}", load::config(&all));
    let ingest = Ingest::on(&rack.directory.url, 1, &config).await;

    // What is left when four fail carries the whole load, and at most half of it is needed.
    let [near, far] = &rack.healthy;
    rack.offer(&ingest, &[near, far]).await;
    let load = Load::start(&ingest, &spare, LENGTH).await;
    let measured = Instant::now();
    load.more(3).await;
    for site in &rack.healthy {
        let (used, factor) = usage(site, measured);
        println!(
            "{}: {:.0} % used, real-time factor {factor:.3}",
            site.id,
            used * 100.0
        );
        assert!(
            used < 0.5,
            "{} has no capacity to spare: {used:.2}",
            site.id
        );
    }
    drop(load);

    // Every stream begins on a node that will fail, and each of those has streams, since all are
    // equally far away. On a busy machine some do not look so at first.
    for site in rack.failing() {
        site.wire.set_latency(latency);
    }
    let mut tries = tries.into_iter();
    let (began, streams, load) = loop {
        let streams = tries.next().expect("nodes that no stream chooses");
        rack.offer(&ingest, &rack.failing()).await;
        let began = Instant::now();
        let load = Load::start(&ingest, &streams, LENGTH).await;
        if rack.all_that_fail_are_homes().await {
            break (began, streams, load);
        }
        // Whatever those streams taught of the nodes is forgotten with them.
        drop(load);
        rack.offer(&ingest, &[near, far]).await;
    };
    rack.offer(&ingest, &rack.sites().collect::<Vec<_>>()).await;

    let faults = Instant::now();
    for site in [&rack.slow, &rack.killed] {
        site.wire.set_latency(Duration::ZERO);
    }
    let _slowed = rack.slow.slow();
    rack.killed.kill();
    rack.corrupt.proxy.set(corruption);
    rack.refusing.proxy.set(Fault::Refuse);
    load.more(SEGMENTS).await;

    for site in rack.sites() {
        let asked = site.asked_since(faults).len();
        println!("{}: {asked} requests with the faults", site.id);
    }
    for site in [&rack.slow, &rack.corrupt, &rack.refusing] {
        assert!(
            !site.asked_since(faults).is_empty(),
            "{} met nobody",
            site.id
        );
    }
    // All that it had may have been given up.
    if let (Some(slow), Some(usual)) = (work(&rack.slow, faults), work(near, faults)) {
        println!("a segment takes {slow:?} on the slow node, {usual:?} on a healthy one");
        assert!(slow > 3.0 * usual, "the slow node is not slow");
    }
    let submissions = Submissions::new(rack.asked(began, faults));
    println!("(submissions, segments): {:?}", submissions.counts());
    assert_nothing_lost(&ingest, &load.stop().await, faults);
    assert_eq!(submissions.excesses(DOUBT), [""; 0]);
    assert_truly_told(&rack, &ingest, &all, &streams, began).await;
}
