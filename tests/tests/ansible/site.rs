//! From bare machines to a streaming fleet, and what it then is.

use std::collections::BTreeSet;
use std::process::Command;

use http::Method;
use rackcast_service::explain::What;
use rackcast_tests::http::Http;
use rackcast_tests::wait::{wait_for, wait_seeing};
use serde_json::Value;

use crate::controller::{Core, Recap};
use crate::inventory::Role;
use crate::rack::{Rack, SOON, shows_at};

/// `--check --diff` has nothing to compare with yet, and says so instead of failing.
pub(crate) async fn a_check_on_bare_hosts_passes_and_changes_nothing(rack: &Rack) {
    let options = ["--check", "--diff"];
    let played = rack.controller.play_by(Core::Old, "site", &options);
    assert_eq!(played.hosts.len(), rack.machines().len(), "{}", played.text);
    rack.each(|host| {
        let left = host.run(
            "ls -d /etc/rackcast /etc/consul.d /etc/apt/sources.list.d/rackcast* \
             /usr/bin/consul /usr/bin/rackcast* /usr/share/keyrings/rackcast* 2>/dev/null || :",
        );
        assert_eq!(left, "", "on {}", host.name());
    });
    assert!(
        rack.controller.secrets().len() <= 1,
        "secrets were drawn in check mode"
    );
}

/// One run, and every service of every host passes in Consul.
pub(crate) async fn one_run_takes_bare_hosts_into_service(rack: &Rack) {
    let played = rack.controller.play("site", &[]);
    rack.is_ready();
    rack.all_pass().await;
    for host in rack.hosts.all().iter().take(rack.machines().len()) {
        assert!(played.hosts[host.name()].changed > 0, "{}", host.name());
        assert_eq!(host.run("systemctl is-system-running --wait"), "running");
    }
    let secrets = rack.controller.secrets();
    rack.each(|host| {
        let journal = host.run("journalctl --sync; journalctl -q --no-pager -o cat");
        let shown = secrets.iter().any(|secret| journal.contains(secret));
        assert!(!shown, "the journal of {} shows a secret", host.name());
    });
}

/// The same once more, by an older Ansible: nothing is left to do, nor is after a boot.
pub(crate) async fn a_second_run_changes_nothing(rack: &Rack) {
    rack.ready().await;
    rack.each(|host| host.run("systemd-tmpfiles --create rackcast-common.conf"));
    let played = rack.controller.play_by(Core::Old, "site", &["--diff"]);
    for (host, recap) in &played.hosts {
        assert_eq!(*recap, Recap::default(), "{host}: {}", played.text);
    }
}

/// Another key than the fleet's would cut off every host that restarts: the play says where the fleet's is.
pub(crate) async fn a_controller_that_lost_the_gossip_key_draws_no_other(rack: &Rack) {
    rack.ready().await;
    let key = rack.controller.gossip_key_file();
    let away = key.with_extension("away");
    std::fs::rename(&key, &away).unwrap();
    let options = ["--tags", "configure", "--limit", "t4"];
    let played = rack.controller.attempt("site", &options);
    let drawn = key.exists();
    std::fs::rename(&away, &key).unwrap();
    assert!(!drawn && !played.good, "{}", played.text);
    assert!(
        played.text.contains("local.keyring of c1"),
        "{}",
        played.text
    );
}

/// ACLs deny by default, gossip is encrypted, TLS and mTLS are asked for.
pub(crate) async fn nothing_is_open_that_should_be_closed(rack: &Rack) {
    rack.ready().await;
    for (method, path) in [
        (Method::PUT, "/v1/kv/rackcast/settings/x"),
        (Method::GET, "/v1/kv/rackcast/settings/x"),
        (Method::GET, "/v1/acl/tokens"),
        (Method::GET, "/v1/agent/self"),
    ] {
        let answer = rack.ask_consul(method, path, None).await.unwrap();
        assert_eq!(answer.status, 403, "{path} without a token");
    }
    let own = rack.consul("/v1/agent/self").await;
    let debug = &own["DebugConfig"];
    assert_eq!(debug["ACLDefaultPolicy"], "deny", "{debug}");
    for key in [
        "VerifyIncomingRPC",
        "VerifyOutgoing",
        "VerifyServerHostname",
    ] {
        assert_eq!(debug[key], Value::Bool(true), "{key}");
    }
    // A member that is late with its answer is not counted.
    let keys = rack.consul_until("every key of the gossip", "/v1/operator/keyring", |rings| {
        let lan = rings.as_array()?.iter().find(|r| r["WAN"] == false)?;
        let is_all = lan["NumNodes"] == rack.machines().len();
        lan["Keys"]
            .as_object()
            .filter(|_| is_all)
            .map(|keys| keys.len())
    });
    assert_eq!(keys.await, 1, "one key of the gossip");

    // A transcode node takes nothing from who does not prove to be an ingest.
    for name in rack.names(Role::Transcode) {
        let address = rack.hosts.host(&name).address();
        let url = format!("http://{address}:7400/v1/load");
        let answer = Http::prior_knowledge().get(&url).await;
        assert!(answer.is_err(), "{name} answers in cleartext: {answer:?}");
    }
    let ingest = rack.hosts.host("i1");
    let told =
        ingest.run("rackcast-ingest --config /etc/rackcast/rackcast-ingest.toml probe --wait 60s");
    for name in rack.names(Role::Transcode) {
        let proved = format!("over mTLS as spiffe://fleet.test/rackcast/transcode/trusted/{name}");
        assert!(told.contains(&proved), "{told}");
    }
}

/// The catalog, what the UI is made of, DNS, and the inventory that is taken from Consul.
pub(crate) async fn catalog_ui_dns_and_inventory_show_every_node(rack: &Rack) {
    rack.ready().await;
    let all: BTreeSet<String> = rack.machines().iter().map(|m| m.name.to_owned()).collect();
    let names = |found: &Value, key: &str| -> BTreeSet<String> {
        let list = found.as_array().into_iter().flatten();
        list.filter_map(|i| Some(i[key].as_str()?.to_owned()))
            .collect()
    };
    let c1 = rack.hosts.host("c1").address();
    for (service, role) in [("ingest", Role::Ingest), ("transcode", Role::Transcode)] {
        let path = format!("/v1/catalog/service/rackcast-{service}");
        let wanted = rack.names(role);
        assert_eq!(names(&rack.consul(&path).await, "Node"), wanted);
        // As an operator asks, without a token.
        let name = format!("rackcast-{service}.service.consul");
        wait_seeing(&format!("{wanted:?} in DNS"), SOON, || async {
            let mut dig = Command::new("dig");
            dig.arg(format!("@{c1}"))
                .args(["-p", "8600", "+tcp", "+short", &name, "SRV"]);
            let output = dig.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let targets: BTreeSet<_> = text
                .lines()
                .filter_map(|l| Some(l.split(' ').nth(3)?.split('.').next()?.to_owned()))
                .collect();
            (targets == wanted).then_some(()).ok_or(text.into_owned())
        })
        .await;
    }
    let nodes = rack.consul("/v1/internal/ui/nodes").await;
    assert_eq!(names(&nodes, "Node"), all);
    let services = rack.consul("/v1/internal/ui/services").await;
    let services = names(&services, "Name");
    for service in ["rackcast-ingest", "rackcast-transcode"] {
        assert!(services.contains(service), "{services:?}");
    }

    let token = rack.controller.management_token_file();
    let source = format!(
        "plugin: rackcast.fleet.catalog\nurl: http://{c1}:8500\ntoken_file: {}\n",
        token.display()
    );
    let listed = rack.controller.listed("fleet.catalog.yml", &source);
    let hosts = |group: &str| -> BTreeSet<String> {
        let hosts = listed[group]["hosts"].as_array().into_iter().flatten();
        hosts.filter_map(|h| Some(h.as_str()?.to_owned())).collect()
    };
    assert_eq!(hosts("ingest"), rack.names(Role::Ingest), "{listed}");
    assert_eq!(hosts("transcode"), rack.names(Role::Transcode), "{listed}");
    for zone in ["north", "south"] {
        let machines = rack.machines();
        let there = machines
            .iter()
            .filter(|m| m.zone == zone && m.role != Role::Consul);
        let there: BTreeSet<_> = there.map(|m| m.name.to_owned()).collect();
        assert_eq!(hosts(&format!("zone_{zone}")), there, "{listed}");
    }
}

/// Several streams, whose segments go to several nodes of both Debians; each plays.
pub(crate) async fn streams_at_the_address_that_dns_gives_are_transcoded_on_several_nodes(
    rack: &Rack,
) {
    rack.ready().await;
    // A program of any machine asks by the name, and knows nothing of Consul.
    let asks = rack.hosts.host("t4");
    let address = rack.hosts.host("i1").address().to_string();
    wait_seeing(&format!("{address} by name"), SOON, || async {
        let asked = asks.attempt("getent ahostsv4 rackcast-ingest.service.consul");
        let first = asked.text.split_whitespace().next();
        let found = asked.good && first == Some(address.as_str());
        found.then_some(()).ok_or(asked.text)
    })
    .await;

    let names = ["one", "two", "three", "four"];
    let shows = shows_at(&address, names).await;
    shows.go_on(6).await;
    let explain = rack.explain();
    let mut nodes = BTreeSet::new();
    for name in names {
        let what = format!("the story of {name}");
        let stream = format!("live/{name}");
        let story = wait_for(&what, SOON, || explain.story(&stream)).await;
        let steps = story.segments.into_iter().flat_map(|s| s.steps);
        nodes.extend(steps.filter_map(|step| match step.what {
            What::Sent { node, .. } => Some(node.id),
            _ => None,
        }));
    }
    assert!(nodes.len() > 1, "all went to {nodes:?}");
    shows.end_unharmed().await;
}
