//! What retries may cost, and what the fleet cannot carry.

use std::time::{Duration, Instant};

use rackcast_ingest::config::Config;
use rackcast_route::plan::GiveUp;
use rackcast_segment::wire::reply::RefusalCode;

use super::fleet::{BOTH, Fleet, PLENTY, collect};
use super::media;
use super::node::{refuses, works_for};

/// Both nodes fail at everything: what all retries cost together is bounded.
#[tokio::test]
async fn retries_stay_within_their_budget() {
    const SEGMENTS: usize = 60;
    let bad = || (0..500).map(|_| refuses(RefusalCode::Internal)).collect();
    let mut config = Config::default();
    config.dispatch.max_segments_per_stream = SEGMENTS;
    let fleet = Fleet::with(&config, vec![bad(), bad(), bad(), bad()]).await;
    let began = Instant::now();
    let time = Duration::from_secs(10);
    let orders = (0..SEGMENTS).map(|_| fleet.submit(time));
    let all: Vec<_> = orders.collect();
    for outcomes in all {
        let outcomes = collect(outcomes).await;
        assert!(outcomes.values().all(Result::is_err), "{outcomes:?}");
    }
    let seconds = began.elapsed().as_secs_f64().max(1.0);
    let bound = 1.1 * SEGMENTS as f64 + seconds;
    let submissions = fleet.arrived() as f64;
    assert!(submissions <= bound, "{submissions} of {bound}");
    assert!(submissions > SEGMENTS as f64, "some were retried");
    fleet.counts("submissions_total", "", submissions).await;
    fleet
        .counts("dispatch_segments_total", "", SEGMENTS as f64)
        .await;
    assert!(fleet.metric("budget_denied_total", "retries") > 0.0);
}

/// A node with a fraction of the power that its streams need.
#[tokio::test]
async fn what_the_nodes_cannot_carry_is_left_out_from_the_top() {
    let slow = || works_for(Duration::from_millis(600));
    let fleet = Fleet::new(vec![(0..10_000).map(|_| slow()).collect()]).await;
    // It has four slots, and as many that wait: not enough for sixteen streams.
    let streams = (0..16).map(|i| format!("live/s{i}").parse().unwrap());
    let lanes: Vec<_> = streams.map(|id| fleet.dispatcher.open(id)).collect();
    let limit = Instant::now() + PLENTY;
    let (mut degraded, mut lowest) = (0, 0);
    while degraded == 0 || lowest == 0 {
        assert!(Instant::now() < limit, "{degraded} and {lowest}");
        let time = Duration::from_millis(1_000);
        let out = lanes
            .iter()
            .map(|lane| lane.submit(media::order(&BOTH, 5000, time)));
        for outcomes in out.collect::<Vec<_>>() {
            let outcomes = collect(outcomes).await;
            if outcomes["720p"] == Err(GiveUp::Degraded) {
                degraded += 1;
                lowest += usize::from(outcomes["360p"].is_ok());
            }
        }
    }
    fleet.dispatcher.measure();
    assert!(fleet.metric("degradation_level", "") > 0.0);
}
