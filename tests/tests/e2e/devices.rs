//! Devices fail and services stand still under a live stream: capacity goes down, then the node
//! leaves, then it is back, once it has been well for a while.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rackcast_service::status::{Device, DeviceState, HealthState, ServiceStatus, fetch};
use rackcast_tests::consul::Consul;
use rackcast_tests::explain::Explain;
use rackcast_tests::player::Player;
use rackcast_tests::process::{children, kill9, signal};
use rackcast_tests::publish::{Broadcaster, Sample};
use rackcast_tests::rack::{Agent, Ingest, Node};
use rackcast_tests::wait::wait_for;
use serde_json::Value;

use crate::LADDER;

/// A service that the busy machine does not let run has `starved_after`, ten seconds, where one that is seen
/// to hang has not one; the rest is what such a machine adds. On virtual time the second is exact.
const AT_ONCE: Duration = Duration::from_secs(15);
/// What must have been well for so long is believed: the agent's `recover_after`.
const RECOVER: Duration = Duration::from_secs(5);
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

/// Kills the node's workers, all but those of `spared`, for as long as what is wanted is not there: one that
/// is left alone is well again within a second. The moment of the last kill.
async fn kill_until(
    node: &Node,
    spared: &BTreeSet<u32>,
    what: &str,
    wanted: impl AsyncFn() -> Option<()>,
) -> Instant {
    wait_for(what, LIMIT, async || {
        let last = Instant::now();
        for worker in children(node.pid(), "rackcast-transcode") {
            if !spared.contains(&worker) {
                kill9(worker);
            }
        }
        wanted().await.map(|()| last)
    })
    .await
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
    // One worker makes it ready, and what the catalog says of it rises once a minute.
    wait_for("both workers", LIMIT, || async {
        let status = fetch(&ill.socket).await.ok()?;
        (failed(&status) == 0 && status.health.state == HealthState::Passing).then_some(())
    })
    .await;
    let agent = Agent::of("one", &consul.url, "hall", &[&ill.socket, &well.socket]).await;
    let open = format!("[auth]\nmode = \"open\"\n[stream]\nladder = {LADDER:?}");
    let ingest = Ingest::on(&consul.url, 1, &open).await;
    let broadcast =
        Broadcaster::start(&Sample::long().file(), &format!("{}/live/ill", ingest.rtmp));
    let player = Player::follow(&format!("{}/live/ill/master.m3u8", ingest.hls)).await;
    player.segments(2).await;
    let weight = |entry: &Value| entry["Service"]["Weights"]["Passing"].as_u64().unwrap();
    wait_for("a node with all of its capacity", LIMIT, || async {
        let entry = seen(&consul, 1).await?;
        (weight(&entry) == 2).then_some(())
    })
    .await;

    // One of two: the node stays, with half of its capacity, and Consul says why.
    let spared = children(ill.pid(), "rackcast-transcode")
        .into_iter()
        .take(1)
        .collect();
    kill_until(&ill, &spared, "half of the capacity", async || {
        let entry = seen(&consul, 1).await?;
        let (state, output) = devices(&entry);
        let is_told = weight(&entry) == 1
            && entry["Service"]["Meta"]["slots"] == "1"
            && state == "warning"
            && output.contains("1 of 2 workers up; worker ")
            && agent.rackcast(&["status"]).contains(": failed: ");
        is_told.then_some(())
    })
    .await;

    // The last one: critical at once, and nothing is sent there any more.
    let none = BTreeSet::new();
    kill_until(&ill, &none, "devices to fail", async || {
        let status = fetch(&ill.socket).await.ok()?;
        (failed(&status) == 2).then_some(())
    })
    .await;
    let began = Instant::now();
    let killed = kill_until(&ill, &none, "a critical node", async || {
        let entry = seen(&consul, 1).await?;
        (devices(&entry).0 == "critical").then_some(())
    })
    .await;
    let took = began.elapsed();
    println!("critical {took:?} after the last device had failed");
    assert!(took < AT_ONCE, "critical after {took:?}");

    // They come up again: not believed at once, while the other node has the work.
    let elsewhere = async {
        let before = well.admitted().await;
        player.segments(player.so_far().common() + 2).await;
        assert!(well.admitted().await > before, "it went to the other node");
    };
    let believed = wait_for("a node that is believed", LIMIT, || async {
        let entry = seen(&consul, 1).await?;
        (devices(&entry).0 == "passing").then(|| killed.elapsed())
    });
    let ((), after) = tokio::join!(elsewhere, believed);
    println!("believed again {after:?} after its workers were killed last");
    assert!(after >= RECOVER, "{after:?}");

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
async fn a_node_that_stands_still_is_critical_at_once_and_left() {
    let consul = Consul::start().await;
    // It leaves its workers alone, so that nothing but the agent acts on what stands still.
    let patient =
        "[worker]\ncount = 1\nheartbeat_timeout = '60s'\nstall_timeout = '60s'\ngrace = '60s'";
    let still = Node::numbered(1, patient).await;
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
        assert!(took < AT_ONCE, "critical after {took:?}");
        let nodes = known(1).await;
        let took = began.elapsed();
        println!("left {took:?} after it stood still");
        assert!(took < AT_ONCE, "left after {took:?}");
        assert!(nodes.iter().all(|id| id.ends_with("-2")), "{nodes:?}");
        player.segments(player.so_far().common() + 1).await;

        // Back: what is well must stay so for a while.
        let back = Instant::now();
        stopped.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
        known(2).await;
        let took = back.elapsed();
        println!("believed again {took:?} after it went on");
        assert!(took >= RECOVER, "{took:?}");
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
