//! Every Consul server is gone for a while: a catalog that cannot be asked is no reason for
//! anything to stop, and its return none for a stampede.

use std::time::{Duration, Instant};

use rackcast_tests::check;
use rackcast_tests::consul::Cluster;
use rackcast_tests::fleet::cheap;
use rackcast_tests::meter::Meter;
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Broadcaster, Sample, publish};
use rackcast_tests::rack::{Agent, Ingest, Node};
use rackcast_tests::recording::Recording;
use rackcast_tests::wait::wait_for;

const SERVERS: u8 = 3;
const LADDER: &str = "90p@200k,low:72@100k";
const LIMIT: Duration = Duration::from_secs(60);
/// What a daemon may ask of Consul in any second and in any ten, from the moment in which the
/// servers go until all is well again. An ingest has three standing questions (nodes, settings, its
/// session in the directory of streams), each of which is asked again after 0.25 s, 0.5 s, 1 s and so
/// on, and writes down two streams; an agent keeps four services with a check each true here, and has
/// two standing questions (settings, orders to its machine).
const INGEST: (usize, usize) = (12, 30);
const AGENT: (usize, usize) = (20, 55);

#[tokio::test(flavor = "multi_thread")]
async fn consul_servers_gone_for_30_s_lose_nothing() {
    servers_are_gone(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as many minutes as RACKCAST_SOAK_MINUTES says"]
async fn soak_without_consul_servers() {
    servers_are_gone(crate::soak::duration()).await;
}

async fn servers_are_gone(length: Duration) {
    let mut consul = Cluster::start(SERVERS).await;
    let meters = tokio::join!(
        Meter::start(consul.agent()),
        Meter::start(consul.agent()),
        Meter::start(consul.agent())
    );
    let (steady_meter, restarted_meter, agent_meter) = &meters;
    let cheap = cheap(1);
    let open = format!("[auth]\nmode = \"open\"\n[stream]\nladder = {LADDER:?}");
    let (a, b, steady, mut restarted) = tokio::join!(
        Node::numbered(1, &cheap),
        Node::numbered(2, &cheap),
        Ingest::on(&steady_meter.url, 1, &open),
        Ingest::on(&restarted_meter.url, 2, &open),
    );
    let sockets = [&a.socket, &b.socket, &steady.socket, &restarted.socket];
    let _agent = Agent::start(&agent_meter.url, "z1", &sockets.map(|s| s.as_path())).await;
    all_are_known(&consul, &[&steady, &restarted]).await;

    let sample = Sample {
        seconds: u32::try_from(length.as_secs()).unwrap() + 300,
        width: 160,
        height: 90,
        rate: 12,
        ..Sample::default()
    }
    .file();
    let _first = publish(&sample, &format!("{}/live/first", steady.rtmp));
    let _second = Broadcaster::start(&sample, &format!("{}/live/second", restarted.rtmp));
    let first = Player::follow(&format!("{}/live/first/master.m3u8", steady.hls)).await;
    let second = format!("{}/live/second/master.m3u8", restarted.hls);
    let before = Player::follow(&second).await;
    first.segments(2).await;
    before.segments(2).await;

    let gone = Instant::now();
    consul.kill_servers();
    wait_for("the catalog to be away", LIMIT, || async {
        consul
            .get("/v1/catalog/nodes")
            .await
            .is_none()
            .then_some(())
    })
    .await;

    // Without a catalog a new stream has its whole ladder,
    let _new = publish(&sample, &format!("{}/live/new", steady.rtmp));
    let new = Player::follow(&format!("{}/live/new/master.m3u8", steady.hls)).await;
    new.segments(2).await;
    // and so has one on an ingest that knows nothing but what it once wrote down.
    assert_unharmed("before the restart", &before.stop().await);
    restarted.restart().await;
    let after = Player::follow(&second).await;
    after.segments(2).await;
    assert_eq!(fresh(&restarted).await, 0.0, "the catalog was not away");

    tokio::time::sleep(length.saturating_sub(gone.elapsed())).await;
    let back = Instant::now();
    assert_eq!(fresh(&steady).await, 0.0, "the catalog was not away");
    consul.start_servers();
    consul.has_leader().await;
    all_are_known(&consul, &[&steady, &restarted]).await;
    println!("the catalog is back after {:?}", back.elapsed());
    let seen = first.so_far().common();
    first.segments(seen + 3).await;

    for (name, player) in [("first", first), ("new", new), ("after the restart", after)] {
        assert_unharmed(name, &player.stop().await);
    }
    for (daemon, meter, bound) in [
        ("the ingest", steady_meter, INGEST),
        ("the ingest that was restarted", restarted_meter, INGEST),
        ("the agent", agent_meter, AGENT),
    ] {
        let all = meter.since(gone).len();
        let second = meter.busiest(gone, Duration::from_secs(1));
        let ten = meter.busiest(gone, Duration::from_secs(10));
        println!(
            "{daemon}: {all} requests in {:?}, at most {} in a second and {} in ten",
            gone.elapsed(),
            second.len(),
            ten.len()
        );
        let storm = second.len() > bound.0 || ten.len() > bound.1;
        assert!(!storm, "a storm: {daemon}: {second:#?}, {ten:#?}");
        assert!(
            !meter.since(back).is_empty(),
            "{daemon} does not ask any more"
        );
    }
}

/// Both ingests and both nodes pass their checks, and the ingests know that of the nodes.
async fn all_are_known(consul: &Cluster, ingests: &[&Ingest]) {
    for service in ["rackcast-ingest", "rackcast-transcode"] {
        wait_for(&format!("two {service} to pass"), LIMIT, || async {
            (consul.passing(service).await == Some(2)).then_some(())
        })
        .await;
    }
    for ingest in ingests {
        wait_for("an ingest to know the nodes", LIMIT, || async {
            let nodes = ingest.metric("rackcast_ingest_discovery_nodes", &[]).await;
            (nodes == 2.0 && fresh(ingest).await == 1.0).then_some(())
        })
        .await;
    }
}

/// 1 if an ingest's list of nodes is what Consul says now.
async fn fresh(ingest: &Ingest) -> f64 {
    ingest.metric("rackcast_ingest_discovery_fresh", &[]).await
}

fn assert_unharmed(name: &str, recording: &Recording) {
    println!("{name}: {} segments", recording.common());
    let names: Vec<_> = recording.tracks.keys().map(String::as_str).collect();
    assert_eq!(names, ["90p", "audio", "low", "source"], "{name}");
    recording.assert_sound();
    recording.assert_in_step();
    check::assert_nothing_lost(recording);
    check::assert_same_pictures(recording);
}
