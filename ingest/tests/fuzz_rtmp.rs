//! Fuzz targets of everything that reads what an RTMP peer sent. As plain tests they run a few
//! thousand inputs; `cargo bolero test -p rackcast-ingest NAME` searches on.
//!
//! Random bytes seldom get past a header, so an input is also taken as a list of changes to a
//! valid conversation: three bytes each, a place and a value.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "rtmp/support.rs"]
mod support;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rackcast_ingest::rtmp::Config;
use rackcast_ingest::rtmp::amf::{self, MAX_VALUES, Value};
use rackcast_ingest::rtmp::chunk::{Limits, Reader};
use rackcast_ingest::rtmp::media::{Media, Output};
use rackcast_ingest::rtmp::session::{Event, Session};
use rackcast_segment::media::MediaEvent;
use support::*;

/// `valid` with the changes that `script` says.
fn changed(valid: &[u8], script: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for change in script.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes
}

fn tags() -> Vec<u8> {
    let mut bytes = [video(0, avc_config(AVC_640X360)), audio(0, aac_config())].concat();
    for t in (0..400).step_by(40) {
        bytes.extend(video(t, avc_picture(t == 0, 40)));
        bytes.extend(audio(t, aac_frame()));
    }
    bytes
}

fn read_chunks(bytes: &[u8]) {
    let limits = Limits {
        chunk_size: 65536,
        message: 4096,
        chunk_streams: 8,
        half_open: 4,
        half_open_bytes: 8192,
    };
    let mut reader = Reader::new(limits);
    for piece in bytes.chunks(61) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(message)) => assert!(message.payload.len() <= limits.message),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

#[test]
fn fuzz_chunk_reader() {
    let valid = tags();
    bolero::check!().for_each(|input: &[u8]| {
        read_chunks(input);
        read_chunks(&changed(&valid, input));
    });
}

fn count(values: &[Value]) -> usize {
    let inner = |value: &Value| match value {
        Value::Array(items) => count(items),
        Value::Object(items) => items
            .iter()
            .map(|(_, v)| count(std::slice::from_ref(v)))
            .sum(),
        _ => 0,
    };
    values.iter().map(|v| 1 + inner(v)).sum()
}

#[test]
fn fuzz_amf() {
    let about = object(&[
        ("app", text("live")),
        (
            "list",
            Value::Array(vec![Value::Null, Value::Boolean(true)]),
        ),
        ("inner", object(&[("n", Value::Number(1.0))])),
    ]);
    let valid = command(0, &[text("connect"), Value::Number(1.0), about]).payload;
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input, &changed(&valid, input)] {
            let Ok(values) = amf::read(bytes) else {
                continue;
            };
            assert!(count(&values) <= MAX_VALUES);
            let mut written = BytesMut::new();
            values.iter().for_each(|v| amf::write(v, &mut written));
            // NaN is not equal to itself; its text is.
            let again = amf::read(&written).map(|v| format!("{v:?}"));
            assert_eq!(again, Ok(format!("{values:?}")));
        }
    });
}

/// What the stream layer relies on.
#[derive(Default)]
struct Promises {
    last_dts: Option<i64>,
    configured: (bool, bool),
}

impl Promises {
    fn check(&mut self, event: &MediaEvent) {
        match event {
            MediaEvent::VideoConfig(_) => self.configured.0 = true,
            MediaEvent::AudioConfig(_) => self.configured.1 = true,
            MediaEvent::Video(picture) => {
                assert!(self.configured.0);
                assert!(picture.dts.0 >= 0 && picture.pts >= picture.dts);
                assert!(self.last_dts.is_none_or(|last| last < picture.dts.0));
                self.last_dts = Some(picture.dts.0);
            }
            MediaEvent::Audio(frame) => {
                assert!(self.configured.1 && !frame.data.is_empty());
                assert!(frame.pts.0 >= 0);
            }
        }
    }
}

#[test]
fn fuzz_flv() {
    bolero::check!().for_each(|input: &[u8]| {
        let mut media = Media::new(4096, Duration::from_secs(30));
        let mut out = VecDeque::new();
        media.video(0, &avc_config(AVC_640X360), &mut out).unwrap();
        media.audio(0, &aac_config(), &mut out).unwrap();
        let mut promises = Promises::default();
        // Tags of random length and time; every other one begins as a valid one does.
        for (n, tag) in input.chunks(24).enumerate() {
            let time = tag.first_chunk().map_or(7, |t| u32::from_be_bytes(*t));
            let lead: &[u8] = [&[0x27, 1, 0, 0, 0, 0, 0, 0][..], &[0xaf, 1], &[], &[]][n % 4];
            let tag = Bytes::from([lead, tag].concat());
            let _ = media.video(time, &tag, &mut out);
            let _ = media.audio(time, &tag, &mut out);
            for output in out.drain(..) {
                if let Output::Media(event) = output {
                    promises.check(&event);
                }
            }
        }
    });
}

fn converse(bytes: &[u8]) {
    let mut session = Session::new(&Config::default(), 1);
    let mut promises = Promises::default();
    for piece in bytes.chunks(997) {
        if session.push(piece).is_err() {
            return;
        }
        loop {
            match session.next() {
                Ok(Some(Event::Publish(_))) => session.accept(),
                Ok(Some(Event::Media(event))) => promises.check(&event),
                Ok(Some(Event::Finished)) => promises = Promises::default(),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(session.output().len() < 1024 * 1024);
        session.output().clear();
    }
}

#[test]
fn fuzz_session() {
    let talk = [
        connect("live"),
        create_stream(),
        publish("show"),
        tags(),
        delete_stream(),
    ];
    let talk = talk.concat();
    bolero::check!().for_each(|input: &[u8]| {
        converse(&[client_handshake(), changed(&talk, input)].concat());
        converse(&[client_handshake(), input.to_vec()].concat());
        converse(input);
    });
}
