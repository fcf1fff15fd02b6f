//! New secrets and a new configuration for all.

use std::collections::{BTreeMap, BTreeSet};

use rackcast_tests::hosts::Host;
use serde_json::Value;

use crate::inventory::Role;
use crate::rack::Rack;

/// Certificates with their keys, tokens and the key of the gossip are all others after, and what was
/// replaced is gone. The inventory was changed too, in what a reload cannot put in force: the ingest
/// hands over, transcode nodes are restarted one after another. No stream notices any of it.
pub(crate) async fn new_credentials_and_configuration_for_every_host_under_streams(rack: &Rack) {
    rack.ready().await;
    let shows = rack.shows(["rotate"]).await;
    let before = Credentials::of(rack).await;
    rack.retune();
    let options = ["--tags", "configure,run"];
    let played = rack.controller.play("rotate_credentials", &options);
    rack.all_pass().await;
    shows.end_unharmed().await;

    let took = "TASK [rackcast.fleet.daemon : Take it into force]";
    let (_, took) = played.text.split_once(took).expect("something waited");
    let took = took.split("TASK [").next().unwrap();
    for name in rack.names(Role::Ingest).union(&rack.names(Role::Transcode)) {
        assert!(
            took.contains(&format!("changed: [{name}]")),
            "{name}: {took}"
        );
    }
    rack.each(|host| {
        let status = host.run("rackcast status || [ $? = 1 ]");
        assert!(!status.contains("not in force"), "{}", status);
    });

    let after = Credentials::of(rack).await;
    assert_eq!(after.gossip.len(), 1, "one key of the gossip");
    assert!(before.gossip.is_disjoint(&after.gossip));
    assert_eq!(after.tokens.len(), before.tokens.len(), "tokens were left");
    for (whose, token) in &after.tokens {
        assert_ne!(before.tokens.get(whose), Some(token), "{whose}");
    }
    for ((host, was), is) in rack
        .machines()
        .iter()
        .map(|m| m.name)
        .zip(&before.keys)
        .zip(&after.keys)
    {
        assert_eq!(is.len(), was.len(), "{host}: {is:?}");
        assert!(!is.is_empty(), "{host} has certificates");
        assert!(was.is_disjoint(is), "{host}: {was:?} and then {is:?}");
    }
}

/// What tells one secret from another, without being one.
struct Credentials {
    gossip: BTreeSet<String>,
    /// Tokens of the fleet's machines, by whose they are.
    tokens: BTreeMap<String, String>,
    /// Hashes of private keys and tokens, of each host.
    keys: Vec<BTreeSet<String>>,
}

impl Credentials {
    async fn of(rack: &Rack) -> Self {
        let rings = rack.consul("/v1/operator/keyring").await;
        let rings = rings.as_array().expect("a list of rings").iter();
        let keys = rings.filter_map(|r| r["Keys"].as_object());
        let gossip = keys.flat_map(|k| k.keys().cloned()).collect();
        let tokens = rack.consul("/v1/acl/tokens").await;
        let text = |token: &Value, key: &str| token[key].as_str().unwrap_or("").to_owned();
        let ours = tokens.as_array().expect("a list of tokens").iter();
        let ours = ours.map(|t| (text(t, "Description"), text(t, "AccessorID")));
        let ours = ours.filter(|(whose, _)| whose.contains('@'));
        Self {
            gossip,
            tokens: ours.collect(),
            keys: rack.each(hashes),
        }
    }
}

fn hashes(host: &Host) -> BTreeSet<String> {
    let text = host.run(
        "find /etc/rackcast/credentials /etc/consul.d/tls /etc/consul.d/tokens -type f \
         ! -name '*.ca' ! -name 'stream-key-*' -exec sha256sum {} +",
    );
    text.lines().map(str::to_owned).collect()
}
