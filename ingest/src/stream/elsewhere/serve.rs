//! The side of the stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rackcast_service::frame::{FrameError, Framed};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::publication::{Publication, Refused};
use super::super::registry::Registry;
use super::wire::{Answer, Away, Message, Question};

/// How long the other generation may take to say what it wants.
const ASKED: Duration = Duration::from_secs(2);
/// Pause after a failed accept (no file descriptors left), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes publishers of this generation's streams from others, `most` at a time, until `shutdown`.
pub async fn serve(
    listener: UnixListener,
    registry: Arc<Registry>,
    most: usize,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(most));
    let accepting = async {
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let registry = Arc::clone(&registry);
                    tokio::spawn(async move {
                        if let Err(e) = answer(stream, &registry).await {
                            log::debug!("another generation's publisher is gone: {e}");
                        }
                        drop(permit);
                    });
                }
                Err(e) => {
                    log::warn!("another generation's publisher cannot be taken: {e}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(accepting).await;
}

async fn answer(stream: UnixStream, registry: &Registry) -> Result<(), FrameError> {
    let mut framed = Framed::new(stream);
    let Ok(question) = timeout(ASKED, framed.recv::<Question>()).await else {
        return Ok(());
    };
    let Some((Question { stream, peer }, _)) = question? else {
        return Ok(());
    };
    let (answer, publication) = match registry.rejoin(&stream, peer).await {
        None => (Answer::NotHere, None),
        Some(Ok(publication)) => (Answer::Welcome, Some(publication)),
        Some(Err(Refused::Taken(_))) => (Answer::Taken, None),
        Some(Err(refused)) => {
            let why = refused.to_string();
            (Answer::Refused { why }, None)
        }
    };
    framed.send(&answer, Bytes::new()).await?;
    match publication {
        Some(publication) => take(framed, publication).await,
        None => Ok(()),
    }
}

/// Takes what the publisher sends. An end of the socket without a word is a publisher lost.
async fn take(framed: Framed, mut publication: Publication) -> Result<(), FrameError> {
    let (mut sender, mut receiver) = framed.split();
    let why = loop {
        tokio::select! {
            message = receiver.recv::<Message>() => {
                let Some((message, payload)) = message? else {
                    return Ok(());
                };
                match message.event(payload) {
                    Some(event) => if let Err(why) = publication.send(event).await {
                        break why;
                    },
                    None => {
                        publication.finish().await;
                        return Ok(());
                    }
                }
            }
            why = publication.ended() => break why,
        }
    };
    sender.send(&Away::from(&why), Bytes::new()).await
}
