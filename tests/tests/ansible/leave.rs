//! Hosts that leave for good.

use serde_json::Value;

use crate::rack::Rack;
use crate::upgrade::version_of;
use crate::watch::Prometheus;

/// Drained, purged, and gone: no node, no service, no token, no member of that name.
pub(crate) async fn a_decommissioned_host_leaves_nothing_in_consul(rack: &Rack) {
    rack.ready().await;
    let shows = rack.shows(["leave-one", "leave-two"]).await;
    let before = tokens_of(rack, "t4").await;
    assert!(before.len() > 2, "{before:?}");
    rack.controller.play("decommission", &["--limit", "t4"]);
    rack.replan(|machines| machines.retain(|m| m.name != "t4"));
    rack.all_pass().await;
    shows.end_unharmed().await;

    for path in [
        "/v1/catalog/nodes",
        "/v1/health/state/any",
        "/v1/catalog/service/rackcast-transcode",
        "/v1/session/list",
        "/v1/agent/members",
    ] {
        // What has left is forgotten a moment after it was told to leave.
        rack.consul_until(&format!("no t4 in {path}"), path, |found| {
            let is_gone = found.is_array() && !found.to_string().contains("\"t4\"");
            is_gone.then_some(())
        })
        .await;
    }
    assert_eq!(tokens_of(rack, "t4").await, [""; 0]);

    // Nobody shall be woken for it.
    Prometheus::of(rack).forgets("t4").await;

    let host = rack.hosts.host("t4");
    assert_eq!(version_of(host), "");
    host.run("! pgrep --list-name 'rackcast|consul'");
    let left = host.run(
        "ls -d /etc/rackcast /var/lib/rackcast /etc/consul.d /var/lib/consul 2>/dev/null || :",
    );
    assert_eq!(left, "", "left on the host");
}

/// What tokens are for that were made for a host.
async fn tokens_of(rack: &Rack, host: &str) -> Vec<String> {
    let tokens = rack.consul("/v1/acl/tokens").await;
    let list = tokens.as_array().expect("a list of tokens");
    let told = |token: &Value| token["Description"].as_str().map(str::to_owned);
    let told = list.iter().filter_map(told);
    told.filter(|d| d.ends_with(&format!("@{host}"))).collect()
}
