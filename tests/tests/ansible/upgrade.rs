//! A new version, and one that is no good.

use rackcast_tests::hosts::{Host, Version};

use crate::inventory::Role;
use crate::rack::Rack;

/// Transcode nodes one after another, then the ingest, then the rest: streams lose nothing, and every
/// transcode node has transcoded a segment that an ingest sent to it before the next one is touched.
pub(crate) async fn an_upgrade_under_streams_goes_host_by_host_and_loses_nothing(rack: &Rack) {
    rack.ready().await;
    let shows = rack.shows(["up-one", "up-two"]).await;
    rack.repository.offer(Version::Next);
    let version = format!("rackcast_version={}", Version::Next.text());
    let played = rack.controller.play("upgrade", &["-e", &version]);
    rack.pin(Version::Next);
    rack.all_pass().await;
    shows.end_unharmed().await;

    rack.each(|host| assert_eq!(version_of(host), Version::Next.text(), "{}", host.name()));
    // One at a time: a play for each, and in each the segment before the next begins.
    let plays = played.text.split("\nPLAY [").skip(1);
    let nodes = plays.filter(|p| p.starts_with("Upgrade transcode nodes"));
    let mut upgraded = Vec::new();
    for play in nodes {
        let of_host = rack.names(Role::Transcode).into_iter();
        let mut touched = of_host.filter(|n| play.contains(&format!("[{n}]")));
        let name = touched.next().expect("a play upgrades a node");
        assert_eq!(touched.next(), None, "two at a time: {play}");
        let proof = format!("{name}: good: 2 renditions");
        assert!(play.contains(&proof), "no {proof:?} in {play}");
        upgraded.push(name);
    }
    assert_eq!(upgraded.len(), rack.names(Role::Transcode).len());
}

/// A package whose node looks well to itself and to Consul, and cannot be reached by an ingest: only
/// a real segment shows that. The canary gets its old version back; nothing else is touched.
pub(crate) async fn a_broken_package_stops_at_the_canary_and_is_rolled_back(rack: &Rack) {
    rack.ready().await;
    let before = rack.each(version_of);
    let shows = rack.shows(["back-one", "back-two"]).await;
    rack.repository.offer(Version::Broken);
    let version = format!("rackcast_version={}", Version::Broken.text());
    let options = ["-e", &version, "-e", "rackcast_upgrade_patience=30"];
    let played = rack.controller.attempt("upgrade", &options);
    assert!(!played.good, "{}", played.text);
    rack.all_pass().await;
    shows.end_unharmed().await;

    let canary = &played.hosts["t1"];
    assert_eq!((canary.rescued, canary.failed), (1, 1), "{}", played.text);
    for reason in ["t1: BAD: ", "Nothing further was upgraded"] {
        assert!(
            played.text.contains(reason),
            "no {reason:?} in {}",
            played.text
        );
    }
    let touched: Vec<_> = played.hosts.iter().filter(|(_, r)| r.changed > 0).collect();
    assert_eq!(touched.len(), 1, "{touched:?}");
    assert_eq!(rack.each(version_of), before);
}

/// The version that a host's packages have, if it is one.
pub(crate) fn version_of(host: &Host) -> String {
    host.run("dpkg-query -W -f '${Version}\\n' 'rackcast-*' 2>/dev/null | sort -u | sed '/^$/d'")
}
