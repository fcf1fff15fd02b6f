//! Who publishes what: answers every knock at the door.
//!
//! One task reads the knocks and starts a task for each, since an authorisation may take its
//! time. A stream's task is started by its first publisher and removes itself; a publisher
//! that comes while a stream ends waits for a new one to be made.
//!
//! While the machine drains, new streams are refused and those that are here go on, also with a
//! publisher that returns within its grace; from the order's deadline on nobody publishes here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rackcast_segment::id::StreamId;
use rackcast_segment::ladder::Ladder;
use rackcast_service::explain::LiveStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::Parts;
use super::live::Live;
use super::publication::{Knock, Publication, PublishRequest, Refused};
use super::task::{Attach, StreamTask};
use crate::auth::{AuthRequest, Denied};

/// How often a knock is tried again when it met a stream that was just ending.
const TRIES: usize = 3;

/// A stream as the registry knows it.
#[derive(Debug)]
struct Known {
    attaches: mpsc::Sender<Attach>,
    told: Live,
}

/// All streams of this generation.
#[derive(Debug)]
pub struct Registry {
    parts: Arc<Parts>,
    streams: Mutex<HashMap<StreamId, Known>>,
    tasks: TaskTracker,
}

impl Registry {
    /// A registry without streams.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts: Arc::new(parts),
            streams: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Streams with a publisher or waiting for it to return.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// What is to be told of each stream, in the order of their names.
    pub fn told(&self) -> Vec<LiveStream> {
        let told = |(id, known): (&StreamId, &Known)| known.told.told(id);
        let mut streams: Vec<_> = self.lock().iter().map(told).collect();
        streams.sort_by(|a, b| a.stream.cmp(&b.stream));
        streams
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Answers knocks until the shutdown, then waits until every stream has ended.
    pub async fn run(self: Arc<Self>, mut knocks: mpsc::Receiver<Knock>) {
        let shutdown = self.parts.shutdown.clone();
        while let Some(Some(knock)) = shutdown.run_until_cancelled(knocks.recv()).await {
            let this = Arc::clone(&self);
            self.tasks.spawn(async move {
                let (id, answer) = this.admit(&knock.request).await;
                this.count(&knock.request, id.as_ref(), &answer);
                // A publisher that left while it waited is found lost by its stream.
                let _ = knock.reply.send(answer);
            });
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Lets a publisher in, or not; and to which stream, once it has a right to that.
    async fn admit(
        self: &Arc<Self>,
        request: &PublishRequest,
    ) -> (Option<StreamId>, Result<Publication, Refused>) {
        match self.authorise(request).await {
            Ok((id, ladder)) => {
                let answer = self.enter(&id, ladder.as_ref(), request.peer).await;
                (Some(id), answer)
            }
            Err(refused) => (None, Err(refused)),
        }
    }

    async fn authorise(
        &self,
        request: &PublishRequest,
    ) -> Result<(StreamId, Option<Ladder>), Refused> {
        let app = request.app.parse()?;
        let asked = AuthRequest {
            app: &app,
            name_and_query: &request.name_and_query,
            peer: request.peer,
            protocol: request.protocol,
        };
        let settings = self.parts.settings.load_full();
        let grant = settings.authoriser.authorise(asked).await;
        let grant = grant.map_err(|denied| refused(&denied))?;
        let name = grant.name;
        Ok((StreamId { app, name }, grant.ladder))
    }

    async fn enter(
        self: &Arc<Self>,
        id: &StreamId,
        ladder: Option<&Ladder>,
        peer: SocketAddr,
    ) -> Result<Publication, Refused> {
        if self.known(id).is_none()
            && let Some(publication) = self.parts.elsewhere.ask(id, peer).await?
        {
            return Ok(publication);
        }
        for _ in 0..TRIES {
            let attaches = self.stream(id, ladder)?;
            if let Some(answer) = attach(&attaches, id, peer).await {
                return answer;
            }
        }
        Err(Refused::Full(format!(
            "{id} is just ending; publish again in some seconds"
        )))
    }

    /// Lets a publisher of another generation, which has checked its right, into a stream that is
    /// here; `None` if it is not.
    pub async fn rejoin(
        &self,
        id: &StreamId,
        peer: SocketAddr,
    ) -> Option<Result<Publication, Refused>> {
        if self.parts.leaving.is_cancelled() {
            return None;
        }
        // A stream that ends while it is asked is not here any more.
        let answer = attach(&self.known(id)?, id, peer).await?;
        if answer.is_ok() {
            log::info!(
                rackcast_stream = id.to_string(), rackcast_peer = peer.to_string();
                "a publisher returns through a newer generation"
            );
        }
        Some(answer)
    }

    /// The way to a stream's task, if there is one.
    fn known(&self, id: &StreamId) -> Option<mpsc::Sender<Attach>> {
        let streams = self.lock();
        let known = streams.get(id).map(|known| &known.attaches);
        known.filter(|attaches| !attaches.is_closed()).cloned()
    }

    /// The way to a stream's task, which is started if there is none.
    fn stream(
        self: &Arc<Self>,
        id: &StreamId,
        ladder: Option<&Ladder>,
    ) -> Result<mpsc::Sender<Attach>, Refused> {
        if self.parts.leaving.is_cancelled() {
            return Err(Refused::Replaced);
        }
        // Once its patience is over a publisher that returns is to return elsewhere.
        if self.parts.orders.borrow().is_overdue(SystemTime::now()) {
            return Err(Refused::Draining);
        }
        let mut streams = self.lock();
        if let Some(known) = streams.get(id).filter(|s| !s.attaches.is_closed()) {
            return Ok(known.attaches.clone());
        }
        if self.parts.orders.borrow().is_drain() {
            return Err(Refused::Draining);
        }
        let settings = self.parts.settings.load();
        let limit = settings.config.max_streams;
        if streams.len() >= limit {
            return Err(Refused::Full(format!("it carries {limit} streams already")));
        }
        if !self.parts.origin.has_room_for_another() {
            return Err(Refused::Full(
                "the streams that it carries need all of its memory".to_owned(),
            ));
        }
        let (attach, attaches) = mpsc::channel(1);
        let told = Live::new(SystemTime::now());
        let known = Known {
            attaches: attach.clone(),
            told: told.clone(),
        };
        streams.insert(id.clone(), known);
        self.parts.metrics.streams.set(streams.len() as i64);
        let ladder = ladder.unwrap_or(&settings.config.ladder).clone();
        let (this, id) = (Arc::clone(self), id.clone());
        self.tasks.spawn(async move {
            let task = StreamTask::new(id.clone(), ladder, told, Arc::clone(&this.parts));
            task.run(attaches).await;
            this.forget(&id);
        });
        Ok(attach)
    }

    fn forget(&self, id: &StreamId) {
        let mut streams = self.lock();
        // A successor may stand under the same name by now.
        if streams
            .get(id)
            .is_some_and(|known| known.attaches.is_closed())
        {
            streams.remove(id);
        }
        self.parts.metrics.streams.set(streams.len() as i64);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Known>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(
        &self,
        request: &PublishRequest,
        id: Option<&StreamId>,
        answer: &Result<Publication, Refused>,
    ) {
        let peer = request.peer.to_string();
        let result = match answer {
            Ok(publication) => {
                log::info!(
                    rackcast_stream = publication.id().to_string(), rackcast_peer = peer;
                    "publisher admitted over {}", request.protocol
                );
                "admitted"
            }
            Err(refused) => {
                let result = refused.label();
                // What somebody without a right to it calls a stream may be a key.
                match id.map(StreamId::to_string) {
                    Some(stream) => log::warn!(
                        rackcast_stream = stream, rackcast_peer = peer, rackcast_reason = result;
                        "publisher refused: {refused}"
                    ),
                    None => log::warn!(
                        rackcast_peer = peer, rackcast_reason = result;
                        "publisher refused: {refused}"
                    ),
                }
                result
            }
        };
        self.parts
            .metrics
            .publishes
            .with_label_values(&[result])
            .inc();
    }
}

/// Brings a publisher to a stream; `None` if that is just ending.
async fn attach(
    attaches: &mpsc::Sender<Attach>,
    id: &StreamId,
    peer: SocketAddr,
) -> Option<Result<Publication, Refused>> {
    let (publication, feed) = Publication::pair(id.clone());
    let (reply, answer) = oneshot::channel();
    attaches.send(Attach { feed, peer, reply }).await.ok()?;
    Some(answer.await.ok()?.map(|()| publication))
}

fn refused(denied: &Denied) -> Refused {
    let text = denied.to_string();
    if denied.retryable() {
        Refused::AuthUnavailable(text)
    } else {
        Refused::Denied(text)
    }
}
