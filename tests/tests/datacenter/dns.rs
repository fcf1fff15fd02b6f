//! What `dig` gets.

use std::time::Duration;

use http::Method;
use rackcast_tests::datacenter::{Datacenter, token};
use rackcast_tests::netns::Network;
use rackcast_tests::wait::wait_for;

use crate::fleet::{START, ingests, output, transcoder, until_healthy};

/// The machine that asks: none of ours runs on it.
const ASKER: u8 = 1;
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn dns_knows_the_healthy_nodes_and_no_others() {
    if !Network::is_possible("DNS of a Consul datacenter") {
        return;
    }
    let dc = Datacenter::start(3).await;
    let _ingests = ingests(&dc, &[2, 3]);
    let _transcoder = transcoder(&dc, 4);
    until_healthy(&dc, ASKER, "rackcast-ingest", 2, START).await;
    until_healthy(&dc, ASKER, "rackcast-transcode", 1, START).await;

    answers(
        &dc,
        "rackcast-ingest.service.consul A",
        &["10.9.0.2", "10.9.0.3"],
    )
    .await;
    let ingests = [
        "1 1 1935 m2.node.dc1.consul.",
        "1 1 1935 m3.node.dc1.consul.",
    ];
    answers(&dc, "rackcast-ingest.service.consul SRV", &ingests).await;
    answers(&dc, "_rackcast-ingest._rtmp.service.consul SRV", &ingests).await;
    // By zone and by what a node can do.
    answers(
        &dc,
        "zone-z3.rackcast-ingest.service.consul A",
        &["10.9.0.3"],
    )
    .await;
    answers(&dc, "zone-z9.rackcast-ingest.service.consul A", &[]).await;
    answers(
        &dc,
        "cpu.rackcast-transcode.service.consul A",
        &["10.9.0.4"],
    )
    .await;
    answers(&dc, "nvidia.rackcast-transcode.service.consul A", &[]).await;
    let question = "rackcast-transcode.service.consul SRV";
    let found = wait_for("an answer", LIMIT, async || dig(&dc, question)).await;
    assert!(
        found.len() == 1 && found[0].ends_with("m4.node.dc1.consul."),
        "{found:?}"
    );
    // The prepared query: the nearest first, as the asked Consul measures it.
    answers(
        &dc,
        "rackcast-ingest-nearest.query.consul A",
        &["10.9.0.2", "10.9.0.3"],
    )
    .await;
    answers(&dc, "rackcast-ingest-nearest.query.consul SRV", &ingests).await;

    // In maintenance: alive, and no longer given out.
    let path = "/v1/agent/service/maintenance/rackcast-ingest-m2-1?enable=true&reason=disk";
    let agent = token("agent");
    let reply = dc
        .ask(2, Some(&agent), Method::PUT, path, "")
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    for name in [
        "rackcast-ingest.service.consul",
        "rackcast-ingest-nearest.query.consul",
    ] {
        answers(&dc, &format!("{name} A"), &["10.9.0.3"]).await;
    }
    answers(&dc, "zone-z2.rackcast-ingest.service.consul A", &[]).await;
}

async fn answers(dc: &Datacenter, question: &str, expected: &[&str]) {
    wait_for(
        &format!("{question} to be {expected:?}"),
        LIMIT,
        async || (dig(dc, question)? == expected).then_some(()),
    )
    .await;
}

/// The short answers, sorted; nothing where none came in time.
fn dig(dc: &Datacenter, question: &str) -> Option<Vec<String>> {
    let mut dig = dc.network.on(ASKER, "dig");
    dig.args(["@127.0.0.1", "-p", "8600", "+short", "+time=2", "+tries=1"]);
    let (good, text) = output(dig.args(question.split(' ')));
    if !good {
        println!("dig {question}: {text}");
        return None;
    }
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    Some(lines)
}
