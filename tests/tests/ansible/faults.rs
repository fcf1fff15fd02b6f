//! What happens to machines. Each time the streams that run are unharmed, and the machine comes back by
//! itself or by `site.yml`.

use std::collections::BTreeSet;

use rackcast_tests::hosts::Host;
use rackcast_tests::show::Show;

use crate::inventory::Role;
use crate::rack::{Rack, end_unharmed};

/// Power loss, then power.
pub(crate) async fn a_host_without_power(rack: &Rack) {
    harm(rack, "t1", Host::kill, Host::start).await;
}

/// Every process stands still, and its connections stay open.
pub(crate) async fn a_host_that_is_frozen(rack: &Rack) {
    harm(rack, "t2", Host::freeze, Host::thaw).await;
}

/// Its cable is pulled.
pub(crate) async fn a_host_without_network(rack: &Rack) {
    harm(rack, "t3", Host::cut, Host::heal).await;
}

/// Not a byte fits on it any more. It goes on with its work, and says that it is not well.
pub(crate) async fn a_host_with_a_full_disk(rack: &Rack) {
    rack.ready().await;
    let host = rack.hosts.host("t4");
    let shows = begin(rack, "t4").await;
    host.run("head -c 10G /dev/zero >/filled 2>/dev/null || :");
    assert!(!host.attempt("echo x >/more").good, "there is room left");
    for show in &shows {
        show.goes_on(4).await;
    }
    host.run("rm -f /filled /more");
    rack.all_pass().await;
    end_unharmed(shows).await;
}

/// Consul with its data, its configuration and its tokens: `site.yml` brings it back.
pub(crate) async fn a_host_whose_consul_is_gone(rack: &Rack) {
    rack.ready().await;
    let shows = begin(rack, "t3").await;
    rack.hosts.host("t3").run(
        "systemctl kill --signal=SIGKILL consul; systemctl stop consul; \
         rm -rf /var/lib/consul /etc/consul.d",
    );
    without(rack, "t3").await;
    for show in &shows {
        show.goes_on(2).await;
    }
    rack.controller.play("site", &["--limit", "t3"]);
    rack.all_pass().await;
    end_unharmed(shows).await;
}

/// Streams run while something happens to a host, until Consul has noticed, and until it is back.
async fn harm(rack: &Rack, name: &str, harm: impl Fn(&Host), mend: impl Fn(&Host)) {
    rack.ready().await;
    let host = rack.hosts.host(name);
    let shows = begin(rack, name).await;
    harm(host);
    without(rack, name).await;
    for show in &shows {
        show.goes_on(3).await;
    }
    mend(host);
    rack.all_pass().await;
    end_unharmed(shows).await;
}

/// Streams enough that this host has some of their segments, whichever it is.
async fn begin(rack: &Rack, host: &str) -> Vec<Show> {
    let names = ["a", "b", "c"].map(|letter| format!("{host}-{letter}"));
    rack.shows([&names[0], &names[1], &names[2]]).await
}

/// Waits until Consul misses a host.
async fn without(rack: &Rack, name: &str) {
    let mut others: BTreeSet<String> = rack.names(Role::Transcode);
    others.remove(name);
    rack.passing("transcode", &others).await;
}
