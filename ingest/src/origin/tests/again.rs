//! A stream that is published again after its end.

use super::*;

/// The stream ended with one segment, 0, and is open again with the epoch 8.
fn again(config: Config) -> Rig {
    let mut rig = Rig::new(config);
    rig.whole(0);
    rig.stream.end();
    let mut later = info();
    later.first_sequence = Sequence(1);
    rig.stream = rig.origin.open(id(), Epoch(8), &later);
    rig
}

#[test]
fn what_ended_stays_ended_and_what_follows_is_elsewhere() {
    let rig = again(Config::default());
    let ended = rig.get("7/720p.m3u8");
    assert!(ended.1.ends_with("#EXT-X-ENDLIST\n"));
    let (_, master) = rig.get("master.m3u8");
    assert!(master.contains("\n7/720p.m3u8\n"), "nothing else yet");

    rig.add(Rig::info(1));
    assert!(rig.get("master.m3u8").1.contains("\n7/720p.m3u8\n"));
    for rendition in ["720p", "360p"] {
        assert!(rig.settle(1, rendition, Rendered::Media(video_ts(900_000, 50))));
    }
    let (_, master) = rig.get("master.m3u8");
    assert!(master.contains("\n8/720p.m3u8\n"), "{master}");
    assert!(!master.contains("\n7/"), "{master}");
    assert!(rig.get("muxed.m3u8").1.contains("\nmuxed/8/720p.m3u8\n"));
    assert_eq!(rig.listed("720p"), "1");
    assert_eq!(rig.get("7/720p.m3u8"), ended);
    assert_eq!(rig.get("7/720p/0.ts").0, 200);
    assert_eq!(rig.get("8/720p/1.ts").0, 200);
    assert_eq!(rig.get("8/720p/0.ts").0, 404);
    let (_, live) = rig.get("8/720p.m3u8");
    assert!(!live.contains("ENDLIST") && !live.contains("#EXT-X-DISCONTINUITY\n"));
}

#[test]
fn an_address_that_ended_is_gone_after_the_retention_and_never_comes_back() {
    let rig = again(Config::default());
    rig.whole(1);
    rig.origin.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!(rig.get("7/720p.m3u8").0, 404);
    assert_eq!(rig.get("7/720p/0.ts").0, 404);
    assert_eq!(rig.get("8/720p.m3u8").0, 200);
    let stream = rig.origin.find(&id()).unwrap();
    let held = lock(&stream).bytes();
    assert_eq!(rig.origin.memory.metrics.held.get(), gauge(held));
}

#[test]
fn a_player_of_an_epoch_from_before_a_restart_is_carried_on() {
    let rig = Rig::small();
    rig.whole(0);
    assert_eq!(rig.get("5/720p.m3u8"), rig.get("7/720p.m3u8"));
    let rig = again(Config::default());
    rig.whole(1);
    assert_eq!(rig.get("5/720p.m3u8"), rig.get("7/720p.m3u8"), "to its end");
    assert_eq!(rig.get("9/720p.m3u8"), rig.get("8/720p.m3u8"));
}

#[test]
fn what_ended_makes_way_in_a_stream_s_memory() {
    let rig = again(Config {
        max_bytes_per_stream: 2_500_000,
        ..Config::default()
    });
    rig.add(Rig::info(1));
    assert_eq!(rig.get("7/source/0.ts").0, 200);
    rig.add(Rig::info(2));
    assert_eq!(rig.get("7/source/0.ts").0, 404);
    assert_eq!(rig.listed("source"), "1 2");
}

#[test]
fn an_epoch_that_the_playlists_cannot_go_on_with_ends_them() {
    for (first_sequence, target_duration) in [(Sequence(1), 3), (Sequence(0), 2)] {
        let mut rig = Rig::small();
        rig.whole(0);
        let later = StreamInfo {
            first_sequence,
            target_duration,
            ..info()
        };
        rig.stream = rig.origin.open(id(), Epoch(8), &later);
        let (_, ended) = rig.get("7/source.m3u8");
        assert!(ended.ends_with("#EXT-X-ENDLIST\n"), "{ended}");
        rig.whole(first_sequence.0);
        let target = format!("#EXT-X-TARGETDURATION:{target_duration}\n");
        assert!(rig.list("source").contains(&target));
        assert_eq!(rig.get("7/source.m3u8").1, ended);
    }
}

#[test]
fn a_publisher_that_returns_without_a_track_ends_the_playlists_that_had_it() {
    let audio_only = StreamInfo {
        video: None,
        ladder: Vec::new(),
        ..info()
    };
    let silent = StreamInfo {
        audio: None,
        ..info()
    };
    for later in [audio_only, silent] {
        let mut rig = Rig::small();
        rig.whole(0);
        let first_sequence = Sequence(1);
        let later = StreamInfo {
            first_sequence,
            ..later
        };
        rig.stream = rig.origin.open(id(), Epoch(8), &later);
        for rendition in ["source", "720p", "audio"] {
            let (status, text) = rig.get(&format!("7/{rendition}.m3u8"));
            assert_eq!(status, 200, "{rendition}");
            assert!(text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
        }
        // With both again it goes on from there.
        rig.add(Rig::info(1));
        let first_sequence = Sequence(2);
        let both = StreamInfo {
            first_sequence,
            ..info()
        };
        rig.stream = rig.origin.open(id(), Epoch(9), &both);
        rig.whole(2);
        assert!(rig.get("master.m3u8").1.contains("8/source.m3u8"));
        assert_eq!(rig.get("9/source/2.ts").0, 200);
    }
}

#[test]
fn a_rendition_s_own_address_leads_to_the_newest_with_its_query() {
    let rig = again(Config::default());
    rig.whole(1);
    let lead = |path: &str| {
        let request = Request::get(format!("/live/show/{path}")).body(()).unwrap();
        let response = http::handle(&rig.origin, &request);
        let there = response.headers().get("location").cloned();
        let there = there.map(|l| l.to_str().unwrap().to_owned());
        (response.status().as_u16(), there)
    };
    assert_eq!(lead("720p.m3u8"), (307, Some("8/720p.m3u8".to_owned())));
    let asked = lead("muxed/720p.m3u8?token=a%20b");
    assert_eq!(asked, (307, Some("8/720p.m3u8?token=a%20b".to_owned())));
    assert_eq!(lead("144p.m3u8"), (404, None));
}
