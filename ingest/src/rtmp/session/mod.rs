//! The conversation with one publisher, without I/O.
//!
//! Bytes go in by [`push`](Session::push), events come out of [`next`](Session::next), and
//! what the peer is due collects in [`output`](Session::output). A publish is an
//! event that the caller answers with [`accept`](Session::accept) or
//! [`refuse`](Session::refuse); until then nothing more comes out, and what the peer sends
//! meanwhile waits in the connection. Only publishers are served: a player is told where it
//! is wrong.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};
use rackcast_segment::id::{AppName, InvalidName};
use rackcast_segment::media::MediaEvent;

use super::Config;
use super::amf::{self, AmfError, Value};
use super::chunk::{ChunkError, Message, Reader, kind};
use super::handshake::{Handshake, HandshakeError};
use super::media::{Media, MediaError, Notice, Output};
use super::reply::{Replies, Status};

/// Message streams that a connection may create: one is enough to publish, and some publishers
/// take a new one for every try.
const MAX_STREAMS: u32 = 16;
/// The largest command, in bytes.
const MAX_COMMAND: usize = 16 * 1024;

/// What a publisher asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    /// The application.
    pub app: AppName,
    /// Name and query as they came; may contain a key.
    pub name_and_query: String,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// What the peer did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The handshake is over.
    Handshaken,
    /// It asks to publish; to be answered.
    Publish(Asked),
    /// It names the program that it is.
    Encoder(String),
    /// It sent a sample or a configuration.
    Media(MediaEvent),
    /// Something was mended or dropped.
    Notice(Notice),
    /// It said that the stream is over. It may publish again.
    Finished,
}

/// Why the connection cannot go on. What the peer can be told is in the output already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The handshake failed.
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// The chunk stream is broken.
    #[error("chunk stream: {0}")]
    Chunk(#[from] ChunkError),
    /// A command cannot be read.
    #[error("command: {0}")]
    Amf(#[from] AmfError),
    /// A command that is too long, or has no name, or comes when it may not.
    #[error("{0}")]
    Command(&'static str),
    /// The application's name cannot be served.
    #[error("the application's name cannot be used: {0}")]
    App(#[from] InvalidName),
    /// It wants to play.
    #[error("nothing is played over RTMP here; watch over HLS")]
    Play,
    /// It publishes what cannot be served.
    #[error(transparent)]
    Media(#[from] MediaError),
}

impl SessionError {
    /// A stable word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::Chunk(error) => error.kind(),
            Self::Amf(_) => "amf",
            Self::Command(_) => "command",
            Self::App(_) => "app-name",
            Self::Play => "play",
            Self::Media(MediaError::Codec(_)) => "codec",
            Self::Media(_) => "codec-config",
        }
    }
}

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
                return Err(SessionError::Command("aggregate messages are not taken"));
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
            Err(error) => self
                .events
                .push_back(Event::Notice(Notice::Malformed(error.to_string()))),
        }
    }

    fn command(&mut self, message: &Message, payload: &[u8]) -> Result<(), SessionError> {
        if payload.len() > MAX_COMMAND {
            return Err(SessionError::Command("a command is too long"));
        }
        let values = amf::read(payload)?;
        let name = values.first().and_then(Value::as_str);
        let name = name.ok_or(SessionError::Command("a command has no name"))?;
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let argument = values.get(3);
        if name == "connect" {
            return self.connect(transaction, values.get(2));
        }
        let Some(app) = self.app.clone() else {
            return Err(SessionError::Command("a command before connect"));
        };
        match name {
            "createStream" => {
                if self.streams >= MAX_STREAMS {
                    return Err(SessionError::Command("too many message streams"));
                }
                self.streams = self.streams.saturating_add(1);
                let stream = Value::Number(f64::from(self.streams));
                self.replies.result(transaction, stream);
            }
            "publish" => self.publish(app, message.stream, argument)?,
            "play" | "play2" => {
                let why = SessionError::Play;
                self.replies
                    .status(message.stream, Status::PlayFailed, &why.to_string());
                return Err(why);
            }
            "FCUnpublish" | "closeStream" => {
                self.finish();
                self.replies.result(transaction, Value::Null);
            }
            "deleteStream" => {
                let stream = argument.and_then(Value::as_number);
                if let Publish::Yes(ours, _) = self.publish
                    && stream.is_none_or(|stream| stream == f64::from(ours))
                {
                    self.finish();
                }
            }
            // releaseStream, FCPublish, getStreamLength, _checkbw and whatever else is asked:
            // an answer that says nothing is the one that all publishers accept.
            _ => self.replies.result(transaction, Value::Null),
        }
        Ok(())
    }

    fn connect(&mut self, transaction: f64, about: Option<&Value>) -> Result<(), SessionError> {
        if self.app.is_some() {
            return Err(SessionError::Command("a second connect"));
        }
        let app = about.and_then(|o| o.get("app")).and_then(Value::as_str);
        match app.unwrap_or_default().trim_matches('/').parse() {
            Ok(app) => {
                self.replies.greet();
                self.replies.connected(transaction);
                self.app = Some(app);
                Ok(())
            }
            Err(error) => {
                let error = SessionError::App(error);
                self.replies.rejected(transaction, &error.to_string());
                Err(error)
            }
        }
    }

    fn publish(
        &mut self,
        app: AppName,
        stream: u32,
        name: Option<&Value>,
    ) -> Result<(), SessionError> {
        if !matches!(self.publish, Publish::No) {
            return Err(SessionError::Command("a second publish on a connection"));
        }
        if !(1..=self.streams).contains(&stream) {
            return Err(SessionError::Command("publish without createStream"));
        }
        let name = name.and_then(Value::as_str).unwrap_or_default();
        self.publish = Publish::Asked(stream);
        self.events.push_back(Event::Publish(Asked {
            app,
            name_and_query: name.to_owned(),
        }));
        Ok(())
    }

    fn finish(&mut self) {
        if let Publish::Yes(stream, _) = self.publish {
            self.replies
                .status(stream, Status::Unpublished, "The stream is over.");
            self.publish = Publish::No;
            self.events.push_back(Event::Finished);
        }
    }
}
