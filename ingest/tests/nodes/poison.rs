//! A node that blames a segment has to be confirmed.

use rackcast_ingest::config::Config;
use rackcast_route::plan::GiveUp;
use rackcast_segment::wire::reply::RefusalCode;

use super::fleet::{BOTH, Fleet, PLENTY, unhedged};
use super::media;
use super::node::refuses;

const CLAIMS: [RefusalCode; 3] = [
    RefusalCode::Undecodable,
    RefusalCode::KilledWorker,
    RefusalCode::Unsupported,
];

#[tokio::test]
async fn two_nodes_that_agree_make_a_segment_poison() {
    for code in CLAIMS {
        let claim = || vec![refuses(code)];
        let fleet = Fleet::new(vec![claim(), claim(), vec![]]).await;
        fleet.none_comes(PLENTY, GiveUp::Poison).await;
        assert_eq!(fleet.asked(2), [], "no third node sees it");
        assert_eq!((fleet.failures(0), fleet.failures(1)), (0, 0));
    }
}

/// The second in line stands in the first one's zone, so the third is asked, and warned.
#[tokio::test]
async fn the_second_opinion_is_from_another_zone_and_begins_in_quarantine() {
    let claim = || vec![refuses(RefusalCode::KilledWorker)];
    let nodes = vec![("a", claim()), ("a", vec![]), ("b", claim())];
    let fleet = Fleet::in_zones(&unhedged(), nodes).await;
    fleet.none_comes(PLENTY, GiveUp::Poison).await;
    assert_eq!(fleet.asked(1), [], "no third node sees it");
    let quarantine = |node: usize| fleet.nodes[node].seen()[0].quarantine;
    assert_eq!((quarantine(0), quarantine(2)), (false, true));
}

/// Whatever made the second one fail may be the segment: no third one is tried with it.
#[tokio::test]
async fn a_claim_and_a_failure_are_poison_too() {
    let (claim, failure) = (RefusalCode::KilledWorker, RefusalCode::Internal);
    let nodes = vec![vec![refuses(claim)], vec![refuses(failure)], vec![]];
    let fleet = Fleet::new(nodes).await;
    fleet.none_comes(PLENTY, GiveUp::Poison).await;
    assert_eq!(fleet.asked(2), []);
}

#[tokio::test]
async fn a_claim_that_is_contradicted_is_the_nodes_failure() {
    let fleet = Fleet::new(vec![vec![refuses(RefusalCode::Undecodable)], vec![]]).await;
    fleet.both_come().await;
    assert_eq!(fleet.failures(0), 1);
    fleet.counts("retries_total", "second-opinion", 1.0).await;
}

#[tokio::test]
async fn a_stream_of_poison_loses_its_transcoding_and_costs_nothing_more() {
    let claims = || (0..50).map(|_| refuses(RefusalCode::Undecodable)).collect();
    let fleet = Fleet::new(vec![claims(), claims()]).await;
    for _ in 0..Config::default().dispatch.circuit.failures {
        fleet.none_comes(PLENTY, GiveUp::Poison).await;
    }
    let before = fleet.arrived();
    for _ in 0..5 {
        fleet.none_comes(PLENTY, GiveUp::Circuit).await;
    }
    assert_eq!(fleet.arrived(), before);
    fleet.counts("circuits_opened_total", "", 1.0).await;
    fleet.dispatcher.measure();
    assert_eq!(fleet.metric("open_circuits", ""), 1.0);
    // Another stream has done nothing.
    let other = fleet.dispatcher.open("live/other".parse().unwrap());
    let _outcomes = other.submit(media::order(&BOTH, 5000, PLENTY));
    fleet.until("its request", |f| f.arrived() > before).await;
}
