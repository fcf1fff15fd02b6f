//! Devices fail and services stand still under a live stream: capacity goes down, then the node
//! leaves, then it is back, once it has been well for a while.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rackcast_service::status::{Device, DeviceState, ServiceStatus, fetch};
use rackcast_tests::consul::Consul;
use rackcast_tests::explain::Explain;
use rackcast_tests::player::Player;
use rackcast_tests::process::{children, kill9, signal};
use rackcast_tests::publish::{Broadcaster, Sample};
use rackcast_tests::rack::{Agent, Ingest, Node};
use rackcast_tests::wait::wait_for;
use serde_json::Value;

use crate::LADDER;

const SECOND: Duration = Duration::from_secs(1);
/// What a busy machine may add to what the clock says; on virtual time the second is exact.
const SLACK: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(60);

/// The node of an instance number, as Consul has it.
async fn seen(consul: &Consul, number: usize) -> Option<Value> {
    let all = consul.get("/v1/health/service/rackcast-transcode").await;
    let ours = |entry: &&Value| {
        let id = entry["Service"]["ID"].as_str().unwrap();
        id.ends_with(&format!("-{number}"))
    };
    all.as_array().unwrap().iter().find(ours).cloned()
}

/// State and output of its check `devices`.
fn devices(entry: &Value) -> (String, String) {
    let checks = entry["Checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["Name"] == "devices")
        .unwrap();
    let text = |key: &str| check[key].as_str().unwrap().to_owned();
    (text("Status"), text("Output"))
}

/// Kills the node's workers, all but those of `spared`, until its status is as wanted.
async fn kill_until(node: &Node, spared: &BTreeSet<u32>, wanted: impl Fn(&ServiceStatus) -> bool) {
    wait_for("devices to fail", LIMIT, || async {
        for worker in children(node.pid(), "rackcast-transcode") {
            if !spared.contains(&worker) {
                kill9(worker);
            }
        }
        fetch(&node.socket).await.ok().filter(&wanted).map(drop)
    })
    .await;
}

fn failed(status: &ServiceStatus) -> usize {
    let failed = |device: &&Device| device.state == DeviceState::Failed;
    status.devices.iter().filter(failed).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_device_lowers_the_capacity_and_the_last_one_ends_it() {
    let consul = Consul::start().await;
    let ill = Node::numbered(1, "[worker]\ncount = 2").await;
    let well = Node::numbered(2, "[worker]\ncount = 1").await;
    let agent = Agent::of("one", &consul.url, "hall", &[&ill.socket, &well.socket]).await;
    let open = format!("[auth]\nmode = \"open\"\n[stream]\nladder = {LADDER:?}");
    let ingest = Ingest::on(&consul.url, 1, &open).await;
    let broadcast =
        Broadcaster::start(&Sample::long().file(), &format!("{}/live/ill", ingest.rtmp));
    let player = Player::follow(&format!("{}/live/ill/master.m3u8", ingest.hls)).await;
    player.segments(2).await;
    let weight = |entry: &Value| entry["Service"]["Weights"]["Passing"].as_u64().unwrap();
    assert_eq!(weight(&seen(&consul, 1).await.unwrap()), 2);

    // One of two: the node stays, with half of its capacity, and Consul says why.
    let spared = children(ill.pid(), "rackcast-transcode")
        .into_iter()
        .take(1)
        .collect();
    kill_until(&ill, &spared, |status| failed(status) == 1).await;
    let entry = wait_for("half of the capacity", LIMIT, || async {
        seen(&consul, 1).await.filter(|entry| weight(entry) == 1)
    })
    .await;
    assert_eq!(entry["Service"]["Meta"]["slots"], "1");
    let (state, output) = devices(&entry);
    assert_eq!(state, "warning", "{output}");
    assert!(output.contains("1 of 2 workers up; worker "), "{output}");
    let screen = agent.rackcast(&["status"]);
    assert!(screen.contains(": failed: "), "{screen}");

    // The last one: critical within a second, and nothing is sent there any more.
    kill_until(&ill, &BTreeSet::new(), |status| failed(status) == 2).await;
    let began = Instant::now();
    wait_for("a critical node", LIMIT, || async {
        let entry = seen(&consul, 1).await?;
        (devices(&entry).0 == "critical").then_some(())
    })
    .await;
    let took = began.elapsed();
    assert!(took < SECOND, "critical after {took:?}");
    let before = well.admitted().await;
    player.segments(player.so_far().common() + 2).await;
    assert!(well.admitted().await > before, "it went to the other node");

    // They come up again: not believed at once, and then it has its work back.
    wait_for("workers", LIMIT, || async {
        let status = fetch(&ill.socket).await.ok()?;
        (failed(&status) == 0 && status.ready).then_some(())
    })
    .await;
    let (state, output) = devices(&seen(&consul, 1).await.unwrap());
    assert_eq!(state, "critical", "{output}");
    wait_for("a node that is believed", LIMIT, || async {
        let entry = seen(&consul, 1).await?;
        (devices(&entry).0 == "passing").then_some(())
    })
    .await;

    player.segments(player.so_far().common() + 1).await;
    let recording = player.stop().await;
    assert_eq!(
        broadcast.stop(),
        1,
        "the publisher never lost its connection"
    );
    recording.assert_sound();
    recording.assert_in_step();
}

/// The IDs of the nodes that an ingest has in its table.
async fn routable(ingest: &Ingest) -> BTreeSet<String> {
    let nodes = Explain::at(&format!("http://{}", ingest.admin))
        .nodes()
        .await;
    nodes.nodes.into_iter().map(|node| node.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_is_critical_within_a_second_and_left() {
    let consul = Consul::start().await;
    let still = Node::numbered(1, "[worker]\ncount = 1").await;
    let well = Node::numbered(2, "[worker]\ncount = 1").await;
    let agent = Agent::of("one", &consul.url, "hall", &[&still.socket, &well.socket]).await;
    let open = format!("[auth]\nmode = \"open\"\n[stream]\nladder = {LADDER:?}");
    let ingest = Ingest::on(&consul.url, 1, &open).await;
    let broadcast = Broadcaster::start(
        &Sample::long().file(),
        &format!("{}/live/still", ingest.rtmp),
    );
    let player = Player::follow(&format!("{}/live/still/master.m3u8", ingest.hls)).await;
    player.segments(2).await;
    let known = |count| {
        let ingest = &ingest;
        async move {
            wait_for(&format!("{count} nodes"), LIMIT, || async {
                let nodes = routable(ingest).await;
                (nodes.len() == count).then_some(nodes)
            })
            .await
        }
    };
    known(2).await;

    // All workers hang, and the service says so by its progress; then the service itself does.
    let workers = children(still.pid(), "rackcast-transcode");
    for (stopped, what) in [(workers, "stuck: "), (vec![still.pid()], "hangs: ")] {
        let began = Instant::now();
        stopped.iter().for_each(|pid| signal(*pid, Signal::SIGSTOP));
        let output = wait_for("a critical node", LIMIT, || async {
            let (state, output) = devices(&seen(&consul, 1).await?);
            (state == "critical").then_some(output)
        })
        .await;
        let took = began.elapsed();
        println!("critical {took:?} after it stood still: {output}");
        assert!(output.starts_with(what), "{output}");
        assert!(took < SECOND + SLACK, "critical after {took:?}");
        let nodes = known(1).await;
        println!("left {:?} after it stood still", began.elapsed());
        assert!(began.elapsed() < SECOND + SLACK, "{:?}", began.elapsed());
        assert!(nodes.iter().all(|id| id.ends_with("-2")), "{nodes:?}");
        player.segments(player.so_far().common() + 1).await;

        // Back: what is well must stay so for a while.
        stopped.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
        let back = Instant::now();
        known(2).await;
        println!("believed again {:?} after it went on", back.elapsed());
        assert!(back.elapsed() > 4 * SECOND, "{:?}", back.elapsed());
    }
    let screen = agent.rackcast(&["status"]);
    assert!(screen.contains("passing: "), "{screen}");
    let recording = player.stop().await;
    assert_eq!(
        broadcast.stop(),
        1,
        "the publisher never lost its connection"
    );
    recording.assert_sound();
    recording.assert_in_step();
}
