//! A second request beside a slow one, and copies of what is precious.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rackcast_ingest::config::Config;

use super::fleet::{Fleet, both};
use super::node::{Answer, answer, late, stall, well};

/// Few results make a class known; a machine that is busy with other tests makes nothing slow,
/// and nothing is taken over.
fn quick() -> Config {
    let mut config = Config::default();
    config.dispatch.hedge.min_samples = 3;
    config.dispatch.hedge.min_delay = Duration::from_secs(2);
    config.dispatch.attempts.patience = 1000.0;
    config
}

/// Three nodes that answer well, until `trap` is set: then the next one does something else.
async fn trapped(config: &Config, bad: fn() -> Answer) -> (Fleet, Arc<AtomicBool>) {
    let trap = Arc::new(AtomicBool::new(false));
    let answers = |trap: &Arc<AtomicBool>| {
        let trap = Arc::clone(trap);
        answer(move |job| match trap.swap(false, Ordering::SeqCst) {
            true => bad()(job),
            false => well(job),
        })
    };
    let node = || (0..20).map(|_| answers(&trap)).collect();
    let fleet = Fleet::with(config, vec![node(), node(), node()]).await;
    for _ in 0..5 {
        fleet.both_come().await;
    }
    (fleet, trap)
}

#[tokio::test]
async fn the_faster_of_two_wins_and_the_losers_request_is_reset() {
    let (fleet, trap) = trapped(&quick(), stall).await;
    let before = fleet.arrived();
    let counters = [
        ("hedges_total", "won"),
        ("retries_total", "hedge"),
        ("attempts_total", "cancelled"),
    ];
    let [won, hedges, given_up] = counters.map(|(name, label)| fleet.metric(name, label));
    let cancelled = |f: &Fleet| (0..3).map(|n| f.nodes[n].cancelled()).sum::<u32>();
    let reset = cancelled(&fleet);
    trap.store(true, Ordering::SeqCst);
    fleet.both_come().await;
    assert_eq!(fleet.arrived(), before + 2, "one request and one hedge");
    fleet
        .until("the reset", |f| cancelled(f) == reset + 1)
        .await;
    let idle = |f: &Fleet| (0..3).all(|n| f.in_flight(n) == 0);
    fleet.until("free slots", idle).await;
    fleet.counts("hedges_total", "won", won + 1.0).await;
    fleet.counts("retries_total", "hedge", hedges + 1.0).await;
    fleet
        .counts("attempts_total", "cancelled", given_up + 1.0)
        .await;
}

#[tokio::test]
async fn hedges_can_be_forbidden() {
    let mut config = quick();
    config.dispatch.hedge.enabled = false;
    config.dispatch.hedge.min_delay = Duration::from_millis(500);
    let (fleet, trap) = trapped(&config, || late(Duration::from_secs(1))).await;
    let before = fleet.arrived();
    trap.store(true, Ordering::SeqCst);
    fleet.both_come().await;
    assert_eq!(fleet.arrived(), before + 1);
    assert!(!trap.load(Ordering::SeqCst), "it was slow");
    assert_eq!(fleet.metric("retries_total", "hedge"), 0.0);
}

#[tokio::test]
async fn a_precious_segment_runs_on_nodes_of_two_zones_at_once() {
    let mut config = Config::default();
    config.dispatch.precious.streams = vec!["live/*".to_owned()];
    let nodes = vec![("a", vec![stall()]), ("a", vec![]), ("b", vec![])];
    let fleet = Fleet::in_zones(&config, nodes).await;
    fleet.both_come().await;
    assert_eq!(fleet.asked(0), [(1, both())]);
    assert_eq!(fleet.asked(1), [], "a copy is for another zone");
    assert_eq!(fleet.asked(2).len(), 1);
    fleet
        .until("the reset", |f| f.nodes[0].cancelled() == 1)
        .await;
    fleet.counts("retries_total", "copy", 1.0).await;
}
