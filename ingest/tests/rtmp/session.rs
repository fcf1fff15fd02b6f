//! The conversation with a publisher, without I/O.

use rackcast_ingest::rtmp::Config;
use rackcast_ingest::rtmp::amf::Value;
use rackcast_ingest::rtmp::chunk::{ChunkError, kind};
use rackcast_ingest::rtmp::handshake::{BLOB, HandshakeError};
use rackcast_ingest::rtmp::session::{Event, SessionError};
use rackcast_segment::media::MediaEvent;

use crate::support::*;

#[test]
fn the_handshake_answers_whatever_the_cut() {
    for step in [1, 700, BLOB, 5000] {
        let mut pair = Pair::new();
        let mut events = Vec::new();
        let bytes = [client_handshake(), connect("live")].concat();
        for piece in bytes.chunks(step) {
            events.extend(pair.push(piece).unwrap());
        }
        assert_eq!(events, [Event::Handshaken]);
        assert!(
            pair.was_told("NetConnection.Connect.Success"),
            "cut every {step} bytes"
        );
    }
}

#[test]
fn s2_echoes_c1() {
    let mut pair = Pair::new();
    let c1: Vec<u8> = (0..BLOB).map(|i| i as u8).collect();
    pair.session.push(&[&[3], &c1[..]].concat()).unwrap();
    let out = pair.session.output().split();
    assert_eq!((out.len(), out[0]), (1 + 2 * BLOB, 3));
    assert_eq!(out[1..9], [0; 8], "time and version are zero");
    assert_eq!(out[1 + BLOB..], c1);
}

#[test]
fn a_wrong_version_ends_the_handshake() {
    for first in [0, 6, b'G', 0xff] {
        let error = Pair::new().push(&[first]).unwrap_err();
        assert_eq!(
            error,
            SessionError::Handshake(HandshakeError::Version(first))
        );
    }
}

#[test]
fn a_publisher_is_heard_and_may_publish_again() {
    let mut pair = Pair::publishing();
    let bytes = [
        video(0, avc_config(AVC_640X360)),
        audio(0, aac_config()),
        video(0, avc_picture(true, 0)),
        audio(0, aac_frame()),
    ];
    let events = pair.push(&bytes.concat()).unwrap();
    assert!(matches!(
        &events[..],
        [
            Event::Media(MediaEvent::VideoConfig(_)),
            Event::Media(MediaEvent::AudioConfig(_)),
            Event::Media(MediaEvent::Video(_)),
            Event::Media(MediaEvent::Audio(_)),
        ]
    ));
    assert_eq!(pair.push(&delete_stream()).unwrap(), [Event::Finished]);
    assert!(pair.was_told("NetStream.Unpublish.Success"));
    let late = pair.push(&video(40, avc_picture(false, 0))).unwrap();
    assert_eq!(late, [], "a sample that was still under way");
    let again = pair.push(&publish("other")).unwrap();
    assert!(matches!(&again[..], [Event::Publish(_)]));
}

#[test]
fn a_stream_ends_once() {
    let mut pair = Pair::publishing();
    let unpublish = [
        text("FCUnpublish"),
        Value::Number(5.0),
        Value::Null,
        text("show"),
    ];
    let unpublish = chunks(3, &command(0, &unpublish));
    let events = pair.push(&[unpublish, delete_stream()].concat()).unwrap();
    assert_eq!(events, [Event::Finished]);
}

#[test]
fn nothing_comes_out_while_a_publish_is_unanswered() {
    let mut pair = Pair::connected();
    let early = [publish("show?key=k"), video(0, avc_config(AVC_640X360))].concat();
    let events = pair.push(&early).unwrap();
    let [Event::Publish(asked)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (asked.app.as_str(), asked.name_and_query.as_str()),
        ("live", "show?key=k")
    );
    assert!(
        !format!("{events:?}").contains("key=k"),
        "keys are not printed"
    );
    pair.session.accept();
    let events = pair.push(&[]).unwrap();
    assert!(matches!(
        &events[..],
        [Event::Media(MediaEvent::VideoConfig(_))]
    ));
}

#[test]
fn a_refused_publisher_is_told_why() {
    let mut pair = Pair::connected();
    pair.push(&publish("show")).unwrap();
    pair.session.refuse("no such stream key");
    pair.listen();
    assert_eq!(
        pair.told("NetStream.Publish.BadName").as_deref(),
        Some("no such stream key")
    );
}

#[test]
fn an_unsupported_codec_is_named_to_the_publisher() {
    let mut pair = Pair::publishing();
    let hevc = video(0, vec![0x90, b'h', b'v', b'c', b'1', 0]);
    let error = pair.push(&hevc).unwrap_err();
    assert_eq!(error.kind(), "codec");
    assert!(
        pair.told("NetStream.Failed")
            .unwrap()
            .contains("HEVC (H.265) video")
    );
}

#[test]
fn players_are_told_to_go_elsewhere() {
    let mut pair = Pair::connected();
    let play = [text("play"), Value::Number(0.0), Value::Null, text("show")];
    let error = pair.push(&chunks(8, &command(1, &play))).unwrap_err();
    assert_eq!(error, SessionError::Play);
    assert!(pair.told("NetStream.Play.Failed").unwrap().contains("HLS"));
}

#[test]
fn apps_that_could_become_paths_are_rejected() {
    for app in ["", "..", "a/b", "a%2fb", "a\0", &"x".repeat(500)] {
        let mut pair = Pair::shaken();
        assert!(
            matches!(pair.push(&connect(app)), Err(SessionError::App(_))),
            "{app:?}"
        );
        assert!(pair.was_told("NetConnection.Connect.Rejected"));
    }
    Pair::shaken().push(&connect("/live/")).unwrap();
}

#[test]
fn names_that_are_not_utf8_arrive_as_bad_names() {
    let mut pair = Pair::connected();
    let mut bytes = publish("showX");
    let at = bytes.iter().position(|b| *b == b'X').unwrap();
    bytes[at] = 0xff;
    let events = pair.push(&bytes).unwrap();
    let [Event::Publish(asked)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(asked.name_and_query, "show\u{fffd}");
    assert!(
        asked
            .name_and_query
            .parse::<rackcast_segment::id::StreamName>()
            .is_err()
    );
}

#[test]
fn commands_out_of_turn_are_errors() {
    let refused = |bytes: &[u8], mut pair: Pair| pair.push(bytes).unwrap_err().kind();
    assert_eq!(refused(&create_stream(), Pair::shaken()), "command");
    assert_eq!(refused(&connect("live"), Pair::connected()), "command");
    let mut without_stream = Pair::shaken();
    without_stream.push(&connect("live")).unwrap();
    assert_eq!(refused(&publish("show"), without_stream), "command");
    assert_eq!(refused(&publish("second"), Pair::publishing()), "command");
    assert_eq!(
        refused(&create_stream().repeat(20), Pair::connected()),
        "command"
    );
    let unnamed = chunks(3, &command(0, &[Value::Number(1.0)]));
    assert_eq!(refused(&unnamed, Pair::shaken()), "command");
    let long = chunks(3, &command(0, &[text("x"), text(&"y".repeat(20_000))]));
    assert_eq!(refused(&long, Pair::connected()), "command");
}

#[test]
fn a_command_that_is_not_amf_ends_the_connection() {
    let mut pair = Pair::connected();
    let deep = [10, 0, 0, 0, 1].repeat(1000);
    let bytes = chunks(3, &message(kind::COMMAND_AMF0, 0, 0, deep));
    assert_eq!(pair.push(&bytes).unwrap_err().kind(), "amf");
}

#[test]
fn metadata_names_the_encoder_and_may_be_nonsense() {
    let mut pair = Pair::publishing();
    let bad = chunks(4, &message(kind::DATA_AMF0, 1, 0, vec![2, 0xff, 0xff]));
    assert!(matches!(pair.push(&bad).unwrap()[..], [Event::Notice(_)]));
    let about = object(&[
        ("encoder", text("obs-output module")),
        ("width", Value::Number(640.0)),
    ]);
    let mut data = command(1, &[text("@setDataFrame"), text("onMetaData"), about]);
    data.kind = kind::DATA_AMF0;
    let events = pair.push(&chunks(4, &data)).unwrap();
    assert_eq!(events, [Event::Encoder("obs-output module".to_owned())]);
    assert_eq!(pair.push(&chunks(4, &data)).unwrap(), [], "once is enough");
    let events = pair.push(&video(0, avc_config(AVC_640X360))).unwrap();
    assert_eq!(events.len(), 1, "the publication goes on");
}

#[test]
fn commands_in_amf3_form_are_understood() {
    let mut pair = Pair::shaken();
    pair.push(&connect("live")).unwrap();
    let mut create = command(0, &[text("createStream"), Value::Number(2.0), Value::Null]);
    create.kind = kind::COMMAND_AMF3;
    create.payload = [&[0], &create.payload[..]].concat().into();
    pair.push(&chunks(3, &create)).unwrap();
    let events = pair.push(&publish("show")).unwrap();
    assert!(matches!(&events[..], [Event::Publish(_)]));
}

#[test]
fn a_stranger_may_send_less_than_a_publisher() {
    let config = Config::default();
    let large = config.max_early_message + 1;
    let picture = [
        &avc_picture(true, 0)[..5],
        &(large as u32).to_be_bytes(),
        &vec![0x65; large],
    ];
    let bytes = video(0, picture.concat());
    let error = Pair::connected().push(&bytes).unwrap_err();
    let message = ChunkError::MessageTooLong {
        length: large + 9,
        limit: large - 1,
    };
    assert_eq!(error, SessionError::Chunk(message));
    let mut publisher = Pair::publishing();
    publisher.push(&video(0, avc_config(AVC_640X360))).unwrap();
    assert_eq!(publisher.push(&bytes).unwrap().len(), 1);
}

#[test]
fn received_bytes_are_acknowledged() {
    let mut pair = Pair::publishing();
    let window = 5_000u32.to_be_bytes().to_vec();
    let set = chunks(2, &message(kind::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, window));
    pair.push(&set).unwrap();
    let before = pair.said.len();
    let mut sent = 0;
    while sent < 20_000 {
        let frame = audio(0, aac_frame());
        sent += frame.len();
        pair.push(&frame).unwrap();
    }
    let acknowledged = &pair.said[before..];
    assert!(
        (3..=5).contains(&acknowledged.len()),
        "{}",
        acknowledged.len()
    );
    assert!(acknowledged.iter().all(|m| m.kind == kind::ACKNOWLEDGEMENT));
}

#[test]
fn pings_are_answered() {
    let mut pair = Pair::shaken();
    let ping = chunks(
        2,
        &message(kind::USER_CONTROL, 0, 0, vec![0, 6, 1, 2, 3, 4]),
    );
    pair.push(&ping).unwrap();
    assert_eq!(pair.said[0].payload, &[0, 7, 1, 2, 3, 4][..]);
}
