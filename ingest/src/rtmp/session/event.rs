//! What a session tells its caller, and why it may end.

use std::fmt;

use rackcast_segment::id::{AppName, InvalidName};
use rackcast_segment::media::MediaEvent;

use crate::rtmp::amf::AmfError;
use crate::rtmp::chunk::ChunkError;
use crate::rtmp::handshake::HandshakeError;
use crate::rtmp::media::{MediaError, Notice};

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
