//! One publisher's connection: the I/O around a [`Session`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rackcast_service::tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::session::{Asked, Event, Session, SessionError};
use super::{Config, Metrics};
use crate::stream::{Ended, Publication, PublishRequest, Refused, Streams};

/// The most that is read at once, in bytes.
const READ_SIZE: usize = 16 * 1024;
/// Mended or dropped messages of a connection that are logged; all are counted.
const LOGGED_NOTICES: u32 = 20;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("nothing came in time ({0})")]
    Timeout(&'static str),
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("{0}")]
    Ended(#[from] Ended),
    #[error("{0}")]
    Session(#[from] SessionError),
    #[error("this ingest is shutting down")]
    Shutdown,
}

impl End {
    /// Whether the peer is still there to be told.
    fn peer_listens(&self) -> bool {
        !matches!(self, Self::Closed | Self::Io(_) | Self::Timeout("write"))
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Io(_) => "connection-failed",
            Self::Timeout(phase) => phase,
            Self::Refused(refused) => refused.label(),
            Self::Ended(Ended::TakenOver) => "taken-over",
            Self::Ended(Ended::Replaced) => "replaced",
            Self::Ended(Ended::Drained) => "drained",
            Self::Ended(_) | Self::Shutdown => "shutting-down",
            Self::Session(error) => error.kind(),
        }
    }
}

/// A connection and what it needs.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Stream,
    peer: SocketAddr,
    session: Session,
    streams: Streams,
    config: Arc<Config>,
    metrics: Metrics,
    publication: Option<Publication>,
    /// What the deadline is for, and when it is.
    phase: &'static str,
    deadline: Instant,
    notices: u32,
}

impl Connection {
    pub(super) fn new(
        socket: Stream,
        peer: SocketAddr,
        streams: Streams,
        config: Arc<Config>,
        metrics: Metrics,
    ) -> Self {
        Self {
            socket,
            peer,
            session: Session::new(&config, rand::random()),
            streams,
            phase: "handshake",
            deadline: in_time(config.handshake_timeout),
            config,
            metrics,
            publication: None,
            notices: 0,
        }
    }

    /// Serves the peer until it leaves or must go.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) {
        let end = match shutdown.run_until_cancelled(self.serve()).await {
            Some(Err(end)) => end,
            Some(Ok(never)) => match never {},
            None => End::Shutdown,
        };
        self.record(&end);
        // The stream learns of it now, not when the peer has read its farewell.
        self.leave();
        if end.peer_listens() {
            self.session.refuse(&end.to_string());
            self.part().await;
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let mut input = BytesMut::with_capacity(READ_SIZE);
        loop {
            while let Some(event) = self.session.next()? {
                self.event(event).await?;
            }
            match self.flush().await {
                // It has sent all and hung up: what it sent before is still to be read.
                Err(End::Io(_)) if self.publication.is_some() => self.session.output().clear(),
                flushed => flushed?,
            }
            input.clear();
            input.reserve(READ_SIZE);
            let read = timeout_at(self.deadline, self.socket.read_buf(&mut input));
            let count = match &mut self.publication {
                None => read.await,
                Some(publication) => tokio::select! {
                    read = read => read,
                    ended = publication.ended() => return Err(ended.into()),
                },
            };
            match count.map_err(|_| End::Timeout(self.phase))?? {
                0 => return Err(End::Closed),
                count => {
                    self.metrics
                        .received
                        .inc_by(u64::try_from(count).unwrap_or(0));
                    if self.publication.is_some() {
                        self.wait("idle", self.config.idle_timeout);
                    }
                    self.session.push(&input)?;
                }
            }
        }
    }

    async fn event(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Handshaken => self.wait("publish", self.config.publish_timeout),
            Event::Publish(asked) => self.publish(asked).await?,
            Event::Media(media) => {
                if let Some(publication) = &mut self.publication {
                    publication.send(media).await?;
                }
            }
            Event::Encoder(name) => log::info!(
                rackcast_stream = self.stream(), rackcast_peer = self.peer.to_string();
                "published by {name:.100?}"
            ),
            Event::Notice(notice) => {
                self.metrics
                    .notices
                    .with_label_values(&[notice.kind()])
                    .inc();
                self.notices = self.notices.saturating_add(1);
                if self.notices <= LOGGED_NOTICES {
                    let last = if self.notices == LOGGED_NOTICES {
                        "; more of this connection are only counted"
                    } else {
                        ""
                    };
                    log::warn!(
                        rackcast_stream = self.stream(), rackcast_peer = self.peer.to_string(),
                        rackcast_reason = notice.kind();
                        "{notice}{last}"
                    );
                }
            }
            Event::Finished => {
                if let Some(publication) = self.publication.take() {
                    self.metrics.publishers.dec();
                    log::info!(
                        rackcast_stream = publication.id().to_string(),
                        rackcast_peer = self.peer.to_string();
                        "the publisher ended the stream"
                    );
                    publication.finish().await;
                }
                self.wait("publish", self.config.publish_timeout);
            }
        }
        Ok(())
    }

    async fn publish(&mut self, asked: Asked) -> Result<(), End> {
        let request = PublishRequest {
            app: asked.app.to_string(),
            name_and_query: asked.name_and_query,
            protocol: "rtmp",
            peer: self.peer,
        };
        let publication = timeout_at(self.deadline, self.streams.publish(request))
            .await
            .map_err(|_| Refused::AuthUnavailable("it took too long".to_owned()))??;
        self.session.accept();
        self.metrics.publishers.inc();
        self.metrics.publishes.inc();
        self.publication = Some(publication);
        self.wait("idle", self.config.idle_timeout);
        Ok(())
    }

    fn wait(&mut self, phase: &'static str, time: Duration) {
        self.phase = phase;
        self.deadline = in_time(time);
    }

    async fn flush(&mut self) -> Result<(), End> {
        let write = self.socket.write_all_buf(self.session.output());
        timeout(self.config.write_timeout, write)
            .await
            .map_err(|_| End::Timeout("write"))??;
        // TLS keeps the last record until it is told to send it.
        timeout(self.config.write_timeout, self.socket.flush())
            .await
            .map_err(|_| End::Timeout("write"))??;
        Ok(())
    }

    fn leave(&mut self) {
        if self.publication.take().is_some() {
            self.metrics.publishers.dec();
        }
    }

    /// Sends what is left to say, and gives the peer time to read it: a socket that is closed
    /// with unread input is reset, and the peer would never learn why.
    async fn part(&mut self) {
        let time = self.config.linger_timeout;
        let farewell = async {
            self.flush().await?;
            self.socket.shutdown().await?;
            let mut rest = BytesMut::with_capacity(READ_SIZE);
            while self.socket.read_buf(&mut rest).await? > 0 {
                rest.clear();
            }
            Ok::<_, End>(())
        };
        // The peer is leaving; how it does so is of no interest any more.
        let _ = timeout(time, farewell).await;
    }

    fn record(&self, end: &End) {
        let peer = self.peer.to_string();
        let reason = end.reason();
        match end {
            End::Session(_) => self.metrics.errors.with_label_values(&[reason]).inc(),
            End::Refused(_) => self.metrics.refusals.with_label_values(&[reason]).inc(),
            End::Timeout(_) => self.metrics.timeouts.with_label_values(&[reason]).inc(),
            _ => {}
        }
        match (end, &self.publication) {
            // Whoever decided has logged it.
            (End::Refused(_), _) => {}
            (_, Some(publication)) => log::warn!(
                rackcast_stream = publication.id().to_string(),
                rackcast_peer = peer, rackcast_reason = reason;
                "the publisher is gone without an end: {end}"
            ),
            // Probes of load balancers look like this.
            (End::Closed | End::Io(_) | End::Shutdown, None) => {
                log::debug!(rackcast_peer = peer, rackcast_reason = reason; "{end}");
            }
            (_, None) => log::warn!(
                rackcast_peer = peer, rackcast_reason = reason;
                "RTMP connection closed: {end}"
            ),
        }
    }

    fn stream(&self) -> String {
        let publication = self.publication.as_ref();
        publication.map_or_else(String::new, |p| p.id().to_string())
    }
}

fn in_time(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}
