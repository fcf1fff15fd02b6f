//! SIGHUP has certificates read at once, where nothing would look at them for an hour.

use std::time::Duration;

use nix::sys::signal::Signal;
use rackcast_service::status::Role;
use rackcast_tests::pki::{Authority, Files, Leaf, member};
use rackcast_tests::rack::{Ingest, NODE, Node};
use rackcast_tests::wait::{wait_for, wait_until};

use crate::daemons::{node_config, node_files};
use crate::line::connect;
use crate::pair::{CALLER, Client};

const LIMIT: Duration = Duration::from_secs(30);

fn seldom(config: &str) -> String {
    config.replace("\"100ms\"", "\"1h\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_a_node_puts_new_certificates_in_force_and_refuses_broken_ones() {
    let fleet = Authority::new("fleet");
    let files = node_files(&fleet);
    let node = Node::start(&seldom(&node_config(&files))).await;
    let caller = member(Role::Ingest, CALLER);
    let own = Files::new(&fleet.member(&caller), &fleet.pem);
    let client = Client::new(&own.client(), &caller);
    let reloads = async |result: &str| {
        let label = format!("result=\"{result}\"");
        node.metric("rackcast_tls_reloads_total", &[&label]).await
    };
    let first = connect(&client, node.address).await.shown;

    let identity = member(Role::Transcode, NODE);
    files.replace(&fleet.member(&identity));
    assert_eq!(connect(&client, node.address).await.shown, first);
    node.signal(Signal::SIGHUP);
    let second = wait_for("the new certificate to be shown", LIMIT, || async {
        let shown = connect(&client, node.address).await.shown;
        (shown != first).then_some(shown)
    })
    .await;
    assert_eq!(reloads("done").await, 1.0);
    let told = "replaced: certificates for segments";
    wait_until("the log to say so", LIMIT, || node.log().contains(told)).await;

    // Nothing new: nothing is replaced.
    node.signal(Signal::SIGHUP);
    let told = "the configuration was reloaded: nothing changed";
    wait_until("another reload", LIMIT, || node.log().contains(told)).await;
    assert_eq!(reloads("done").await, 1.0);

    files.replace(&Leaf {
        certificate: "no PEM".to_owned(),
        ..fleet.member(&identity)
    });
    node.signal(Signal::SIGHUP);
    let refused = "the new configuration is refused";
    wait_until("it to be refused", LIMIT, || node.log().contains(refused)).await;
    assert!(node.log().contains("holds no certificate in PEM"));
    let successful = "rackcast_config_last_reload_successful";
    wait_for("that to be counted", LIMIT, || async {
        (node.metric(successful, &[]).await == 0.0).then_some(())
    })
    .await;
    assert_eq!(connect(&client, node.address).await.shown, second);

    // Other files, though good ones, wait for a restart as any key does.
    files.replace(&fleet.member(&identity));
    let moved = Files::new(&fleet.member(&identity), &fleet.pem);
    let named = |files: &Files| files.certificate().display().to_string();
    node.edit(&named(&files), &named(&moved));
    let named = |files: &Files| files.key().display().to_string();
    node.edit(&named(&files), &named(&moved));
    node.signal(Signal::SIGHUP);
    let waiting = "rackcast_config_waiting_keys";
    wait_for("both paths to wait", LIMIT, || async {
        let count = node.metric(waiting, &["until=\"restart\""]).await;
        (count == 2.0).then_some(())
    })
    .await;
    assert_eq!(connect(&client, node.address).await.shown, second);
    assert_eq!(reloads("done").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_an_ingest_does_the_same_in_its_generation_and_for_consul() {
    let fleet = Authority::new("fleet");
    let identity = member(Role::Ingest, NODE);
    let nodes = Files::new(&fleet.member(&identity), &fleet.pem);
    let consul = Files::new(&fleet.member(&identity), &fleet.pem);
    let config = format!(
        "[consul]\naddress = \"https://127.0.0.1:1\"\n[consul.tls]\n{}[tls.nodes]\n{}",
        consul.toml(),
        nodes.toml()
    );
    let ingest = Ingest::bare(&seldom(&config)).await;
    let reloads = async |purpose: &str| {
        let labels = [format!("for=\"{purpose}\""), "result=\"done\"".to_owned()];
        let labels = labels.each_ref().map(String::as_str);
        ingest.metric("rackcast_tls_reloads_total", &labels).await
    };
    for (purpose, files) in [("nodes", &nodes), ("consul", &consul)] {
        assert_eq!(reloads(purpose).await, 0.0);
        files.replace(&fleet.member(&identity));
        ingest.signal(Signal::SIGHUP);
        // What the generation did is told by the supervisor too.
        let told = format!("reloaded: replaced: certificates for {purpose}");
        ingest.log_line(&told, LIMIT).await;
        assert_eq!(reloads(purpose).await, 1.0);
    }
    assert_eq!(ingest.generations().len(), 1);
}
