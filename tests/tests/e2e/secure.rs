//! A rack where every connection is TLS: Consul, ingest to nodes, publisher and player.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rackcast_service::status::Role;
use rackcast_tests::check;
use rackcast_tests::consul::Consul;
use rackcast_tests::pki::{Authority, Files, Wish, member, put};
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Sample, publish_secure};
use rackcast_tests::rack::{Agent, Ingest, NODE, Node};
use rackcast_tests::wait::wait_for;

use crate::{LADDER, PICTURE};

const LIMIT: Duration = Duration::from_secs(30);
const HANDSHAKES: &str = "rackcast_tls_handshakes_total";
const RELOADS: &str = "rackcast_tls_reloads_total";

/// Plays some seconds; ffmpeg believes the server only by this authority.
fn plays(url: &str, authority: &Path) -> bool {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-tls_verify", "1", "-ca_file"]);
    ffmpeg
        .arg(authority)
        .args(["-i", url, "-t", "3", "-f", "null", "-"]);
    ffmpeg.status().expect("ffmpeg runs").success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_runs_over_tls_alone_and_certificates_are_replaced_under_it() {
    let (fleet, web) = (Authority::new("fleet"), Authority::new("web"));
    let consul_files = Files::new(&web.issue(&Wish::of(&["server.dc1.consul"])), &web.pem);
    let consul = Consul::start_tls(&consul_files).await;
    let agent_files = Files::new(&web.issue(&Wish::of(&["agent.dc1.consul"])), &web.pem);
    let table = format!(
        "[consul]\naddress = {:?}\n[consul.tls]\nserver_name = \"server.dc1.consul\"\n{}",
        consul.https,
        agent_files.toml()
    );

    let of_node = member(Role::Transcode, NODE);
    let of_ingest = member(Role::Ingest, NODE);
    let node_files = Files::new(&fleet.member(&of_node), &fleet.pem);
    let node_config = format!(
        "[worker]\ncount = 2\nnice = 0\n[encoder]\npreset = \"ultrafast\"\n[tls]\n{}",
        node_files.toml()
    );
    let mut nodes = [
        Node::numbered(1, &node_config).await,
        Node::numbered(2, &node_config).await,
    ];
    let sockets = [nodes[0].socket.as_path(), nodes[1].socket.as_path()];
    let _agent = Agent::with("", &table, "hall-1", &sockets).await;
    wait_for("both nodes to be registered", LIMIT, || async {
        (consul.passing("rackcast-transcode").await == 2).then_some(())
    })
    .await;

    let ingest_files = Files::new(&fleet.member(&of_ingest), &fleet.pem);
    let public_files = Files::new(&web.issue(&Wish::of(&["localhost"])), "");
    let ingest = Ingest::secure(&format!(
        "[auth]\nmode = \"open\"\n[stream]\nladder = {LADDER:?}\n[tls.nodes]\n{}\
         [tls.public]\n{}{table}",
        ingest_files.toml(),
        public_files.toml()
    ))
    .await;

    let sample = Sample::long().file();
    let authority = consul_files.authorities();
    let stranger = Files::new(&web.issue(&Wish::of(&["x"])), &fleet.pem);
    let url = format!("{}/live/secure", ingest.rtmps);
    // A publisher that does not believe us leaves in the handshake.
    let mut doubtful = publish_secure(&sample, &url, &stranger.authorities());
    assert!(!doubtful.wait(LIMIT).success());
    let _publisher = publish_secure(&sample, &url, &authority);
    let player = Player::follow(&format!("{}/live/secure/master.m3u8", ingest.hls)).await;
    player.segments(2).await;

    // Everything is replaced, down to the authority.
    let next = Authority::new("next");
    let both = fleet.pem.clone() + &next.pem;
    put(&node_files.authorities(), &both);
    put(&ingest_files.authorities(), &both);
    let done = ["result=\"done\""];
    wait_for("the new authority to be known to all", LIMIT, || async {
        let mut all = ingest.metric(RELOADS, &done).await >= 1.0;
        for node in &nodes {
            all &= node.metric(RELOADS, &done).await >= 1.0;
        }
        all.then_some(())
    })
    .await;
    node_files.replace(&next.member(&of_node));
    ingest_files.replace(&next.member(&of_ingest));
    public_files.replace(&web.issue(&Wish::of(&["localhost"])));
    // Nodes are cut off and come back, one by one: what is spoken then is spoken under the new
    // certificates.
    for node in &mut nodes {
        let before = ingest.metric(HANDSHAKES, &["for=\"nodes\""]).await;
        node.restart().await;
        wait_for("the ingest to be let in again", LIMIT, || async {
            (ingest.metric(HANDSHAKES, &["for=\"nodes\""]).await > before).then_some(())
        })
        .await;
        player.segments(player.so_far().common() + 2).await;
    }
    let master = format!("{}/live/secure/master.m3u8", ingest.https);
    assert!(plays(&master, &authority), "HTTPS plays");
    assert!(
        !plays(&master, &stranger.authorities()),
        "ffmpeg believes anybody"
    );

    let recording = player.stop().await;
    recording.assert_sound();
    recording.assert_in_step();
    check::assert_nothing_lost(&recording);
    check::assert_same_pictures(&recording);
    check::assert_plays_through(&recording, PICTURE);
    for purpose in ["nodes", "https", "rtmps", "consul"] {
        let label = format!("for=\"{purpose}\"");
        let count = ingest.metric(HANDSHAKES, &[&label]).await;
        assert!(count >= 1.0, "{purpose}: {count} handshakes");
    }
}
