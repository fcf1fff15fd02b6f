//! What happens to machines. Each time the streams that run are unharmed, and the machines come back by
//! themselves or by `site.yml`. What happens to one while another is still away costs no time of its
//! own, and is what a bad day is like.

use std::collections::BTreeSet;

use rackcast_tests::show::Shows;

use crate::inventory::{NEW, Role};
use crate::rack::Rack;
use crate::watch::Prometheus;

/// Until not a byte fits: the journal gives room back when it is out of it.
const FILL: &str = "
for _ in $(seq 20); do
    head -c 10G /dev/zero >>/filled 2>/dev/null
    echo x 2>/dev/null >/more || exit 0
done
echo 'there is room left'; exit 1";

/// Power loss, of one of Consul's servers too: Prometheus tells of it. Then another's cable is pulled.
pub(crate) async fn a_host_without_power_and_then_one_without_network(rack: &Rack) {
    rack.ready().await;
    let shows = begin(rack, "power").await;
    rack.hosts.host("t1").kill();
    without(rack, &["t1"]).await;
    shows.go_on(2).await;
    Prometheus::of(rack).alerts("RackcastDown", "t1").await;
    rack.hosts.host("t3").cut();
    without(rack, &["t1", "t3"]).await;
    shows.go_on(3).await;

    rack.hosts.host("t1").start();
    rack.hosts.host("t3").heal();
    rack.all_pass().await;
    shows.end_unharmed().await;
}

/// Not a byte fits on one any more: it goes on with its work, and says that it is not well. Every
/// process of another stands still, and its connections stay open.
pub(crate) async fn a_host_with_a_full_disk_and_then_one_that_is_frozen(rack: &Rack) {
    rack.ready().await;
    let shows = begin(rack, "disk").await;
    let full = rack.hosts.host("t4");
    full.run(FILL);
    without(rack, &["t4"]).await;
    shows.go_on(2).await;
    rack.hosts.host("t2").freeze();
    without(rack, &["t2", "t4"]).await;
    shows.go_on(3).await;

    rack.hosts.host("t2").thaw();
    full.run("rm -f /filled /more");
    rack.all_pass().await;
    shows.end_unharmed().await;
}

/// Consul with its data, its configuration and its tokens, of one; and a bare machine in the inventory
/// that was not there before. One run of `site.yml` for both takes both into service, and touches no
/// other.
pub(crate) async fn a_run_for_a_host_without_consul_and_for_a_new_one_touches_no_other(
    rack: &Rack,
) {
    rack.ready().await;
    let shows = begin(rack, "come").await;
    rack.hosts.host("t3").run(
        "systemctl kill --signal=SIGKILL consul; systemctl stop consul; \
         rm -rf /var/lib/consul /etc/consul.d",
    );
    without(rack, &["t3"]).await;
    shows.go_on(2).await;

    let processes = || {
        rack.each(|host| {
            let units = [
                "consul",
                "rackcast-agent",
                "rackcast-ingest",
                "rackcast-transcode",
            ];
            let own = host.name() == "t3";
            let units = units.map(|unit| match own {
                true => String::new(),
                false => host.property(unit, "MainPID"),
            });
            (host.name().to_owned(), units)
        })
    };
    let before = processes();
    rack.replan(|machines| machines.push(NEW));
    let both = format!("t3,{}", NEW.name);
    let played = rack.controller.play("site", &["--limit", &both]);
    let touched: Vec<_> = played.hosts.keys().map(String::as_str).collect();
    assert_eq!(touched, ["t3", NEW.name]);
    rack.all_pass().await;
    assert_eq!(before, processes()[..before.len()]);
    // The ingest found it in Consul, Prometheus does in its own file.
    Prometheus::of(rack).scrapes("transcode", NEW.name).await;
    shows.end_unharmed().await;
}

/// Streams enough that every host has some of their segments.
async fn begin(rack: &Rack, name: &str) -> Shows {
    let names = ["a", "b", "c"].map(|letter| format!("{name}-{letter}"));
    rack.shows([&names[0], &names[1], &names[2]]).await
}

/// Waits until Consul finds these hosts not well, and no other.
async fn without(rack: &Rack, missed: &[&str]) {
    let mut others: BTreeSet<String> = rack.names(Role::Transcode);
    others.retain(|name| !missed.contains(&name.as_str()));
    rack.passing("transcode", &others).await;
}
