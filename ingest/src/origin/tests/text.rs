//! Playlists, word by word.

use super::*;

#[test]
fn a_media_playlist_word_by_word() {
    let rig = Rig::small();
    rig.whole(0);
    rig.add(SegmentInfo {
        discontinuity: true,
        duration: Ticks(180_180),
        ..Rig::info(1)
    });
    assert!(rig.settle(1, "720p", Rendered::Gap));
    assert_eq!(
        rig.list("720p"),
        "#EXTM3U\n\
         #EXT-X-VERSION:8\n\
         #EXT-X-TARGETDURATION:2\n\
         #EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:0\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00.250Z\n\
         #EXTINF:2.000000,\n\
         ../7/720p/0.ts\n\
         #EXT-X-DISCONTINUITY\n\
         #EXT-X-GAP\n\
         #EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:02.250Z\n\
         #EXTINF:2.002000,\n\
         ../7/720p/1.ts\n"
    );
    let source = rig.list("source");
    assert!(
        source.contains("#EXT-X-VERSION:8\n"),
        "with a gap or without"
    );
    assert!(!source.contains("INDEPENDENT"), "there may be pieces");
}

#[test]
fn a_master_playlist_word_by_word() {
    let rig = Rig::small();
    assert_eq!(rig.get("master.m3u8").0, 404);
    rig.add(Rig::info(0));
    assert_eq!(
        rig.get("master.m3u8").0,
        404,
        "not before each has something"
    );
    assert!(rig.settle(0, "720p", Rendered::Media(video_ts(900_000, 50))));
    assert!(rig.settle(0, "360p", Rendered::Gap));
    let expected = "#EXTM3U\n\
        #EXT-X-VERSION:3\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",DEFAULT=YES,AUTOSELECT=YES,\
        CHANNELS=\"2\",URI=\"7/audio.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=5005000,AVERAGE-BANDWIDTH=4004000,\
        CODECS=\"avc1.4d4028,mp4a.40.2\",RESOLUTION=1920x1080,FRAME-RATE=29.970,AUDIO=\"audio\"\n\
        7/source.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=4405000,AVERAGE-BANDWIDTH=44000,\
        CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio\"\n\
        7/720p.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1305000,AVERAGE-BANDWIDTH=864000,\
        CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO=\"audio\"\n\
        7/360p.m3u8\n";
    assert_eq!(rig.get("master.m3u8").1, expected);

    let mut muxed = expected.replace(",AUDIO=\"audio\"", "");
    for rendition in ["source", "720p", "360p"] {
        muxed = muxed.replace(
            &format!("\n7/{rendition}.m3u8"),
            &format!("\nmuxed/7/{rendition}.m3u8"),
        );
    }
    let media = muxed.find("#EXT-X-MEDIA").unwrap();
    let end = media + muxed[media..].find('\n').unwrap() + 1;
    muxed.replace_range(media..end, "");
    assert_eq!(rig.get("muxed.m3u8").1, muxed);
}

#[test]
fn audio_alone_is_a_stream_too() {
    let origin = Origin::new(Config::default(), &Registry::new()).unwrap();
    let info = StreamInfo {
        video: None,
        ladder: Vec::new(),
        ..info()
    };
    let stream = origin.open(id(), Epoch(7), &info);
    let rig = Rig { origin, stream };
    rig.stream
        .segment(Rig::info(0), None, Some(vec![1; 32_000].into()));
    assert_eq!(
        rig.get("master.m3u8").1,
        "#EXTM3U\n#EXT-X-VERSION:3\n\
         #EXT-X-STREAM-INF:BANDWIDTH=160000,AVERAGE-BANDWIDTH=130000,CODECS=\"mp4a.40.2\"\n\
         7/audio.m3u8\n"
    );
    assert_eq!(rig.listed("audio"), "0");
    assert_eq!(rig.listed("source"), "404");
    assert_eq!(rig.get("muxed/7/audio/0.ts").0, 200);
}

#[test]
fn a_format_that_changes_shows_in_the_master_playlist() {
    let rig = Rig::small();
    rig.whole(0);
    let mut video = info().video.unwrap();
    (video.format.width, video.format.height) = (960, 720);
    let mut ladder = [spec("360p", 240, 180, 800_000), spec("new", 320, 240, 1)];
    ladder[0].half_rate = true;
    rig.stream.describe(video, &ladder, Ratio::ONE);
    let (_, text) = rig.get("master.m3u8");
    for (shown, name) in [
        ("1280x720", "source"),
        ("960x720", "720p"),
        ("240x180", "360p"),
    ] {
        let line = text.lines().find(|l| l.contains(shown)).unwrap();
        assert!(text.contains(&format!("{line}\n7/{name}.m3u8\n")), "{text}");
    }
    assert!(!text.contains("new"));
    assert!(text.contains("240x180,FRAME-RATE=14.985,"), "{text}");
}
