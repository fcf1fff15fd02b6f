//! Machines are taken out of service and put back under a live stream.

use std::time::{Duration, Instant};

use rackcast_service::status::fetch;
use rackcast_tests::check;
use rackcast_tests::consul::Consul;
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Broadcaster, Sample, publish};
use rackcast_tests::rack::{Agent, Ingest, Node};
use rackcast_tests::wait::wait_for;

use crate::{LADDER, PICTURE};

const STREAMS: [&str; 2] = ["one", "two"];
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

    /// Drains it under `players`, and sees that it gets no new job from then on, and that Consul
    /// has it in maintenance, over the agent's death.
    async fn drain(&mut self, consul: &Consul, players: &[Player]) {
        let said = self.agent.rackcast(&["drain", "--reason", self.name]);
        let maintained =
            |reasons: Vec<String>| reasons == [format!("rackcast: {}", said.trim_end())];
        wait_for("the drain to be known", LIMIT, || async {
            let node = fetch(&self.node.socket).await.ok()?;
            (node.draining && maintained(maintenance(consul).await)).then_some(())
        })
        .await;
        let admitted = self.node.admitted().await;

        let nodes = self.agent.rackcast(&["nodes", "--consul", &consul.url]);
        let told = format!("maintenance: rackcast: {}", said.trim_end());
        assert!(nodes.contains(&told), "{nodes}");

        self.agent.restart().await;
        more(players, 4).await;
        assert_eq!(
            self.node.admitted().await,
            admitted,
            "jobs of a drained node"
        );
        assert!(maintained(maintenance(consul).await), "{said}");
        self.agent
            .rackcast(&["drain", "--reason", self.name, "--wait", "60s"]);
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

/// Waits for so many further segments of each stream.
async fn more(players: &[Player], count: usize) {
    for player in players {
        player.segments(player.so_far().common() + count).await;
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

    let began = Instant::now();
    let file = Sample::long().file();
    let publish_to = |name: &str| format!("{}/live/{name}", ingest.rtmp);
    let broadcasts = STREAMS.map(|name| Broadcaster::start(&file, &publish_to(name)));
    let mut players = Vec::new();
    for name in STREAMS {
        let url = format!("{}/live/{name}/master.m3u8", ingest.hls);
        players.push(Player::follow(&url).await);
    }
    more(&players, 3).await;

    // The machine that had most of the segments, and then the one that they went to.
    let mut machines = [&mut one, &mut two];
    if machines[0].node.admitted().await < machines[1].node.admitted().await {
        machines.reverse();
    }
    for busy in machines {
        busy.drain(&consul, &players).await;
        busy.resume(&consul, 2).await;
    }

    let streams = front.rackcast(&["streams", "--consul", &consul.url]);
    for part in [
        "live/one",
        "live/two",
        " since ",
        "180p low",
        " of the last ",
        "(hall)",
    ] {
        assert!(streams.contains(part), "{part:?} is not in\n{streams}");
    }

    // The ingest: who is there stays, who comes is sent elsewhere.
    front.rackcast(&["drain", "--reason", "new disks"]);
    wait_for("the ingest to drain", LIMIT, || async {
        let screen = front.rackcast(&["status"]);
        screen.contains(" draining ").then_some(())
    })
    .await;
    publish(&file, &publish_to("late")).wait(LIMIT);
    let draining = ["result=\"draining\""];
    let counted = ingest
        .metric("rackcast_ingest_publishes_total", &draining)
        .await;
    assert!(counted >= 1.0, "refused for another reason");
    more(&players, 2).await;

    for player in players {
        let recording = player.stop().await;
        recording.assert_sound();
        recording.assert_in_step();
        check::assert_nothing_lost(&recording);
        check::assert_plays_through(&recording, PICTURE);
    }
    for broadcast in broadcasts {
        assert_eq!(broadcast.stop(), 1, "a publisher never lost its connection");
    }
    let submissions = ingest
        .metric("rackcast_ingest_dispatch_submissions_total", &[])
        .await;
    let segments = ingest
        .metric("rackcast_ingest_dispatch_segments_total", &[])
        .await;
    let retries = "rackcast_ingest_dispatch_retries_total";
    let hedges = ingest.metric(retries, &["\"hedge\""]).await;
    println!("{submissions} submissions, {hedges} of them hedges, for {segments} segments");
    assert!(
        submissions - hedges <= segments * 1.1 + 1.0,
        "{submissions} but {hedges} for {segments}"
    );
    // A machine that is busy with other things makes nodes slow: the budget has one a second more.
    let bound = segments * 1.1 + began.elapsed().as_secs_f64();
    assert!(submissions <= bound, "{submissions} of {bound}");
}
