//! The same rack on a real Consul.

use std::time::Duration;

use rackcast_tests::check;
use rackcast_tests::consul::Consul;
use rackcast_tests::dev::Dev;
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Sample, publish};
use rackcast_tests::wait::wait_for;

use crate::LADDER;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_runs_over_a_real_consul_under_names_of_its_own() {
    let consul = Consul::start().await;
    let mut dev = Dev::start(&[
        "--consul",
        &consul.url,
        "--transcoders",
        "2",
        "--no-publisher",
        "--ladder",
        LADDER,
    ])
    .await;
    assert_eq!(
        consul.services().await,
        ["rackcast-dev-ingest", "rackcast-dev-transcode"]
    );
    for (service, instances) in [("rackcast-dev-ingest", 1), ("rackcast-dev-transcode", 2)] {
        wait_for(&format!("{instances} {service} to pass"), LIMIT, || async {
            (consul.passing(service).await == instances).then_some(())
        })
        .await;
    }

    let _publisher = publish(&Sample::default().file(), &dev.publish_url("live/consul"));
    let player = Player::follow(&dev.master_url("live/consul")).await;
    player.segments(4).await;
    let recording = player.stop().await;
    recording.assert_sound();
    check::assert_nothing_lost(&recording);
    check::assert_same_pictures(&recording);

    dev.process().stop();
    wait_for("everything to be deregistered", LIMIT, || async {
        consul.services().await.is_empty().then_some(())
    })
    .await;
}
