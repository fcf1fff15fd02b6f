//! What a protocol layer sees of a stream.
//!
//! A protocol asks [`Streams::publish`] for a [`Publication`] and sends it what the publisher
//! sends. It never waits for a transcoder or a player: the channel behind it is drained by the
//! stream's own task, which never blocks. Dropping a publication without
//! [`finish`](Publication::finish) means that the connection was lost, and the stream waits
//! for the publisher to return.

use std::net::SocketAddr;

use rackcast_segment::id::{InvalidName, StreamId};
use rackcast_segment::media::MediaEvent;
use tokio::sync::mpsc;

/// What a publisher asks for, as it came over the wire.
#[derive(Debug, Clone)]
pub struct PublishRequest {
    /// The application, unchecked.
    pub app: String,
    /// The name with whatever query follows it, unchecked; may be or contain a key, so it is
    /// never logged.
    pub name_and_query: String,
    /// Which protocol it came by: `rtmp`.
    pub protocol: &'static str,
    /// The publisher's address.
    pub peer: SocketAddr,
}

/// Why a publisher was refused. The text is meant for the publisher.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The application or the stream has a name that cannot be served.
    #[error("{0}")]
    Name(#[from] InvalidName),
    /// No such key, or not for this stream.
    #[error("not authorised to publish here: {0}")]
    Denied(String),
    /// The authorisation service did not answer; a retry can help.
    #[error("authorisation is not available: {0}")]
    AuthUnavailable(String),
    /// Someone else publishes this stream, and the configuration keeps the first.
    #[error("the stream {0} has a publisher already")]
    Taken(StreamId),
    /// A limit of this ingest is reached; another ingest may have room.
    #[error("this ingest is full: {0}")]
    Full(String),
    /// The ingest is shutting down; another ingest may take the stream.
    #[error("this ingest is shutting down")]
    ShuttingDown,
}

/// Why a publication is over though its publisher still sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Another publisher took the stream over.
    #[error("another publisher took the stream over")]
    TakenOver,
    /// What was sent cannot be served.
    #[error("{0}")]
    Unsupported(String),
    /// The ingest is shutting down.
    #[error("the ingest is shutting down")]
    ShuttingDown,
}

/// All streams of this generation.
#[derive(Debug, Clone)]
pub struct Streams {
    publish: mpsc::Sender<()>,
}

/// The right to feed one stream.
#[derive(Debug)]
pub struct Publication {
    id: StreamId,
    events: mpsc::Sender<MediaEvent>,
}

impl Streams {
    /// Asks for the right to publish: name and key are checked, the stream is created, or
    /// resumed, or taken over.
    ///
    /// # Errors
    /// [`Refused`], to be told to the publisher.
    pub async fn publish(&self, request: PublishRequest) -> Result<Publication, Refused> {
        let _ = (&self.publish, request);
        Err(Refused::ShuttingDown)
    }
}

impl Publication {
    /// The stream's public name.
    pub fn id(&self) -> &StreamId {
        &self.id
    }

    /// Hands one event over.
    ///
    /// # Errors
    /// [`Ended`] when the publisher should be told to go.
    pub async fn send(&mut self, event: MediaEvent) -> Result<(), Ended> {
        self.events
            .send(event)
            .await
            .map_err(|_| Ended::ShuttingDown)
    }

    /// The publisher said that the stream is over.
    pub async fn finish(self) {}
}
