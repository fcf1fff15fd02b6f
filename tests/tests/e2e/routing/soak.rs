//! Four of six nodes fail in turns, for as long as one likes.

use std::time::{Duration, Instant};

use rackcast_tests::audit::Submissions;
use rackcast_tests::fleet::Site;
use rackcast_tests::load::{self, Load};
use rackcast_tests::proxy::Fault;
use rackcast_tests::rack::Ingest;
use rackcast_tests::wait::wait_for;

use super::rack::Rack;
use super::told::assert_nothing_lost;
use super::{DOUBT, LENGTH, LIMIT, STREAMS, names};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as many minutes as RACKCAST_SOAK_MINUTES says"]
async fn soak_with_four_of_six_nodes_failing_in_turns() {
    let (start, length) = (Instant::now(), crate::soak::duration());
    let rack = Box::pin(Rack::start(Duration::ZERO)).await;
    let streams = names("soak", STREAMS / 2);
    let ingest = Ingest::on(&rack.directory.url, 1, &load::config(&streams)).await;
    let sites: Vec<&Site> = rack.sites().collect();
    rack.offer(&ingest, &sites).await;
    let load = Load::start(&ingest, &streams, length + LENGTH).await;
    load.more(3).await;
    let warm = Instant::now();
    for round in 0.. {
        if start.elapsed() > length {
            break;
        }
        // In six rounds every node has been well, and had a third of the faults; in 48, all.
        let ill: Vec<_> = (0..4)
            .map(|i| {
                (
                    sites[(round + i) % sites.len()],
                    ILLS[(round * 3 + i) % ILLS.len()],
                )
            })
            .collect();
        println!(
            "{:?}: {:?}",
            start.elapsed(),
            ill.iter().map(|(s, i)| (&s.id, i)).collect::<Vec<_>>()
        );
        let cures: Vec<_> = ill.into_iter().map(|(site, ill)| fall(site, ill)).collect();
        load.more(6).await;
        for cure in cures {
            cure();
        }
        wait_for("all nodes to be trusted again", 4 * LIMIT, || async {
            let ejected = ingest
                .metric("rackcast_ingest_discovery_nodes", &["ejected"])
                .await;
            (ejected == 0.0).then_some(())
        })
        .await;
        load.more(1).await;
    }
    let submissions = Submissions::new(rack.asked(start));
    println!("(submissions, segments): {:?}", submissions.counts());
    assert_nothing_lost(&ingest, &load.stop().await, warm);
    assert_eq!(submissions.excesses(DOUBT), [""; 0]);
}

/// What can befall a node.
#[derive(Debug, Clone, Copy)]
enum Ill {
    Slow,
    Gone,
    Far,
    Fault(Fault),
}

const ILLS: [Ill; 8] = [
    Ill::Slow,
    Ill::Gone,
    Ill::Fault(Fault::Rot),
    Ill::Fault(Fault::Refuse),
    Ill::Far,
    Ill::Fault(Fault::Hang),
    Ill::Fault(Fault::Swap),
    Ill::Fault(Fault::Break),
];

/// Makes a node ill; what it gives makes it well again.
fn fall(site: &Site, ill: Ill) -> Box<dyn FnOnce() + '_> {
    match ill {
        Ill::Slow => {
            let slowed = site.slow();
            Box::new(move || drop(slowed))
        }
        Ill::Gone => {
            site.wire.cut();
            Box::new(|| site.wire.mend())
        }
        Ill::Far => {
            site.wire.set_latency(Duration::from_millis(400));
            Box::new(|| site.wire.set_latency(Duration::ZERO))
        }
        Ill::Fault(fault) => {
            site.proxy.set(fault);
            Box::new(|| site.proxy.set(Fault::None))
        }
    }
}
