use super::*;

use std::time::{Duration, SystemTime};

use ::http::Request;
use http_body_util::BodyExt;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame, VideoFormat};
use rackcast_segment::shape::{Colour, Profile, Ratio};
use rackcast_segment::time::{Ticks, Timestamp};
use rackcast_segment::ts::{self, Counters, Layout, Writer};

pub(super) fn id() -> StreamId {
    "live/show".parse().unwrap()
}

pub(super) fn name(name: &str) -> RenditionName {
    name.parse().unwrap()
}

fn spec(name: &str, width: u32, height: u32, bitrate: u32) -> RenditionSpec {
    RenditionSpec {
        name: name.parse().unwrap(),
        width,
        height,
        bitrate,
        profile: Profile::High,
        level_idc: 31,
    }
}

pub(super) fn info() -> StreamInfo {
    StreamInfo {
        video: Some(SourceVideo {
            format: VideoFormat {
                width: 1440,
                height: 1080,
                profile_idc: 77,
                constraints: 0x40,
                level_idc: 40,
                frame_rate: None,
                sample_aspect: Ratio::new(4, 3).unwrap(),
                colour: Colour::default(),
                interlaced: false,
            },
            frame_rate: Ratio::new(30_000, 1001),
        }),
        audio: Some(Arc::new(AudioConfig {
            asc: Bytes::from_static(&[0x11, 0x90]),
            object_type: 2,
            sample_rate: 48_000,
            channels: 2,
        })),
        ladder: vec![
            spec("720p", 960, 720, 2_800_000),
            spec("360p", 480, 360, 800_000),
        ],
        sample_aspect: Ratio::new(4, 3).unwrap(),
        target_duration: 2,
        first_sequence: Sequence(0),
        first_discontinuity: 0,
    }
}

/// Real MPEG-TS of `pictures` pictures, from a writer that begins its counters anew, as a
/// transcode node's does.
pub(super) fn video_ts(start: i64, pictures: i64) -> Bytes {
    let pictures: Vec<_> = (0..pictures)
        .map(|n| AccessUnit {
            pts: Timestamp(start + n * 3600),
            dts: Timestamp(start + n * 3600),
            idr: n == 0,
            data: Bytes::from_static(&[0, 0, 0, 1, 0x65, 1, 2, 3]),
        })
        .collect();
    let layout = Layout {
        video: true,
        audio: false,
    };
    Writer::new(layout).segment(&pictures, None)
}

fn audio_frames(start: i64, count: i64) -> Vec<AudioFrame> {
    (0..count)
        .map(|n| AudioFrame {
            pts: Timestamp(start + n * 1920),
            data: Bytes::from_static(&[9; 20]),
        })
        .collect()
}

pub(super) struct Rig {
    pub(super) origin: Origin,
    pub(super) stream: Arc<OriginStream>,
}

impl Rig {
    pub(super) fn new(config: Config) -> Self {
        let origin = Origin::new(config, &Registry::new()).unwrap();
        let stream = origin.open(id(), Epoch(7), info());
        Self { origin, stream }
    }

    /// Three listed, one kept.
    pub(super) fn small() -> Self {
        Self::new(Config {
            listed: 3,
            kept: 1,
            ..Config::default()
        })
    }

    pub(super) fn info(n: u64) -> SegmentInfo {
        SegmentInfo {
            sequence: Sequence(n),
            start: Timestamp(900_000 + n as i64 * 180_000),
            duration: Ticks(180_000),
            discontinuity: false,
            independent: true,
            program_date_time: SystemTime::UNIX_EPOCH
                + Duration::from_millis(1_800_000_000_250 + n * 2000),
        }
    }

    pub(super) fn add(&self, info: SegmentInfo) {
        let audio = Bytes::from_static(&[1; 1000]);
        let source = Bytes::from(vec![2; 1_000_000]);
        self.stream.segment(info, Some(source), Some(audio));
    }

    pub(super) fn settle(&self, n: u64, rendition: &str, rendered: Rendered) -> bool {
        self.stream
            .rendition(Sequence(n), &name(rendition), rendered)
    }

    /// A segment in all renditions.
    pub(super) fn whole(&self, n: u64) {
        self.add(Self::info(n));
        for rendition in ["720p", "360p"] {
            let media = Rendered::Media(video_ts(900_000, 50));
            assert!(self.settle(n, rendition, media));
        }
    }

    /// Status and body of an address below the stream's.
    pub(super) fn get(&self, path: &str) -> (u16, String) {
        let request = Request::get(format!("/live/show/{path}")).body(()).unwrap();
        let response = http::handle(&self.origin, &request);
        let status = response.status().as_u16();
        let body = futures_util::FutureExt::now_or_never(response.into_body().collect());
        let body = body.unwrap().unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    pub(super) fn list(&self, rendition: &str) -> String {
        let (status, text) = self.get(&format!("{rendition}.m3u8"));
        assert_eq!(status, 200, "{rendition}");
        text
    }

    /// What is listed: the numbers, with `-` where they are gaps.
    fn listed(&self, rendition: &str) -> String {
        let (status, text) = self.get(&format!("{rendition}.m3u8"));
        if status != 200 {
            return status.to_string();
        }
        let mut out = Vec::new();
        let mut gap = "";
        for line in text.lines() {
            if line == "#EXT-X-GAP" {
                gap = "-";
            } else if !line.starts_with('#') {
                let number = line.rsplit('/').next().unwrap().trim_end_matches(".ts");
                out.push(format!("{gap}{number}"));
                gap = "";
            }
        }
        out.join(" ")
    }
}

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
         7/720p/0.ts\n\
         #EXT-X-DISCONTINUITY\n\
         #EXT-X-GAP\n\
         #EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:02.250Z\n\
         #EXTINF:2.002000,\n\
         7/720p/1.ts\n"
    );
    assert!(rig.list("source").contains("#EXT-X-VERSION:3\n"));
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
        CHANNELS=\"2\",URI=\"audio.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=5005000,AVERAGE-BANDWIDTH=4004000,\
        CODECS=\"avc1.4d4028,mp4a.40.2\",RESOLUTION=1920x1080,FRAME-RATE=29.970,AUDIO=\"audio\"\n\
        source.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=4405000,AVERAGE-BANDWIDTH=44000,\
        CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio\"\n\
        720p.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1305000,AVERAGE-BANDWIDTH=854000,\
        CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO=\"audio\"\n\
        360p.m3u8\n";
    assert_eq!(rig.get("master.m3u8").1, expected);

    let mut muxed = expected.replace(",AUDIO=\"audio\"", "");
    for rendition in ["source", "720p", "360p"] {
        muxed = muxed.replace(
            &format!("\n{rendition}.m3u8"),
            &format!("\nmuxed/{rendition}.m3u8"),
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
    let stream = origin.open(id(), Epoch(7), info);
    let rig = Rig { origin, stream };
    rig.stream
        .segment(Rig::info(0), None, Some(vec![1; 32_000].into()));
    assert_eq!(
        rig.get("master.m3u8").1,
        "#EXTM3U\n#EXT-X-VERSION:3\n\
         #EXT-X-STREAM-INF:BANDWIDTH=160000,AVERAGE-BANDWIDTH=130000,CODECS=\"mp4a.40.2\"\n\
         audio.m3u8\n"
    );
    assert_eq!(rig.listed("audio"), "0");
    assert_eq!(rig.listed("source"), "404");
    assert_eq!(rig.get("muxed/7/audio/0.ts").0, 200);
}

#[test]
fn a_rendition_lists_up_to_the_first_that_is_open() {
    let rig = Rig::new(Config::default());
    for n in 0..3 {
        rig.add(Rig::info(n));
    }
    assert!(rig.settle(1, "720p", Rendered::Media(video_ts(900_000, 50))));
    assert_eq!(rig.listed("source"), "0 1 2");
    assert_eq!(rig.listed("audio"), "0 1 2");
    assert_eq!(rig.listed("720p"), "404");
    assert_eq!(rig.get("7/720p/1.ts").0, 404, "not before it is listed");
    assert!(rig.settle(0, "720p", Rendered::Gap));
    assert_eq!(rig.listed("720p"), "-0 1");
    assert_eq!(rig.get("7/720p/1.ts").0, 200);
    assert!(
        !rig.settle(0, "720p", Rendered::Media(video_ts(900_000, 50))),
        "late"
    );
    assert_eq!(rig.get("7/720p/0.ts").0, 404, "a gap stays one");
    assert!(
        !rig.settle(1, "720p", Rendered::Gap),
        "and media stays media"
    );
    assert!(!rig.settle(1, "source", Rendered::Gap));
    assert!(!rig.settle(1, "144p", Rendered::Gap));
    assert!(!rig.settle(9, "720p", Rendered::Gap));
}

#[test]
fn what_is_not_independent_is_a_gap_but_in_the_source() {
    let rig = Rig::small();
    rig.whole(0);
    rig.add(SegmentInfo {
        independent: false,
        ..Rig::info(1)
    });
    assert_eq!(rig.listed("720p"), "0 -1");
    assert_eq!(rig.listed("source"), "0 1");
    assert!(!rig.list("source").contains("INDEPENDENT"));
    assert!(rig.list("720p").contains("INDEPENDENT"));
    assert!(rig.list("audio").contains("INDEPENDENT"));
}

#[test]
fn the_window_slides_for_all_alike() {
    let rig = Rig::small();
    for n in 0..5 {
        rig.add(SegmentInfo {
            discontinuity: n == 1,
            ..Rig::info(n)
        });
        assert!(rig.settle(n, "720p", Rendered::Gap));
        assert!(rig.settle(n, "360p", Rendered::Gap));
        if n == 3 {
            assert_eq!(rig.listed("source"), "1 2 3");
            assert_eq!(rig.get("7/source/0.ts").0, 200, "kept for slow players");
        }
    }
    assert_eq!(rig.listed("source"), "2 3 4");
    assert_eq!(rig.listed("720p"), "-2 -3 -4");
    assert_eq!(rig.get("7/source/0.ts").0, 404);
    assert_eq!(rig.get("7/source/1.ts").0, 200);
    for rendition in ["source", "audio", "720p"] {
        let text = rig.list(rendition);
        assert!(text.contains("MEDIA-SEQUENCE:2\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
    }
}

#[test]
fn the_window_waits_for_the_slowest_up_to_a_bound() {
    let rig = Rig::small();
    for n in 0..12 {
        rig.add(Rig::info(n));
        assert!(rig.settle(n, "720p", Rendered::Gap));
    }
    assert_eq!(rig.listed("source"), "0 1 2 3 4 5 6 7 8 9 10 11");
    assert_eq!(rig.listed("360p"), "404");
    rig.add(Rig::info(12));
    assert_eq!(rig.listed("source"), "1 2 3 4 5 6 7 8 9 10 11 12");
    let late = rig.settle(0, "360p", Rendered::Media(video_ts(900_000, 50)));
    assert!(!late, "what left the list unsettled is a gap");
    for n in 1..12 {
        assert!(rig.settle(n, "360p", Rendered::Gap));
    }
    assert_eq!(rig.listed("source"), "9 10 11 12");
    assert_eq!(rig.listed("360p"), "-9 -10 -11");
}

#[test]
fn short_segments_stay_until_three_target_durations_are_listed() {
    let rig = Rig::small();
    for n in 0..10 {
        rig.add(SegmentInfo {
            duration: Ticks(90_000),
            independent: false,
            ..Rig::info(n)
        });
    }
    assert_eq!(rig.listed("source"), "4 5 6 7 8 9");
}

#[test]
fn memory_has_a_bound() {
    let rig = Rig::new(Config {
        max_bytes_per_stream: 3_500_000,
        ..Config::default()
    });
    for n in 0..6 {
        rig.add(Rig::info(n));
        assert!(rig.origin.metrics.held.get() <= 3_500_000);
    }
    assert_eq!(rig.listed("source"), "3 4 5");
    assert_eq!(rig.get("7/source/2.ts").0, 404);
}

#[test]
fn a_stream_ends_when_everything_is_settled() {
    let rig = Rig::small();
    rig.whole(0);
    rig.add(Rig::info(1));
    rig.stream.end();
    assert!(rig.list("source").ends_with("#EXT-X-ENDLIST\n"));
    assert!(!rig.list("720p").contains("ENDLIST"));
    assert!(rig.settle(1, "720p", Rendered::Gap));
    assert!(rig.list("720p").ends_with("#EXT-X-ENDLIST\n"));
    rig.add(Rig::info(2));
    assert_eq!(rig.listed("source"), "0 1", "nothing follows an end");

    rig.origin.sweep(Instant::now() + Duration::from_secs(59));
    assert_eq!(rig.listed("source"), "0 1");
    rig.origin.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!(rig.listed("source"), "404");
    assert_eq!(rig.origin.metrics.held.get(), 0);
}

#[test]
fn a_producer_that_goes_away_leaves_the_playlists_open() {
    let rig = Rig::small();
    rig.whole(0);
    let Rig { origin, stream } = rig;
    drop(stream);
    let text = |origin: &Origin| {
        let stream = origin.find(&id())?;
        lock(&stream).page(&stream::Page::Media(name("source")))
    };
    let listed = text(&origin).unwrap();
    assert!(listed.body.ends_with(b"7/source/0.ts\n"));
    origin.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!(text(&origin), None);
}

#[test]
fn a_format_that_changes_shows_in_the_master_playlist() {
    let rig = Rig::small();
    rig.whole(0);
    let mut video = info().video.unwrap();
    (video.format.width, video.format.height) = (960, 720);
    let ladder = [spec("360p", 240, 180, 800_000), spec("new", 320, 240, 1)];
    rig.stream.describe(video, &ladder, Ratio::ONE);
    let (_, text) = rig.get("master.m3u8");
    for (shown, name) in [
        ("1280x720", "source"),
        ("960x720", "720p"),
        ("240x180", "360p"),
    ] {
        let line = text.lines().find(|l| l.contains(shown)).unwrap();
        assert!(text.contains(&format!("{line}\n{name}.m3u8\n")), "{text}");
    }
    assert!(!text.contains("new"));
}

#[test]
fn another_epoch_carries_the_playlists_on() {
    let mut rig = Rig::small();
    rig.whole(0);
    rig.add(Rig::info(1));
    let next = rig.origin.next_sequence(&id()).unwrap();
    assert_eq!(next, Sequence(2));
    let mut later = info();
    later.first_sequence = next;
    later.ladder.remove(0);
    later.ladder.push(spec("240p", 320, 240, 400_000));
    let before = std::mem::replace(&mut rig.stream, rig.origin.open(id(), Epoch(8), later));
    assert_eq!(rig.listed("360p"), "0 -1", "what was open is a gap");
    assert_eq!(rig.listed("720p"), "404", "no longer in the ladder");
    assert_eq!(rig.listed("240p"), "-0 -1");
    assert!(!before.rendition(Sequence(1), &name("360p"), Rendered::Gap));
    drop(before);

    rig.add(Rig::info(2));
    assert!(rig.settle(2, "360p", Rendered::Media(video_ts(900_000, 50))));
    let text = rig.list("360p");
    assert!(text.contains("7/360p/1.ts\n#EXT-X-DISCONTINUITY\n"));
    assert!(
        text.ends_with("8/360p/2.ts\n"),
        "and the epoch before did not end it"
    );
    assert_eq!(rig.get("7/360p/0.ts").0, 200);
    assert_eq!(rig.get("8/360p/2.ts").0, 200);
    assert_eq!(rig.get("8/360p/0.ts").0, 404);
    assert_eq!(rig.get("7/360p/2.ts").0, 404);
}

#[test]
fn a_hole_between_epochs_begins_the_list_anew() {
    let mut rig = Rig::small();
    rig.whole(0);
    let mut later = info();
    later.first_sequence = Sequence(100);
    rig.stream = rig.origin.open(id(), Epoch(8), later);
    rig.add(Rig::info(100));
    assert_eq!(rig.listed("source"), "100");
    assert!(rig.list("source").contains("\n#EXT-X-DISCONTINUITY\n"));
    assert_eq!(rig.get("7/source/0.ts").0, 200);
}

#[test]
fn segments_of_unlike_nodes_follow_one_another() {
    let rig = Rig::small();
    let mut stamps = Counters::default();
    for n in 0..3 {
        rig.whole(n);
        let slot = rig.origin.find(&id()).unwrap();
        let media = lock(&slot)
            .window
            .media(Epoch(7), &name("720p"), Sequence(n));
        let served = media.unwrap();
        let mut expected = video_ts(900_000, 50).to_vec();
        ts::restamp(&mut expected, &mut stamps).unwrap();
        assert_eq!(served, expected);
    }
}

#[test]
fn muxed_is_video_and_audio_in_one_the_same_each_time() {
    let rig = Rig::small();
    let config = info().audio.unwrap();
    let mut follows = Counters::default();
    for n in 0..2 {
        let start = 900_000 + n as i64 * 180_000;
        let frames = audio_frames(start, 94);
        let segment = Segment {
            sequence: Sequence(n),
            start: Timestamp(start),
            duration: Ticks(180_000),
            video: Vec::new(),
            audio: frames.clone(),
            video_config: None,
            audio_config: Some(Arc::clone(&config)),
            discontinuity: false,
            independent: true,
            target_duration: 2,
        };
        let (none, audio) = rig.stream.package(&segment);
        assert_eq!(none, None);
        rig.stream.segment(Rig::info(n), None, audio);
        for rendition in ["720p", "360p"] {
            assert!(rig.settle(n, rendition, Rendered::Media(video_ts(start, 50))));
        }
        let stream = rig.origin.find(&id()).unwrap();
        let muxed = || {
            lock(&stream)
                .window
                .muxed(Epoch(7), &name("720p"), Sequence(n))
        };
        let ts = muxed().unwrap();
        assert_eq!(ts, muxed().unwrap());

        let read = ts::read(&ts, Timestamp(start), &ts::Limits::default()).unwrap();
        assert!(!read.damage.any(), "{:?}", read.damage);
        assert_eq!((read.video.len(), read.audio.len()), (50, 94));
        assert_eq!(read.audio_config.unwrap().sample_rate, 48_000);
        let mut stamped = ts.to_vec();
        ts::restamp(&mut stamped, &mut follows).unwrap();
        assert_eq!(stamped, ts, "counters run on from segment to segment");
    }
}

#[test]
fn what_cannot_be_packaged_is_a_gap() {
    let rig = Rig::small();
    rig.add(Rig::info(0));
    assert!(rig.settle(
        0,
        "720p",
        Rendered::Media(Bytes::from_static(b"no packets"))
    ));
    assert_eq!(rig.listed("720p"), "-0");
}
