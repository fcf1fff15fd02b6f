//! What the players have, and whether what the ingest tells of it is true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rackcast_tests::explain::{Explain, Told, rackcast_explain};
use rackcast_tests::fleet::Site;
use rackcast_tests::load;
use rackcast_tests::rack::Ingest;
use rackcast_tests::recording::Recording;
use rackcast_tests::truth::Notes;
use rackcast_tests::wait::wait_for;

use super::LIMIT;
use super::rack::Rack;

/// Of what was listed since a moment, nothing is a gap; of the rest, nothing is broken. What the
/// ingest says of a gap is printed.
pub(super) fn assert_nothing_lost(
    ingest: &Ingest,
    recordings: &[(String, Recording)],
    since: Instant,
) {
    let mut gaps = BTreeSet::new();
    for (name, recording) in recordings {
        assert_eq!(recording.tracks.len(), 3, "renditions of {name}");
        recording.assert_sound();
        recording.assert_in_step();
        for (rendition, track) in &recording.tracks {
            let listed = track.segments.values().filter(|s| s.at >= since);
            let lost = listed.filter(|s| s.listed.gap);
            gaps.extend(lost.map(|s| (name, s.listed.sequence)));
            assert_eq!(
                track.holes(),
                [0; 0],
                "numbers that {rendition} of {name} never listed"
            );
        }
    }
    for (name, segment) in &gaps {
        let (stream, segment) = (format!("live/{name}"), segment.to_string());
        println!("{}", told(ingest, &[&stream, "--segment", &segment]));
    }
    if !gaps.is_empty() {
        println!("{}", told(ingest, &["--nodes"]));
    }
    assert_eq!(gaps, BTreeSet::new(), "gaps");
}

/// What `rackcast explain` prints.
fn told(ingest: &Ingest, args: &[&str]) -> String {
    let admin = format!("http://{}", ingest.admin);
    rackcast_explain(&[&["--ingest", &admin], args].concat()).1
}

/// What the ingest tells of its decisions is what the nodes saw, and each fault is told of.
pub(super) async fn assert_truly_told(
    rack: &Rack,
    ingest: &Ingest,
    all: &[String],
    streams: &[String],
    began: Instant,
) {
    // What is still out is told of when it is over.
    wait_for("all segments to be over", LIMIT, || async {
        let out = ingest.metric("rackcast_ingest_dispatch_segments_in_flight", &[]);
        (out.await == 0.0).then_some(())
    })
    .await;
    let explain = Explain::at(&format!("http://{}", ingest.admin));
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut lies = Vec::new();
    for stream in streams {
        let mut notes = Notes::default();
        for site in rack.sites() {
            let asked = site.asked_since(began).into_iter();
            for asked in asked.filter(|a| load::stream_of(all, a) == stream) {
                notes.add(&site.id, asked);
            }
        }
        let story = explain.story(&format!("live/{stream}")).await.unwrap();
        lies.extend(notes.contradictions(&story));
        for site in rack.sites() {
            let ends = story.segments.iter().flat_map(|s| s.ends_at(&site.id));
            told.entry(site.id.clone()).or_default().extend(ends);
        }
        // A stream that leaves its home tells what it left it for.
        for moved in &story.summary.moves {
            if let Some(failure) = &moved.why.failure {
                let of_home = told.entry(moved.from.id.clone()).or_default();
                of_home.insert(format!("failed:{failure}"));
            }
        }
    }
    // A probe may have met the dead node before a segment did.
    let nodes = explain.nodes().await.nodes;
    let failures = nodes.iter().map(|n| (&n.id, &n.standing.failure));
    for (id, failure) in failures.filter_map(|(id, failure)| Some((id, failure.as_ref()?))) {
        let of_it = told.entry(id.clone()).or_default();
        of_it.insert(format!("failed:{failure}"));
    }
    println!("{told:#?}");
    assert_eq!(lies, [""; 0]);
    let all_but = |site: &Site, codes: &[&str]| {
        let ends = told[&site.id]
            .iter()
            .filter(|end| end.starts_with("failed"));
        ends.filter(|end| !codes.contains(&end.as_str()))
            .cloned()
            .collect::<Vec<_>>()
    };
    for (site, codes) in [
        (&rack.killed, &["failed:connect", "failed:broken"][..]),
        (&rack.corrupt, &["failed:wrong-media"]),
        (&rack.refusing, &["refused:no-slot"]),
    ] {
        let any = codes.iter().any(|code| told[&site.id].contains(*code));
        assert!(any, "{}: none of {codes:?} is told", site.id);
        assert_eq!(all_but(site, codes), [""; 0], "told of {}", site.id);
    }
    // It may be given up as hung or too slow, or may be too slow to be chosen at all. On a busy machine so
    // may a healthy one.
    let slow = ["failed:slow", "failed:timed-out"];
    assert_eq!(
        all_but(&rack.slow, &slow),
        [""; 0],
        "told of {}",
        rack.slow.id
    );
    for site in &rack.healthy {
        assert_eq!(all_but(site, &slow), [""; 0], "told of {}", site.id);
    }
}
