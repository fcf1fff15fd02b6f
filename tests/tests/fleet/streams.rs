//! Streams through the hosts, and what their journals tell.

use rackcast_tests::check;
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Sample, publish};
use serde_json::Value;

use crate::rack::{Rack, master, publish_url};

/// Published to a host with ffmpeg, transcoded by whichever host, played from the first.
pub(crate) async fn a_stream_is_published_transcoded_and_played_on_each(rack: &Rack) {
    rack.ready().await;
    for host in rack.hosts.all() {
        let stream = format!("on-{}", host.name());
        let _publisher = publish(&Sample::default().file(), &publish_url(host, &stream));
        let player = Player::follow(&master(host, &stream)).await;
        player.segments(4).await;
        let recording = player.stop().await;
        recording.assert_sound();
        assert_eq!(recording.transcoded(), ["180p", "low"]);
        check::assert_nothing_lost(&recording);
        check::assert_same_pictures(&recording);
    }
}

/// `journalctl RACKCAST_STREAM=...` finds what happened to a stream, and nothing else; and what
/// `rackcast explain` says of its decisions, on whatever host, the journal says too.
pub(crate) async fn the_journal_tells_the_story_of_a_stream(rack: &Rack) {
    rack.ready().await;
    let (host, other) = (rack.hosts.host("d13"), rack.hosts.host("d12"));
    {
        let _publisher = publish(&Sample::default().file(), &publish_url(host, "told"));
        let player = Player::follow(&master(host, "told")).await;
        player.segments(2).await;
    }
    // Asked before the journal is: what happens to the last segments meanwhile stands in that alone.
    let decisions = decisions(&other.run("rackcast explain live/told --json"));
    let entries = host.journal("RACKCAST_STREAM=live/told");
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or("").to_owned();
    let story: Vec<String> = entries.iter().map(|e| text(e, "MESSAGE")).collect();
    for event in ["begins", "publisher"] {
        assert!(
            story.iter().any(|m| m.contains(event)),
            "no {event:?} in {story:#?}"
        );
    }
    for entry in &entries {
        assert_eq!(
            text(entry, "_SYSTEMD_UNIT"),
            "rackcast-ingest.service",
            "{entry}"
        );
        assert_eq!(
            text(entry, "SYSLOG_IDENTIFIER"),
            "rackcast-ingest",
            "{entry}"
        );
        assert_eq!(text(entry, "RACKCAST_STREAM"), "live/told", "{entry}");
        assert!(!text(entry, "PRIORITY").is_empty(), "{entry}");
    }
    assert!(!decisions.is_empty(), "the first pick is always one");
    for decision in decisions {
        let is_told = |entry: &Value| {
            let fields = ["RACKCAST_SEGMENT", "RACKCAST_NODE", "RACKCAST_REASON"];
            fields.map(|field| text(entry, field)) == decision
                && !text(entry, "RACKCAST_PREDICTED_MS").is_empty()
        };
        assert!(entries.iter().any(is_told), "{decision:?} in {story:#?}");
    }
}

/// What an answer of `rackcast explain` tells of submissions that are not simply to keep a node:
/// segment, node and reason of each.
fn decisions(answer: &str) -> Vec<[String; 3]> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let segments = answer["answers"][0]["segments"].as_array().unwrap();
    let of = |segment: &Value| {
        let number = segment["segment"].to_string();
        let steps = segment["steps"].as_array().unwrap();
        let sent = steps.iter().filter(|s| s["what"] == "sent");
        let field = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let told = sent.map(|s| [field(&s["node"]["id"]), field(&s["why"]["code"])]);
        let told = told.filter(|[_, reason]| reason != "kept");
        let told = told.map(move |[node, reason]| [number.clone(), node, reason]);
        told.collect::<Vec<_>>()
    };
    segments.iter().flat_map(of).collect()
}
