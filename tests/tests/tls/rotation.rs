//! Certificates are replaced while they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rackcast_service::status::Role;
use rackcast_tests::job;
use rackcast_tests::pki::{Authority, Files, Leaf, member, put};
use rackcast_tests::publish::Sample;
use rackcast_tests::rack::{NODE, Node};
use rackcast_tests::wait::{wait_for, wait_until};

use crate::daemons::{node_config, node_files};
use crate::line::{Line, connect, transcode};
use crate::pair::{CALLER, Client};

const LIMIT: Duration = Duration::from_secs(60);
const LADDER: &str = "180p:180@300k,low:120@150k";

#[tokio::test(flavor = "multi_thread")]
async fn certificates_replaced_under_load_lose_no_request_and_broken_ones_change_nothing() {
    let fleet = Authority::new("fleet");
    let files = node_files(&fleet);
    let node = Arc::new(Node::start(&node_config(&files)).await);
    let caller = member(Role::Ingest, CALLER);
    let own = Files::new(&fleet.member(&caller), &fleet.pem);
    let client = Arc::new(Client::new(&own.client(), &caller));

    // One stream of requests on a connection that lives throughout.
    let (job, body) = job::first(&Sample::default().file(), LADDER);
    let Line { mut sender, shown } = connect(&client, node.address).await;
    let first = shown;
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let (sent_job, sent_body) = (job.clone(), body.clone());
    let load = tokio::spawn(async move {
        let mut answered = 0_usize;
        while !stop.load(Ordering::Relaxed) {
            let answer = transcode(&mut sender, &sent_job, &sent_body).await;
            let renditions = answer.map(|renditions| renditions.len());
            assert_eq!(renditions, Ok(2), "after {answered} answers");
            answered += 1;
        }
        answered
    });

    let reloads = async |result: &str| {
        let name = "rackcast_tls_reloads_total";
        node.metric(name, &[&format!("result=\"{result}\"")]).await
    };
    let identity = member(Role::Transcode, NODE);
    let mut last = first;
    for _ in 0..3 {
        files.replace(&fleet.member(&identity));
        let (client, node, last_shown) = (&client, &node, last.clone());
        let fresh = wait_for("the new certificate to be shown", LIMIT, || async {
            let Line { mut sender, shown } = connect(client, node.address).await;
            // What is begun with the old one is finished with it.
            (shown != last_shown).then_some(())?;
            let answer = transcode(&mut sender, &job, &body).await;
            assert_eq!(answer.map(|renditions| renditions.len()), Ok(2));
            Some(shown)
        });
        last = fresh.await;
    }

    // A certificate without its key, a file that is none, and one that would be refused by all.
    let good = fleet.member(&identity);
    let keyless = Leaf {
        key: fleet.member(&identity).key,
        ..good.clone()
    };
    let garbled = Leaf {
        certificate: "no PEM".to_owned(),
        ..good.clone()
    };
    let strange = Authority::new("other").member(&identity);
    for (leaf, why) in [
        (keyless, "does not belong to the certificate"),
        (garbled, "holds no certificate"),
        (strange, "no authority in"),
    ] {
        let (before, told) = (reloads("failed").await, node.log().matches(why).count());
        files.replace(&leaf);
        wait_for("the broken files to be seen", LIMIT, || async {
            (reloads("failed").await > before).then_some(())
        })
        .await;
        // The files are replaced one after another, and what is between is broken otherwise.
        wait_until(why, LIMIT, || node.log().matches(why).count() > told).await;
        let line = connect(&client, node.address).await;
        assert_eq!(line.shown, last, "the old certificate stays");
    }

    // A new authority beside the old one, and then a certificate of the new one.
    let successor = Authority::new("successor");
    put(&files.authorities(), &(fleet.pem.clone() + &successor.pem));
    put(&own.authorities(), &(fleet.pem.clone() + &successor.pem));
    files.replace(&successor.member(&identity));
    let renewed = Client::new(&own.client(), &caller);
    wait_for(
        "the new authority's certificate to be shown",
        LIMIT,
        || async {
            let shown = connect(&renewed, node.address).await.shown;
            (shown != last).then_some(())
        },
    )
    .await;

    done.store(true, Ordering::Relaxed);
    let answered = load.await.unwrap();
    assert!(answered >= 5, "{answered} answers are no load");
}
