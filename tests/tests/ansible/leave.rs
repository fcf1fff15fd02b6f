//! Hosts that leave for good, and hosts that come.

use rackcast_tests::wait::wait_until;
use serde_json::Value;

use crate::inventory::NEW;
use crate::rack::{Rack, SOON, end_unharmed};
use crate::upgrade::version_of;

/// Drained, purged, and gone: no node, no service, no token, no member of that name.
pub(crate) async fn a_decommissioned_host_leaves_nothing_in_consul(rack: &Rack) {
    rack.ready().await;
    let shows = rack.shows(["leave-one", "leave-two"]).await;
    let before = tokens_of(rack, "t4").await;
    assert!(before.len() > 2, "{before:?}");
    rack.controller.play("decommission", &["--limit", "t4"]);
    rack.replan(|machines| machines.retain(|m| m.name != "t4"));
    rack.all_pass().await;
    end_unharmed(shows).await;

    for path in [
        "/v1/catalog/nodes",
        "/v1/health/state/any",
        "/v1/catalog/service/rackcast-transcode",
        "/v1/session/list",
        "/v1/agent/members",
    ] {
        let text = rack.consul(path).await.to_string();
        assert!(!text.contains("\"t4\""), "t4 is left in {path}: {text}");
    }
    assert_eq!(tokens_of(rack, "t4").await, [""; 0]);

    let host = rack.hosts.host("t4");
    assert_eq!(version_of(host), "");
    assert!(!host.attempt("pgrep 'rackcast|consul'").good);
    let left = host.run(
        "ls -d /etc/rackcast /var/lib/rackcast /etc/consul.d /var/lib/consul 2>/dev/null || :",
    );
    assert_eq!(left, "", "left on the host");
}

/// One more machine in the inventory, and a run for it alone.
pub(crate) async fn a_new_host_comes_in_and_the_others_are_not_touched(rack: &Rack) {
    rack.ready().await;
    let shows = rack.shows(["come-one", "come-two"]).await;
    let processes = || {
        rack.each(|host| {
            host.run(
                "for u in consul rackcast-agent rackcast-ingest rackcast-transcode; do \
                 systemctl show -P MainPID $u; done",
            )
        })
    };
    let before = processes();
    rack.replan(|machines| machines.push(NEW));
    let played = rack.controller.play("site", &["--limit", NEW.name]);
    let touched: Vec<_> = played.hosts.keys().collect();
    assert_eq!(touched, [NEW.name]);
    rack.all_pass().await;
    let after = processes();
    assert_eq!(before, after[..before.len()]);
    // Ingests find it in Consul.
    let ingest = rack.hosts.host("i1");
    wait_until("the ingest to know it", SOON, || {
        let nodes = ingest.run("rackcast explain --nodes");
        nodes.contains(&format!("-{}-", NEW.name))
    })
    .await;
    end_unharmed(shows).await;
}

/// What tokens are for that were made for a host.
async fn tokens_of(rack: &Rack, host: &str) -> Vec<String> {
    let tokens = rack.consul("/v1/acl/tokens").await;
    let list = tokens.as_array().cloned().unwrap_or_default();
    let told = |token: &Value| token["Description"].as_str().map(str::to_owned);
    let told = list.iter().filter_map(told);
    told.filter(|d| d.ends_with(&format!("@{host}"))).collect()
}
