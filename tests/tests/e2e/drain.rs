//! Machines are taken out of service and put back under a live stream.

use std::time::{Duration, Instant};

use rackcast_tests::check;
use rackcast_tests::consul::Consul;
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Broadcaster, Sample, publish};
use rackcast_tests::rack::{Agent, Ingest, Node};
use rackcast_tests::wait::wait_for;

use crate::{LADDER, PICTURE};

const SECOND: Duration = Duration::from_secs(1);
/// Until a stream has moved to where it should be.
const LIMIT: Duration = Duration::from_secs(60);

/// A machine with a transcode node.
struct Machine {
    name: &'static str,
    agent: Agent,
    node: Node,
}

impl Machine {
    async fn start(name: &'static str, number: usize, consul: &Consul) -> Self {
        let node = Node::numbered(number, "[worker]\ncount = 1").await;
        let agent = Agent::of(name, &consul.url, "hall", &[&node.socket]).await;
        Self { name, agent, node }
    }

    /// Drains it under `player`, and sees that it gets no new job after a second, and that Consul
    /// has it in maintenance, over the agent's death.
    async fn drain(&mut self, consul: &Consul, player: &Player) {
        let began = Instant::now();
        let said = self.agent.rackcast(&["drain", "--reason", self.name]);
        tokio::time::sleep(SECOND.saturating_sub(began.elapsed())).await;
        let admitted = self.node.admitted().await;
        let maintained = |reasons: Vec<String>| reasons == [said.trim_end().to_owned()];
        assert!(maintained(maintenance(consul).await), "{said}");

        self.agent.restart().await;
        player.segments(player.so_far().common() + 4).await;
        assert_eq!(self.node.admitted().await, admitted, "jobs after a second");
        assert!(maintained(maintenance(consul).await), "{said}");
        self.agent
            .rackcast(&["drain", "--reason", self.name, "--wait", "10s"]);
    }

    async fn resume(&self, consul: &Consul, nodes: usize) {
        self.agent.rackcast(&["resume"]);
        let what = format!("{} to be back", self.name);
        wait_for(&what, LIMIT, || async {
            (consul.passing("rackcast-transcode").await == nodes).then_some(())
        })
        .await;
    }
}

/// Why transcode nodes are in maintenance.
async fn maintenance(consul: &Consul) -> Vec<String> {
    let checks = consul.get("/v1/health/state/critical").await;
    let is_one = |check: &&serde_json::Value| {
        let id = check["CheckID"].as_str().unwrap();
        id.starts_with("_service_maintenance:rackcast-transcode")
    };
    let checks = checks.as_array().unwrap().iter().filter(is_one);
    checks
        .map(|c| c["Notes"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_drained_under_load_and_comes_back() {
    let consul = Consul::start().await;
    let mut one = Machine::start("one", 1, &consul).await;
    let mut two = Machine::start("two", 2, &consul).await;
    let open = format!("[auth]\nmode = \"open\"\n[stream]\nladder = {LADDER:?}");
    let ingest = Ingest::on(&consul.url, 1, &open).await;
    let front = Agent::of("front", &consul.url, "hall", &[&ingest.socket]).await;

    let file = Sample::default().file();
    let broadcast = Broadcaster::start(&file, &format!("{}/live/drained", ingest.rtmp));
    let player = Player::follow(&format!("{}/live/drained/master.m3u8", ingest.hls)).await;
    player.segments(3).await;

    // The machine that has the stream, and then the one that it went to.
    for _ in 0..2 {
        let busy = if one.node.admitted().await > two.node.admitted().await {
            &mut one
        } else {
            &mut two
        };
        busy.drain(&consul, &player).await;
        busy.resume(&consul, 2).await;
        std::mem::swap(&mut one, &mut two);
    }

    // The ingest: who is there stays, who comes is sent elsewhere.
    front.rackcast(&["drain", "--reason", "new disks"]);
    wait_for("the ingest to drain", LIMIT, || async {
        let screen = front.rackcast(&["status"]);
        screen.contains(" draining ").then_some(())
    })
    .await;
    publish(&file, &format!("{}/live/late", ingest.rtmp)).wait(LIMIT);
    let draining = ["result=\"draining\""];
    let counted = ingest
        .metric("rackcast_ingest_publishes_total", &draining)
        .await;
    assert!(counted >= 1.0, "refused for another reason");
    player.segments(player.so_far().common() + 2).await;

    let recording = player.stop().await;
    assert_eq!(
        broadcast.stop(),
        1,
        "the publisher never lost its connection"
    );
    recording.assert_sound();
    recording.assert_in_step();
    check::assert_nothing_lost(&recording);
    check::assert_plays_through(&recording, PICTURE);
    let submissions = ingest
        .metric("rackcast_ingest_dispatch_submissions_total", &[])
        .await;
    let segments = ingest
        .metric("rackcast_ingest_dispatch_segments_total", &[])
        .await;
    assert!(
        submissions <= segments * 1.1 + 1.0,
        "{submissions} for {segments}"
    );
}
