//! The side of the publisher.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rackcast_segment::id::StreamId;
use rackcast_service::frame::{FrameError, Framed};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::publication::{Ended, Feed, Input, Publication, Refused};
use super::wire::{Answer, Away, Message, Question};

/// How long another generation may take to answer: its stream task has the answer at hand.
const ANSWERED: Duration = Duration::from_secs(2);

/// The other generations, where they take publishers; the newest first. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere(Arc<ArcSwap<Vec<PathBuf>>>);

impl Elsewhere {
    /// These are the others now.
    pub fn set(&self, sockets: Vec<PathBuf>) {
        self.0.store(Arc::new(sockets));
    }

    /// Asks the others for a stream, on behalf of a publisher that was let in. `None`: nobody has
    /// it.
    ///
    /// # Errors
    /// One has it and refuses the publisher.
    pub async fn ask(
        &self,
        stream: &StreamId,
        peer: SocketAddr,
    ) -> Result<Option<Publication>, Refused> {
        for socket in self.0.load_full().iter() {
            let asked = timeout(ANSWERED, question(socket, stream, peer)).await;
            let (framed, answer) = match asked {
                Ok(Ok(answered)) => answered,
                Ok(Err(e)) => {
                    // A generation that is just ending: its streams end with it.
                    log::debug!("{} cannot be asked for {stream}: {e}", socket.display());
                    continue;
                }
                Err(_) => {
                    log::warn!(
                        rackcast_stream = stream.to_string();
                        "{} did not say within {ANSWERED:?} whether it has {stream}",
                        socket.display()
                    );
                    continue;
                }
            };
            match answer {
                Answer::NotHere => {}
                Answer::Taken => return Err(Refused::Taken(stream.clone())),
                Answer::Refused { why } => return Err(Refused::Full(why)),
                Answer::Welcome => {
                    let (publication, feed) = Publication::pair(stream.clone());
                    log::info!(
                        rackcast_stream = stream.to_string(), rackcast_peer = peer.to_string();
                        "the stream goes on in an older generation"
                    );
                    tokio::spawn(pass_on(feed, framed));
                    return Ok(Some(publication));
                }
            }
        }
        Ok(None)
    }
}

async fn question(
    socket: &Path,
    stream: &StreamId,
    peer: SocketAddr,
) -> Result<(Framed, Answer), FrameError> {
    let mut framed = Framed::new(UnixStream::connect(socket).await?);
    let question = Question {
        stream: stream.clone(),
        peer,
    };
    framed.send(&question, Bytes::new()).await?;
    match framed.recv::<Answer>().await? {
        Some((answer, _)) => Ok((framed, answer)),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

/// Passes on what the publisher sends, at the stream's pace, until either is gone.
async fn pass_on(mut feed: Feed, framed: Framed) {
    let (mut sender, mut receiver) = framed.split();
    loop {
        tokio::select! {
            input = feed.recv() => {
                let (message, payload) = match input {
                    Some(Input::Media(event)) => Message::of(event),
                    Some(Input::Finish) => (Message::Finish, Bytes::new()),
                    // Lost: so is the socket, now.
                    None => return,
                };
                if sender.send(&message, payload).await.is_err() {
                    return feed.end(Ended::Replaced);
                }
            }
            away = receiver.recv::<Away>() => {
                let why = match away {
                    Ok(Some((away, _))) => away.into(),
                    Ok(None) | Err(_) => Ended::Replaced,
                };
                return feed.end(why);
            }
        }
    }
}
