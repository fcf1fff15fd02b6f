//! The conversation with one publisher, without I/O.
//!
//! Bytes go in by [`push`](Session::push), events come out of [`next`](Session::next), and
//! what the peer is due collects in [`output`](Session::output). A publish is an
//! event that the caller answers with [`accept`](Session::accept) or
//! [`refuse`](Session::refuse); until then nothing more comes out, and what the peer sends
//! meanwhile waits in the connection. Only publishers are served: a player is told where it
//! is wrong.

mod command;
mod event;

pub use event::{Asked, Event, SessionError};

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use rackcast_segment::id::AppName;

use super::Config;
use super::aggregate;
use super::amf;
use super::chunk::{Message, Reader, kind};
use super::handshake::Handshake;
use super::media::{Media, Notice, Output};
use super::reply::{Replies, Status};

/// The largest command, in bytes.
const MAX_COMMAND: usize = 16 * 1024;

#[derive(Debug)]
enum Stage {
    Handshake(Handshake, BytesMut),
    Chunks,
}

#[derive(Debug)]
enum Publish {
    No,
    Asked(u32),
    Yes(u32, Box<Media>),
}

/// The server's side of one connection.
#[derive(Debug)]
pub struct Session {
    config: Config,
    stage: Stage,
    reader: Reader,
    replies: Replies,
    app: Option<AppName>,
    streams: u32,
    publish: Publish,
    /// The encoder's name is known; once is enough.
    encoder: bool,
    events: VecDeque<Event>,
    received: u64,
    acknowledged: u64,
    window: Option<u64>,
}

impl Session {
    /// At the start of a connection. `random` is filler for the handshake.
    pub fn new(config: &Config, random: u64) -> Self {
        Self {
            config: config.clone(),
            stage: Stage::Handshake(Handshake::new(random), BytesMut::new()),
            reader: Reader::new(config.early_limits()),
            replies: Replies::default(),
            app: None,
            streams: 0,
            publish: Publish::No,
            encoder: false,
            events: VecDeque::new(),
            received: 0,
            acknowledged: 0,
            window: None,
        }
    }

    /// Adds what was read from the connection.
    ///
    /// # Errors
    /// [`SessionError::Handshake`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(count);
        match &mut self.stage {
            Stage::Chunks => self.reader.push(bytes),
            Stage::Handshake(handshake, input) => {
                input.extend_from_slice(bytes);
                if handshake.advance(input, &mut self.replies.out)? {
                    self.reader.push(input);
                    self.stage = Stage::Chunks;
                    self.events.push_back(Event::Handshaken);
                }
            }
        }
        let due = self.received.saturating_sub(self.acknowledged);
        if self.window.is_some_and(|window| due >= window) {
            self.acknowledged = self.received;
            // The count wraps, as the specification says.
            let count = self.received & u64::from(u32::MAX);
            self.replies
                .acknowledge(u32::try_from(count).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// What is to be sent to the peer; the caller takes it away.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.replies.out
    }

    /// The next event; `None` until more bytes have come, or while a publish is unanswered.
    ///
    /// # Errors
    /// [`SessionError`]; the session is of no use afterwards, but its output should be sent.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event>, SessionError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if matches!(self.publish, Publish::Asked(_)) {
                return Ok(None);
            }
            let message = match self.reader.next() {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.failed(error.into())),
            };
            if let Err(error) = self.message(&message) {
                return Err(self.failed(error));
            }
        }
    }

    /// Lets the publisher in.
    pub fn accept(&mut self) {
        if let Publish::Asked(stream) = self.publish {
            self.reader.set_limits(self.config.limits());
            self.replies.stream_begin(stream);
            self.replies.fc_publish(stream);
            self.replies
                .status(stream, Status::PublishStart, "Go ahead.");
            let media = Media::new(self.config.max_message, self.config.max_gap);
            self.publish = Publish::Yes(stream, Box::new(media));
        }
    }

    /// Tells the publisher why it is not let in, or must go.
    pub fn refuse(&mut self, why: &str) {
        let (stream, status) = match self.publish {
            Publish::No => return,
            Publish::Asked(stream) => (stream, Status::BadName),
            Publish::Yes(stream, _) => (stream, Status::Failed),
        };
        self.replies.status(stream, status, why);
        self.publish = Publish::No;
    }

    fn failed(&mut self, error: SessionError) -> SessionError {
        self.refuse(&error.to_string());
        error
    }

    fn message(&mut self, message: &Message) -> Result<(), SessionError> {
        match message.kind {
            kind::AUDIO | kind::VIDEO => self.media(message)?,
            kind::COMMAND_AMF0 => self.command(message, &message.payload)?,
            // A command in the AMF3 form begins with a byte that switches back to AMF0.
            kind::COMMAND_AMF3 => {
                self.command(message, message.payload.get(1..).unwrap_or_default())?;
            }
            kind::DATA_AMF0 => self.data(&message.payload),
            kind::DATA_AMF3 => self.data(message.payload.get(1..).unwrap_or_default()),
            kind::WINDOW_ACKNOWLEDGEMENT_SIZE => {
                let size = message.payload.first_chunk::<4>();
                self.window = size.map(|size| u64::from(u32::from_be_bytes(*size)));
            }
            kind::USER_CONTROL => {
                if let Some([0, 6, a, b, c, d]) = message.payload.first_chunk::<6>() {
                    self.replies.pong([*a, *b, *c, *d]);
                }
            }
            kind::AGGREGATE => {
                for part in aggregate::parts(message) {
                    match part {
                        Ok(part) if aggregate::is_tag(&part) => self.message(&part)?,
                        Ok(_) => {}
                        Err(error) => self.malformed(&error),
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn media(&mut self, message: &Message) -> Result<(), SessionError> {
        // After the end of a stream some samples may still be under way.
        let Publish::Yes(stream, media) = &mut self.publish else {
            return Ok(());
        };
        if message.stream != *stream {
            return Ok(());
        }
        let mut out = VecDeque::new();
        let (timestamp, tag): (u32, &Bytes) = (message.timestamp, &message.payload);
        let taken = match message.kind {
            kind::AUDIO => media.audio(timestamp, tag, &mut out),
            _ => media.video(timestamp, tag, &mut out),
        };
        self.events
            .extend(out.into_iter().map(|output| match output {
                Output::Media(event) => Event::Media(event),
                Output::Notice(notice) => Event::Notice(notice),
            }));
        Ok(taken?)
    }

    /// Metadata is the publisher's word on what the stream itself says better; only the
    /// encoder's name is of use, in the log.
    fn data(&mut self, payload: &[u8]) {
        let publishing = matches!(self.publish, Publish::Yes(..));
        if self.encoder || !publishing || payload.len() > MAX_COMMAND {
            return;
        }
        match amf::read(payload) {
            Ok(values) => {
                let encoder = values.iter().find_map(|v| v.get("encoder")?.as_str());
                self.encoder = encoder.is_some();
                self.events
                    .extend(encoder.map(|name| Event::Encoder(name.to_owned())));
            }
            Err(error) => self.malformed(&error),
        }
    }

    fn malformed(&mut self, why: &impl ToString) {
        let notice = Notice::Malformed(why.to_string());
        self.events.push_back(Event::Notice(notice));
    }
}
