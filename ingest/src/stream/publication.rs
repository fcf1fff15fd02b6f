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
use tokio::sync::{mpsc, oneshot, watch};

/// Events that may wait between a protocol session and the stream's task.
const FEED_CAPACITY: usize = 16;

/// What a publisher asks for, as it came over the wire.
#[derive(Clone)]
pub struct PublishRequest {
    /// The application, unchecked.
    pub app: String,
    /// The name with whatever query follows it, unchecked. May be a key or contain one, so it
    /// is never logged.
    pub name_and_query: String,
    /// Which protocol it came by: `rtmp`.
    pub protocol: &'static str,
    /// The publisher's address.
    pub peer: SocketAddr,
}

impl std::fmt::Debug for PublishRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublishRequest")
            .field("app", &self.app)
            .field("protocol", &self.protocol)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
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
    /// Another generation of this ingest takes publishers.
    #[error("this process is replaced by a newer one: publish again")]
    Replaced,
    /// The machine drains; another ingest may take the stream.
    #[error("this ingest takes no new streams (it drains): publish to another")]
    Draining,
}

impl Refused {
    /// The reason as a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Denied(_) => "denied",
            Self::AuthUnavailable(_) => "auth-unavailable",
            Self::Taken(_) => "taken",
            Self::Full(_) => "full",
            Self::ShuttingDown => "shutting-down",
            Self::Replaced => "replaced",
            Self::Draining => "draining",
        }
    }
}

/// Why a publication is over though its publisher still sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Another publisher took the stream over.
    #[error("another publisher took the stream over")]
    TakenOver,
    /// The ingest is shutting down.
    #[error("the ingest is shutting down")]
    ShuttingDown,
    /// Another generation of this ingest takes publishers.
    #[error("this process is replaced by a newer one: publish again")]
    Replaced,
    /// The machine drains, and its patience is over.
    #[error("this ingest is taken out of service: publish to another")]
    Drained,
}

/// A publisher at the door, and where to answer it.
#[derive(Debug)]
pub struct Knock {
    /// What it asks for.
    pub request: PublishRequest,
    /// Takes the answer.
    pub reply: oneshot::Sender<Result<Publication, Refused>>,
}

/// The door to all streams of this generation; cheap to clone.
#[derive(Debug, Clone)]
pub struct Streams {
    door: mpsc::Sender<Knock>,
}

impl Streams {
    /// A door, and the end at which [`Registry`](super::Registry) (or a test) answers.
    pub fn door(capacity: usize) -> (Self, mpsc::Receiver<Knock>) {
        let (door, knocks) = mpsc::channel(capacity);
        (Self { door }, knocks)
    }

    /// Asks for the right to publish: name and key are checked, the stream is created, or
    /// resumed, or taken over.
    ///
    /// # Errors
    /// [`Refused`], to be told to the publisher.
    pub async fn publish(&self, request: PublishRequest) -> Result<Publication, Refused> {
        let (reply, answer) = oneshot::channel();
        let knock = Knock { request, reply };
        self.door
            .send(knock)
            .await
            .map_err(|_| Refused::ShuttingDown)?;
        answer.await.unwrap_or(Err(Refused::ShuttingDown))
    }
}

/// What travels from a publication to its stream.
#[derive(Debug)]
pub enum Input {
    /// The publisher sent this.
    Media(MediaEvent),
    /// The publisher said that the stream is over.
    Finish,
}

/// The right to feed one stream.
#[derive(Debug)]
pub struct Publication {
    id: StreamId,
    inputs: mpsc::Sender<Input>,
    ended: watch::Receiver<Option<Ended>>,
}

/// The stream's end of a [`Publication`].
#[derive(Debug)]
pub struct Feed {
    inputs: mpsc::Receiver<Input>,
    ended: watch::Sender<Option<Ended>>,
}

impl Publication {
    /// A publication and the end that the stream reads.
    pub fn pair(id: StreamId) -> (Self, Feed) {
        let (send_input, inputs) = mpsc::channel(FEED_CAPACITY);
        let (send_ended, ended) = watch::channel(None);
        (
            Self {
                id,
                inputs: send_input,
                ended,
            },
            Feed {
                inputs,
                ended: send_ended,
            },
        )
    }

    /// The stream's public name.
    pub fn id(&self) -> &StreamId {
        &self.id
    }

    /// Hands one event over.
    ///
    /// # Errors
    /// [`Ended`] when the publisher should be told to go.
    pub async fn send(&mut self, event: MediaEvent) -> Result<(), Ended> {
        self.inputs
            .send(Input::Media(event))
            .await
            .map_err(|_| self.why_ended())
    }

    /// Waits until the stream wants no more of this publisher, also while it sends nothing.
    pub async fn ended(&mut self) -> Ended {
        match self.ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(Ended::ShuttingDown),
            Err(_) => Ended::ShuttingDown,
        }
    }

    /// The publisher said that the stream is over.
    pub async fn finish(self) {
        // If the stream is gone already, it is over as well.
        let _ = self.inputs.send(Input::Finish).await;
    }

    fn why_ended(&self) -> Ended {
        self.ended.borrow().clone().unwrap_or(Ended::ShuttingDown)
    }
}

impl Feed {
    /// The next input; `None` when the publisher's connection was lost.
    pub async fn recv(&mut self) -> Option<Input> {
        self.inputs.recv().await
    }

    /// Sends the publisher away.
    pub fn end(self, why: Ended) {
        self.ended.send_replace(Some(why));
    }
}
