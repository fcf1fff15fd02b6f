//! Several tags in one message.

use bytes::Bytes;
use rackcast_ingest::rtmp::chunk::kind;
use rackcast_ingest::rtmp::media::Notice;
use rackcast_ingest::rtmp::session::Event;
use rackcast_segment::media::MediaEvent;

use crate::support::{
    AVC_640X360, Pair, aac_config, aac_frame, avc_config, avc_picture, chunks, message,
};

fn tag(kind: u8, time: u32, body: &Bytes) -> Vec<u8> {
    let [_, size @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    let [high, time @ ..] = time.to_be_bytes();
    let behind = u32::try_from(body.len() + 11).unwrap().to_be_bytes();
    let header = [&[kind][..], &size, &time, &[high, 0, 0, 0]].concat();
    [&header[..], body, &behind].concat()
}

fn aggregate(timestamp: u32, payload: Vec<u8>) -> Vec<u8> {
    chunks(4, &message(kind::AGGREGATE, 1, timestamp, payload))
}

fn times(events: &[Event]) -> Vec<i64> {
    let at = |event: &Event| match event {
        Event::Media(MediaEvent::Video(picture)) => Some(picture.dts.0 / 90),
        Event::Media(MediaEvent::Audio(frame)) => Some(frame.pts.0 / 90),
        _ => None,
    };
    events.iter().filter_map(at).collect()
}

#[test]
fn tags_come_out_at_their_times() {
    let mut pair = Pair::publishing();
    // Their own clock does not matter, only how far they lie apart.
    let far = 0xffff_fff0u32;
    let parts = [
        tag(kind::VIDEO, far, &avc_config(AVC_640X360)),
        tag(kind::AUDIO, far, &aac_config()),
        tag(kind::VIDEO, far, &avc_picture(true, 0)),
        tag(kind::AUDIO, far.wrapping_add(20), &aac_frame()),
        tag(kind::VIDEO, far.wrapping_add(40), &avc_picture(false, 0)),
    ];
    let events = pair.push(&aggregate(1000, parts.concat())).unwrap();
    assert_eq!(times(&events), [10_000, 10_020, 10_040]);
    // Without the last back pointer.
    let mut more = tag(kind::VIDEO, 7, &avc_picture(false, 0));
    more.truncate(more.len() - 4);
    let events = pair.push(&aggregate(1080, more)).unwrap();
    assert_eq!(times(&events), [10_080]);
}

#[test]
fn what_is_no_tag_is_dropped_and_the_publication_goes_on() {
    let mut pair = Pair::publishing();
    let good = tag(kind::VIDEO, 0, &avc_config(AVC_640X360));
    let command = tag(kind::COMMAND_AMF0, 0, &Bytes::from_static(&[2, 0, 1, b'x']));
    let inner = tag(kind::AGGREGATE, 0, &good.clone().into());
    let mut cut = tag(kind::AUDIO, 0, &aac_config());
    cut.truncate(12);
    let parts = [&good[..], &command, &inner, &cut].concat();
    let events = pair.push(&aggregate(0, parts)).unwrap();
    let is_notice = |e: &Event| matches!(e, Event::Notice(Notice::Malformed(_)));
    assert!(matches!(
        &events[..],
        [Event::Media(MediaEvent::VideoConfig(_)), last] if is_notice(last)
    ));
    let many = tag(kind::AUDIO, 0, &Bytes::new()).repeat(5000);
    let events = pair.push(&aggregate(0, many)).unwrap();
    assert!(matches!(&events[..], [only] if is_notice(only)));
    assert_eq!(pair.push(&aggregate(0, Vec::new())).unwrap(), []);
}
