//! What the server says: responses to commands and the status of streams.

use bytes::{Bytes, BytesMut};

use super::amf::{self, Value};
use super::chunk::{Message, Writer, kind};

/// After how many bytes each side acknowledges.
const WINDOW: u32 = 2_500_000;
/// The chunk size that the server uses, in bytes: most of what it says fits into one chunk.
const CHUNK_SIZE: u16 = 4096;
/// Chunk stream of protocol control.
const CONTROL: u8 = 2;
/// Chunk stream of commands.
const COMMAND: u8 = 3;
/// The most of a description that is sent, in bytes.
const MAX_DESCRIPTION: usize = 1024;

/// The server's half of a connection: bytes that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Replies {
    writer: Writer,
    pub(super) out: BytesMut,
}

/// How a status reads: its code, and whether it is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    PublishStart,
    Unpublished,
    /// A publisher is refused.
    BadName,
    /// A publisher that was let in is sent away.
    Failed,
    PlayFailed,
}

impl Status {
    fn code(self) -> &'static str {
        match self {
            Self::PublishStart => "NetStream.Publish.Start",
            Self::Unpublished => "NetStream.Unpublish.Success",
            Self::BadName => "NetStream.Publish.BadName",
            Self::Failed => "NetStream.Failed",
            Self::PlayFailed => "NetStream.Play.Failed",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Self::PublishStart | Self::Unpublished => "status",
            Self::BadName | Self::Failed | Self::PlayFailed => "error",
        }
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn info(level: &str, code: &str, description: &str) -> Vec<(String, Value)> {
    let end = description.floor_char_boundary(MAX_DESCRIPTION);
    let description = description.get(..end).unwrap_or_default();
    vec![
        ("level".to_owned(), text(level)),
        ("code".to_owned(), text(code)),
        ("description".to_owned(), text(description)),
    ]
}

impl Replies {
    fn send(&mut self, id: u8, kind: u8, stream: u32, payload: impl Into<Bytes>) {
        let message = Message {
            kind,
            stream,
            timestamp: 0,
            payload: payload.into(),
        };
        self.writer.message(id, &message, &mut self.out);
    }

    fn control(&mut self, kind: u8, payload: &[u8]) {
        self.send(CONTROL, kind, 0, payload.to_vec());
    }

    fn command(&mut self, stream: u32, values: &[Value]) {
        let mut payload = BytesMut::new();
        for value in values {
            amf::write(value, &mut payload);
        }
        self.send(COMMAND, kind::COMMAND_AMF0, stream, payload);
    }

    /// What precedes the answer to `connect`.
    pub(super) fn greet(&mut self) {
        let window = WINDOW.to_be_bytes();
        self.control(kind::WINDOW_ACKNOWLEDGEMENT_SIZE, &window);
        let [a, b, c, d] = window;
        const DYNAMIC: u8 = 2;
        self.control(kind::SET_PEER_BANDWIDTH, &[a, b, c, d, DYNAMIC]);
        self.writer.set_chunk_size(CHUNK_SIZE, &mut self.out);
    }

    pub(super) fn connected(&mut self, transaction: f64) {
        let properties = Value::Object(vec![
            ("fmsVer".to_owned(), text("FMS/3,5,7,7009")),
            ("capabilities".to_owned(), Value::Number(31.0)),
        ]);
        let mut info = info(
            "status",
            "NetConnection.Connect.Success",
            "Connection succeeded.",
        );
        info.push(("objectEncoding".to_owned(), Value::Number(0.0)));
        self.answer("_result", transaction, properties, Value::Object(info));
    }

    pub(super) fn rejected(&mut self, transaction: f64, why: &str) {
        let info = info("error", "NetConnection.Connect.Rejected", why);
        self.answer("_error", transaction, Value::Null, Value::Object(info));
    }

    /// The response to a command. Transaction 0 asks for none.
    pub(super) fn result(&mut self, transaction: f64, value: Value) {
        if transaction != 0.0 {
            self.answer("_result", transaction, Value::Null, value);
        }
    }

    fn answer(&mut self, name: &str, transaction: f64, first: Value, second: Value) {
        self.command(0, &[text(name), Value::Number(transaction), first, second]);
    }

    pub(super) fn status(&mut self, stream: u32, status: Status, description: &str) {
        let info = info(status.level(), status.code(), description);
        let values = [
            text("onStatus"),
            Value::Number(0.0),
            Value::Null,
            Value::Object(info),
        ];
        self.command(stream, &values);
    }

    /// The older form of a status, which some publishers wait for.
    pub(super) fn fc_publish(&mut self, stream: u32) {
        let info = info("status", Status::PublishStart.code(), "Go ahead.");
        let values = [
            text("onFCPublish"),
            Value::Number(0.0),
            Value::Null,
            Value::Object(info),
        ];
        self.command(stream, &values);
    }

    pub(super) fn stream_begin(&mut self, stream: u32) {
        let [a, b, c, d] = stream.to_be_bytes();
        self.control(kind::USER_CONTROL, &[0, 0, a, b, c, d]);
    }

    pub(super) fn pong(&mut self, echo: [u8; 4]) {
        let [a, b, c, d] = echo;
        self.control(kind::USER_CONTROL, &[0, 7, a, b, c, d]);
    }

    pub(super) fn acknowledge(&mut self, received: u32) {
        self.control(kind::ACKNOWLEDGEMENT, &received.to_be_bytes());
    }
}
