use bytes::Bytes;
use rackcast_segment::media::{
    AccessUnit, AudioConfig, AudioFrame, MediaEvent, VideoConfig, VideoFormat,
};
use rackcast_segment::shape::{Colour, Ratio};
use rackcast_segment::time::Timestamp;

use super::wire::Message;

fn format() -> VideoFormat {
    VideoFormat {
        width: 320,
        height: 180,
        profile_idc: 100,
        constraints: 0,
        level_idc: 31,
        frame_rate: None,
        sample_aspect: Ratio::ONE,
        colour: Colour::default(),
        interlaced: false,
        samples: Default::default(),
        codec: Default::default(),
    }
}

#[test]
fn every_event_arrives_as_it_was_sent() {
    let data = Bytes::from_static(b"0123456789");
    let events = [
        MediaEvent::VideoConfig(VideoConfig {
            sps: data.slice(..4),
            format: format(),
        }),
        MediaEvent::AudioConfig(AudioConfig {
            asc: data.slice(..2),
            object_type: 2,
            sample_rate: 48_000,
            channels: 2,
        }),
        MediaEvent::Video(AccessUnit {
            pts: Timestamp(7_200),
            dts: Timestamp(3_600),
            idr: true,
            data: data.clone(),
        }),
        MediaEvent::Audio(AudioFrame {
            pts: Timestamp(-1),
            data,
        }),
    ];
    for event in events {
        let (message, payload) = Message::of(event.clone());
        let header = serde_json::to_vec(&message).unwrap();
        let message: Message = serde_json::from_slice(&header).unwrap();
        assert_eq!(message.event(payload), Some(event));
    }
    assert_eq!(Message::Finish.event(Bytes::new()), None);
}

#[test]
fn a_length_that_is_not_there_cuts_nothing() {
    let (format, sps) = (format(), usize::MAX);
    let message = Message::VideoConfig { format, sps };
    let Some(MediaEvent::VideoConfig(config)) = message.event(Bytes::from_static(b"ab")) else {
        panic!("it is a configuration");
    };
    assert_eq!(config.sps.as_ref(), b"ab");
}
