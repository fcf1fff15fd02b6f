//! The daemons themselves: who is let in, who is sent anything.

use std::time::Duration;

use rackcast_service::status::Role;
use rackcast_service::tls::Reason;
use rackcast_tests::fleet::Directory;
use rackcast_tests::pki::{Authority, Files, Wish, member};
use rackcast_tests::rack::{Ingest, NODE, Node};
use rackcast_tests::wait::{wait_for, wait_until};

use crate::pair::{CALLER, Client};
use crate::peers::intrude;

const LIMIT: Duration = Duration::from_secs(30);
/// A node that costs little.
const ONE_WORKER: &str = "[worker]\ncount = 1\nnice = 0\n[encoder]\npreset = \"ultrafast\"\n";

/// A node's table of certificates, and what costs little.
pub(crate) fn node_config(files: &Files) -> String {
    format!("{ONE_WORKER}[tls]\n{}", files.toml())
}

pub(crate) fn node_files(fleet: &Authority) -> Files {
    let node = member(Role::Transcode, NODE);
    Files::new(&fleet.member(&node), &fleet.pem)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_lets_in_its_ingests_and_names_and_counts_everybody_else() {
    let (fleet, other) = (Authority::new("fleet"), Authority::new("other"));
    let files = node_files(&fleet);
    let node = Node::start(&node_config(&files)).await;
    let caller = member(Role::Ingest, CALLER);

    let id = caller.to_string();
    let intruders = [
        (None, Reason::NoCertificate),
        (Some(other.member(&caller)), Reason::UnknownAuthority),
        (
            Some(fleet.issue(&Wish::of(&[&id]).expired())),
            Reason::Expired,
        ),
        (
            Some(fleet.member(&member(Role::Transcode, CALLER))),
            Reason::WrongRole,
        ),
    ];
    for (leaf, reason) in intruders {
        let called = intrude(node.address, leaf.as_ref()).await;
        assert!(called.is_err(), "{reason:?} was let in");
        let reason = reason.as_str();
        let label = format!("reason=\"{reason}\"");
        wait_for(&format!("{reason} to be counted"), LIMIT, || async {
            let count = node.metric("rackcast_tls_refused_total", &[&label]).await;
            (count == 1.0).then_some(())
        })
        .await;
        let named = format!("rackcast_reason={reason}");
        let told = |line: &str| line.contains("a peer was refused") && line.contains(&named);
        wait_until(&format!("{named} in the log"), LIMIT, || {
            node.log().lines().any(told)
        })
        .await;
    }

    let own = Files::new(&fleet.member(&caller), &fleet.pem);
    let client = Client::new(&own.client(), &caller);
    let wanted = member(Role::Transcode, NODE);
    client.call_at(node.address, &wanted).await.unwrap();
    let expiry = "rackcast_tls_expiry_timestamp_seconds";
    for file in ["certificate", "authorities"] {
        assert!(node.metric(expiry, &[file]).await > 1.7e9, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_sends_nothing_to_a_node_that_is_not_the_one_in_the_catalog() {
    let fleet = Authority::new("fleet");
    let files = node_files(&fleet);
    let node = Node::start(&node_config(&files)).await;
    let directory = Directory::start().await;
    let identity = |node: &str| member(Role::Transcode, node).to_string();
    // The catalog says that another node listens there, and that a third one speaks no TLS.
    let (neighbour, own) = (identity("neighbour"), identity(NODE));
    let meta = [("tls-identity", neighbour.as_str())];
    let id = "rackcast-transcode-neighbour-1";
    directory.enter(id, node.address, &meta).await;
    let id = "rackcast-transcode-open-1";
    directory.enter(id, ([127, 0, 0, 1], 9).into(), &[]).await;

    let mine = Files::new(&fleet.member(&member(Role::Ingest, NODE)), &fleet.pem);
    let config = format!("[tls.nodes]\n{}", mine.toml());
    let ingest = Ingest::on(&directory.url, 1, &config).await;
    wait_for("the neighbour to be refused", LIMIT, || async {
        let labels = ["for=\"nodes\"", "reason=\"wrong-node\""];
        let count = ingest.metric("rackcast_tls_refused_total", &labels).await;
        (count >= 1.0).then_some(())
    })
    .await;
    let unfit = "rackcast_ingest_discovery_unfit_instances";
    assert_eq!(ingest.metric(unfit, &[]).await, 1.0);
    let answered = "rackcast_ingest_discovery_probes_total";
    assert_eq!(ingest.metric(answered, &["answered"]).await, 0.0);
    let unfit = "it speaks no TLS, which [tls.nodes] requires";
    ingest.log_line(unfit, LIMIT).await;
    // It names who answered.
    ingest.log_line("trusted/rack-1, and", LIMIT).await;

    // Under its own name it is one of the fleet.
    let id = format!("rackcast-transcode-{NODE}-1");
    let meta = [("tls-identity", own.as_str())];
    directory.enter(&id, node.address, &meta).await;
    wait_for("the node to be known", LIMIT, || async {
        let count = ingest.metric(answered, &["answered"]).await;
        (count >= 1.0).then_some(())
    })
    .await;
}
