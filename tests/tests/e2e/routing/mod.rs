//! Four of six nodes fail, each in a way of its own and all at once, and players do not notice.
//!
//! What real processes cannot be made to do (answer with corrupt media, refuse everything, stand
//! far away) the proxies in front of them do; see `fleet`.

mod place;
mod rack;
mod soak;
mod told;

use std::time::{Duration, Instant};

use rackcast_tests::audit::Submissions;
use rackcast_tests::load::{self, Load};
use rackcast_tests::proxy::Fault;
use rackcast_tests::rack::Ingest;
use rackcast_tests::wait::wait_until;

use place::{PLACING, place};
use rack::{Rack, usage, work};
use told::{assert_nothing_lost, assert_truly_told};

const STREAMS: usize = 8;
/// Longer than any of these tests may take.
const LENGTH: Duration = Duration::from_secs(300);
/// Segments of each stream after all faults are on: 24 s.
const SEGMENTS: usize = 12;
const LIMIT: Duration = Duration::from_secs(30);
/// The length of one.
const SEGMENT: Duration = Duration::from_secs(2);
/// The default but that no stream leaves its node for one that is merely better: so each node that
/// is to fail fails its streams.
const HELD: &str = "[route.home]\nleast_gain = \"3s\"\nbalance = 0.0";
/// Between the ingest's decision and the proxy's note of it, on a busy machine.
const DOUBT: Duration = Duration::from_secs(1);

fn names(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{kind}-{i}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_of_six_nodes_fail_and_nothing_is_lost() {
    Box::pin(four_of_six_fail(Duration::ZERO, Fault::Rot)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_with_half_of_the_nodes_100_ms_away() {
    Box::pin(four_of_six_fail(Duration::from_millis(100), Fault::Swap)).await;
}

async fn four_of_six_fail(latency: Duration, corruption: Fault) {
    let rack = Box::pin(Rack::start(latency)).await;
    let (spare, streams) = (names("spare", STREAMS), names("run", STREAMS));
    let all = [spare.clone(), streams.clone()].concat();
    let config = |routing: &str| format!("{}\n{routing}", load::config(&all));
    let ingest = Ingest::on(&rack.directory.url, 1, &config(PLACING)).await;

    assert_capacity_to_spare(&rack, &ingest, &spare).await;
    let began = Instant::now();
    let load = place(&rack, &ingest, &all, &streams).await;
    rack.offer(&ingest, &rack.sites().collect::<Vec<_>>()).await;
    ingest.reload(&config(HELD)).await;

    let faults = Instant::now();
    let _slowed = rack.slow.slow();
    rack.killed.kill();
    rack.corrupt.proxy.set(corruption);
    rack.refusing.proxy.set(Fault::Refuse);
    for site in [&rack.slow, &rack.corrupt, &rack.refusing] {
        let what = format!("a segment for {} with its fault", site.id);
        wait_until(&what, LIMIT, || !site.asked_since(faults).is_empty()).await;
    }
    ingest.reload(&config("")).await;
    load.more(SEGMENTS).await;

    for site in rack.sites() {
        let asked = site.asked_since(faults).len();
        println!("{}: {asked} requests with the faults", site.id);
    }
    // All that it had may have been given up.
    let usual = work(&rack.healthy[0], faults);
    if let (Some(slow), Some(usual)) = (work(&rack.slow, faults), usual) {
        println!("a segment takes {slow:?} on the slow node, {usual:?} on a healthy one");
        assert!(slow > 3.0 * usual, "the slow node is not slow");
    }
    let submissions = Submissions::new(rack.asked(began));
    println!("(submissions, segments): {:?}", submissions.counts());
    assert_nothing_lost(&ingest, &load.stop().await, faults);
    assert_eq!(submissions.excesses(DOUBT), [""; 0]);
    assert_truly_told(&rack, &ingest, &all, &streams, began).await;
}

/// What is left when four fail carries the whole load, and at most half of it is needed.
async fn assert_capacity_to_spare(rack: &Rack, ingest: &Ingest, streams: &[String]) {
    let [near, far] = &rack.healthy;
    rack.offer(ingest, &[near, far]).await;
    let load = Load::start(ingest, streams, LENGTH).await;
    let measured = Instant::now();
    load.more(3).await;
    let used = [near, far].map(|site| {
        let (used, factor) = usage(site, measured);
        let percent = used * 100.0;
        println!(
            "{}: {percent:.0} % used, real-time factor {factor:.3}",
            site.id
        );
        used
    });
    let used = used.iter().sum::<f64>() / used.len() as f64;
    assert!(used < 0.5, "no capacity to spare: {used:.2}");
}
