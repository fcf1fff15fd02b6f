//! What is served.

use super::*;

#[test]
fn segments_of_unlike_nodes_follow_one_another() {
    let rig = Rig::small();
    let mut stamps = Counters::default();
    for n in 0..3 {
        rig.whole(n);
        let slot = rig.origin.find(&id()).unwrap();
        let media = lock(&slot)
            .now()
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
            let stream = lock(&stream);
            let halves = stream
                .now()
                .window
                .halves(Epoch(7), &name("720p"), Sequence(n))?;
            (halves.mux)(&halves.video, &halves.audio?).ok()
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
fn muxed_segments_have_the_same_tables_with_sound_and_without() {
    let rig = Rig::small();
    rig.stream.segment(Rig::info(0), None, None);
    assert!(rig.settle(0, "720p", Rendered::Media(video_ts(900_000, 50))));
    let stream = rig.origin.find(&id()).unwrap();
    let (name, sequence) = (name("720p"), Sequence(0));
    let halves = lock(&stream).now().window.halves(Epoch(7), &name, sequence);
    let halves = halves.unwrap();
    let silent = (halves.mux)(&halves.video, &halves.audio.unwrap()).unwrap();
    let layout = Layout {
        video: true,
        audio: true,
    };
    let tables = Writer::new(layout).segment(&[], None);
    assert_eq!(silent[..tables.len()], tables[..]);
    let read = ts::read(&silent, Timestamp(900_000), &ts::Limits::default()).unwrap();
    assert!(!read.damage.any(), "{:?}", read.damage);
    assert_eq!((read.video.len(), read.audio.len()), (50, 0));
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
