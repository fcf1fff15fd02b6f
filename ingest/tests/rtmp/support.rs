//! A publisher made of bytes.
#![allow(dead_code)]

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use rackcast_ingest::rtmp::Config;
use rackcast_ingest::rtmp::amf::{self, Value};
use rackcast_ingest::rtmp::chunk::{Limits, Message, Reader, Writer, kind};
use rackcast_ingest::rtmp::handshake::BLOB;
use rackcast_ingest::rtmp::session::{Event, Session, SessionError};

/// `AVCDecoderConfigurationRecord` of x264 at 640x360.
pub(crate) const AVC_640X360: &str = "0142c01effe100196742c01eda0280bfe5c044000003000400000300c8\
                                      3c58ba8001000468ce0fc8";
/// `AVCDecoderConfigurationRecord` of x264 at 320x180.
pub(crate) const AVC_320X180: &str = "0142c00cffe100176742c00cda05067e7c0440000003004000000c83c\
                                      50aa801000468ce0fc8";
/// AAC-LC, 44100 samples a second, stereo.
pub(crate) const ASC: [u8; 2] = [0x12, 0x10];

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

pub(crate) fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 4321))
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(crate) fn object(properties: &[(&str, Value)]) -> Value {
    let owned = properties.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
    Value::Object(owned.collect())
}

pub(crate) fn command(stream: u32, values: &[Value]) -> Message {
    let mut payload = BytesMut::new();
    for value in values {
        amf::write(value, &mut payload);
    }
    message(kind::COMMAND_AMF0, stream, 0, payload.freeze())
}

pub(crate) fn message(kind: u8, stream: u32, timestamp: u32, payload: impl Into<Bytes>) -> Message {
    Message {
        kind,
        stream,
        timestamp,
        payload: payload.into(),
    }
}

/// Chunks of the initial size on one chunk stream.
pub(crate) fn chunks(id: u8, message: &Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    Writer::default().message(id, message, &mut out);
    out.to_vec()
}

pub(crate) fn client_handshake() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.resize(1 + 2 * BLOB, 0x55);
    bytes
}

pub(crate) fn connect(app: &str) -> Vec<u8> {
    let about = object(&[("app", text(app)), ("flashVer", text("FMLE/3.0"))]);
    chunks(
        3,
        &command(0, &[text("connect"), Value::Number(1.0), about]),
    )
}

pub(crate) fn create_stream() -> Vec<u8> {
    let values = [text("createStream"), Value::Number(4.0), Value::Null];
    chunks(3, &command(0, &values))
}

pub(crate) fn publish(name: &str) -> Vec<u8> {
    let start = [
        text("publish"),
        Value::Number(5.0),
        Value::Null,
        text(name),
        text("live"),
    ];
    chunks(4, &command(1, &start))
}

pub(crate) fn delete_stream() -> Vec<u8> {
    let values = [
        text("deleteStream"),
        Value::Number(6.0),
        Value::Null,
        Value::Number(1.0),
    ];
    chunks(3, &command(0, &values))
}

pub(crate) fn avc_config(record: &str) -> Bytes {
    [vec![0x17, 0, 0, 0, 0], hex(record)].concat().into()
}

/// A picture of one slice.
pub(crate) fn avc_picture(idr: bool, composition: i32) -> Bytes {
    let nal = if idr {
        [0x65, 0x88, 0x84, 0x21]
    } else {
        [0x41, 0x9a, 0x24, 0x6c]
    };
    avc_units(idr, composition, &[&nal])
}

pub(crate) fn avc_units(idr: bool, composition: i32, nals: &[&[u8]]) -> Bytes {
    let mut tag = vec![if idr { 0x17 } else { 0x27 }, 1];
    tag.extend_from_slice(&composition.to_be_bytes()[1..]);
    for nal in nals {
        tag.extend_from_slice(&u32::try_from(nal.len()).unwrap().to_be_bytes());
        tag.extend_from_slice(nal);
    }
    tag.into()
}

pub(crate) fn aac_config() -> Bytes {
    [&[0xaf, 0][..], &ASC[..]].concat().into()
}

pub(crate) fn aac_frame() -> Bytes {
    Bytes::from_static(&[0xaf, 1, 0x21, 0x10, 0x04])
}

pub(crate) fn video(timestamp: u32, tag: impl Into<Bytes>) -> Vec<u8> {
    chunks(6, &message(kind::VIDEO, 1, timestamp, tag))
}

pub(crate) fn audio(timestamp: u32, tag: impl Into<Bytes>) -> Vec<u8> {
    chunks(7, &message(kind::AUDIO, 1, timestamp, tag))
}

/// Reads what a server says after its handshake.
pub(crate) struct Answers {
    skip: usize,
    reader: Reader,
}

impl Default for Answers {
    fn default() -> Self {
        let limits = Limits {
            chunk_size: 65536,
            message: 65536,
            chunk_streams: 8,
            half_open: 8,
            half_open_bytes: 65536,
        };
        Self {
            skip: 1 + 2 * BLOB,
            reader: Reader::new(limits),
        }
    }
}

impl Answers {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.reader.push(&bytes[skipped..]);
        std::iter::from_fn(|| self.reader.next().unwrap()).collect()
    }
}

/// Name, and code with description where the command carries a status.
pub(crate) fn read_command(message: &Message) -> Option<(String, Option<(String, String)>)> {
    if message.kind != kind::COMMAND_AMF0 {
        return None;
    }
    let values = amf::read(&message.payload).unwrap();
    let status = values.get(3).and_then(|info| {
        let field = |key| Some(info.get(key)?.as_str()?.to_owned());
        Some((field("code")?, field("description")?))
    });
    Some((values[0].as_str()?.to_owned(), status))
}

/// A session and its publisher.
pub(crate) struct Pair {
    pub(crate) session: Session,
    answers: Answers,
    pub(crate) said: Vec<Message>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        Self {
            session: Session::new(config, 1),
            answers: Answers::default(),
            said: Vec::new(),
        }
    }

    /// After the handshake.
    pub(crate) fn shaken() -> Self {
        let mut pair = Self::new();
        assert_eq!(pair.push(&client_handshake()).unwrap(), [Event::Handshaken]);
        pair
    }

    /// After `connect` and `createStream`.
    pub(crate) fn connected() -> Self {
        let mut pair = Self::shaken();
        pair.push(&connect("live")).unwrap();
        pair.push(&create_stream()).unwrap();
        pair
    }

    /// After a publish that was granted.
    pub(crate) fn publishing() -> Self {
        let mut pair = Self::connected();
        let events = pair.push(&publish("show")).unwrap();
        assert!(matches!(&events[..], [Event::Publish(_)]), "{events:?}");
        pair.session.accept();
        pair.listen();
        assert!(pair.was_told("NetStream.Publish.Start"));
        pair
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, SessionError> {
        let mut events = Vec::new();
        let mut result = self.session.push(bytes);
        while result.is_ok() {
            match self.session.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => result = Err(error),
            }
        }
        self.listen();
        result.map(|()| events)
    }

    pub(crate) fn listen(&mut self) {
        let out = self.session.output().split();
        self.said.extend(self.answers.push(&out));
    }

    /// The description of the status with this code, if it was said.
    pub(crate) fn told(&self, code: &str) -> Option<String> {
        let statuses = self.said.iter().filter_map(|m| read_command(m)?.1);
        statuses
            .filter(|(c, _)| c == code)
            .map(|(_, description)| description)
            .last()
    }

    pub(crate) fn was_told(&self, code: &str) -> bool {
        self.told(code).is_some()
    }
}
