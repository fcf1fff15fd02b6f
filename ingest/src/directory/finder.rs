//! Finds the ingest that has a stream which is not here.
//!
//! What players ask for must not become as many questions to Consul: an answer is good for a
//! moment, all who ask meanwhile wait for the one question that is under way, and there are only
//! so many questions in a second. When Consul does not answer, what it said last counts. Streams
//! that are here are looked for now and then as well ([`Look`]): each time anew, within a bound
//! of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rackcast_consul::client::Client;
use rackcast_consul::directory::{self, Place};
use rackcast_segment::id::StreamId;
use tokio::sync::OnceCell;

use super::look::{Look, Seen};
use super::{Config, Metrics};

/// Longest time that a player waits for Consul.
const PATIENCE: Duration = Duration::from_secs(1);

type Places = Arc<Vec<Place>>;

/// Finds streams of other ingests.
#[derive(Debug)]
pub struct Finder {
    client: Client,
    own: String,
    config: Config,
    metrics: Metrics,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    answers: HashMap<StreamId, Remembered>,
    /// For players.
    asked: Second,
    /// For the streams that are here.
    looked: Second,
}

/// The second that is being counted, and the questions in it.
#[derive(Debug, Default)]
struct Second(Option<(Instant, u32)>);

#[derive(Debug, Clone)]
struct Remembered {
    asked: Instant,
    answer: Arc<OnceCell<Places>>,
    /// What was said before.
    before: Option<Places>,
    /// It was asked because the answer before had turned out wrong.
    mending: bool,
    /// It turned out wrong since.
    doubted: bool,
}

impl Remembered {
    fn last(&self) -> Option<Places> {
        self.answer.get().or(self.before.as_ref()).cloned()
    }
}

impl Finder {
    /// A finder for the ingest that the catalog calls `own`.
    pub fn new(client: Client, own: String, config: Config, metrics: Metrics) -> Self {
        Self {
            client,
            own,
            config,
            metrics,
            memory: Mutex::default(),
        }
    }

    /// Whether players are sent to the ingest that has their stream.
    pub fn redirects(&self) -> bool {
        self.config.redirect
    }

    /// Where a stream is, other than here: the newest epoch first.
    pub async fn find(&self, stream: &StreamId) -> Places {
        if !self.config.enabled {
            return Places::default();
        }
        let remembered = match self.remembered(stream, Instant::now()) {
            Ok(remembered) => remembered,
            Err(last) => {
                self.metrics.looked("limited");
                return last.unwrap_or_default();
            }
        };
        let answer = remembered.answer.get_or_init(|| async {
            let found = self.ask(stream).await;
            let found = found.map(|all| self.others(&all));
            found.unwrap_or_else(|| remembered.before.clone().unwrap_or_default())
        });
        Arc::clone(answer.await)
    }

    /// What Consul says now; `None` if it does not.
    async fn ask(&self, stream: &StreamId) -> Option<Vec<Place>> {
        let asked = tokio::time::timeout(PATIENCE, directory::find(&self.client, stream));
        match asked.await {
            Ok(Ok(places)) => {
                let elsewhere = places.iter().any(|place| place.ingest != self.own);
                self.metrics
                    .looked(if elsewhere { "found" } else { "missing" });
                return Some(places);
            }
            Ok(Err(error)) => log::debug!("{stream} cannot be looked up: {error}"),
            Err(_) => log::debug!("{stream} cannot be looked up within {PATIENCE:?}"),
        }
        self.metrics.looked("failed");
        None
    }

    /// Asks for a stream that is here: now, whatever is remembered, and players are given what was
    /// said from then on. What this ingest has entered is in the answer: another generation of it may
    /// have a newer epoch.
    async fn look_now(&self, stream: &StreamId) -> Seen {
        let now = Instant::now();
        if !self
            .lock()
            .looked
            .may_ask(now, self.config.lookups_per_second)
        {
            self.metrics.looked("limited");
            return Seen::Unknown;
        }
        let Some(all) = self.ask(stream).await else {
            return Seen::Unknown;
        };
        let others = self.others(&all);
        let mut memory = self.lock();
        let known = memory.answers.contains_key(stream);
        if known || memory.answers.len() < self.config.max_remembered {
            let answer = Remembered {
                asked: now,
                answer: Arc::new(OnceCell::new_with(Some(others))),
                before: None,
                mending: false,
                doubted: false,
            };
            memory.answers.insert(stream.clone(), answer);
        }
        Seen::At(Arc::new(all))
    }

    /// Those of other ingests.
    fn others(&self, all: &[Place]) -> Places {
        let others = all.iter().filter(|place| place.ingest != self.own);
        Arc::new(others.cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said of a stream turned out not to be so: the next who asks asks Consul. That is
    /// done once for each answer, since players may ask for what never was; and what was said goes
    /// on being the best that is known while Consul says nothing.
    pub fn doubt(&self, stream: &StreamId) {
        let mut memory = self.lock();
        if let Some(known) = memory.answers.get_mut(stream) {
            known.doubted = !known.mending;
        }
    }

    /// The answer that is good or on its way; without room for another question, the last answer.
    fn remembered(&self, stream: &StreamId, now: Instant) -> Result<Remembered, Option<Places>> {
        let mut memory = self.lock();
        let good = |r: &Remembered| now.saturating_duration_since(r.asked) < self.config.remember;
        let known = memory.answers.get(stream);
        if let Some(known) = known.filter(|known| good(known) && !known.doubted) {
            return Ok(known.clone());
        }
        let mending = known.is_some_and(good);
        let before = known.and_then(Remembered::last);
        if !memory.asked.may_ask(now, self.config.lookups_per_second) {
            return Err(before);
        }
        if memory.answers.len() >= self.config.max_remembered {
            memory.answers.retain(|_, remembered| good(remembered));
        }
        let asked = Remembered {
            asked: now,
            answer: Arc::default(),
            before,
            mending,
            doubted: false,
        };
        if memory.answers.len() < self.config.max_remembered {
            memory.answers.insert(stream.clone(), asked.clone());
        }
        Ok(asked)
    }
}

impl Look for Finder {
    fn look<'a>(&'a self, stream: &'a StreamId) -> BoxFuture<'a, Seen> {
        Box::pin(self.look_now(stream))
    }
}

impl Second {
    fn may_ask(&mut self, now: Instant, limit: u32) -> bool {
        let second = Duration::from_secs(1);
        match &mut self.0 {
            Some((begun, count)) if now.saturating_duration_since(*begun) < second => {
                *count += 1;
                *count <= limit
            }
            fresh => {
                *fresh = Some((now, 1));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(config: Config) -> Finder {
        let client = Client::new(&rackcast_consul::client::Config {
            address: "http://127.0.0.1:1".to_owned(),
            ..Default::default()
        });
        let metrics = Metrics::register(&Default::default()).unwrap();
        Finder::new(client.unwrap(), "own".to_owned(), config, metrics)
    }

    #[test]
    fn questions_are_bounded_and_shared() {
        let config = Config {
            lookups_per_second: 2,
            max_remembered: 2,
            ..Config::default()
        };
        let finder = finder(config.clone());
        let (a, b, c) = (
            "l/a".parse().unwrap(),
            "l/b".parse().unwrap(),
            "l/c".parse().unwrap(),
        );
        let start = Instant::now();
        let first = finder.remembered(&a, start).unwrap();
        let again = finder.remembered(&a, start).unwrap();
        assert!(
            Arc::ptr_eq(&first.answer, &again.answer),
            "one question for all who ask"
        );
        finder.remembered(&b, start).unwrap();
        assert!(
            finder.remembered(&c, start).is_err(),
            "no third question in this second"
        );

        // Later, the one before counts while there is no other; and there is room again.
        first.answer.set(Places::default()).unwrap();
        let later = start + config.remember;
        let asked = finder.remembered(&a, later).unwrap();
        assert!(asked.answer.get().is_none() && asked.before.is_some());
        finder.remembered(&c, later).unwrap();
        assert!(finder.remembered(&b, later).is_err());
        assert_eq!(finder.memory.lock().unwrap().answers.len(), 2);
    }

    #[test]
    fn a_doubt_asks_once_and_forgets_nothing() {
        let config = Config {
            lookups_per_second: 2,
            ..Config::default()
        };
        let finder = finder(config.clone());
        let (stream, start) = ("l/a".parse().unwrap(), Instant::now());
        let first = finder.remembered(&stream, start).unwrap();
        first.answer.set(Places::default()).unwrap();
        finder.doubt(&stream);
        let second = finder.remembered(&stream, start).unwrap();
        assert!(second.answer.get().is_none() && second.before.is_some());
        // Whatever players ask for that is not there: no more questions, until it is old.
        finder.doubt(&stream);
        let third = finder.remembered(&stream, start).unwrap();
        assert!(Arc::ptr_eq(&second.answer, &third.answer));
        second.answer.set(Places::default()).unwrap();
        let later = start + config.remember;
        let fourth = finder.remembered(&stream, later).unwrap();
        assert!(fourth.before.is_some());
        fourth.answer.set(Places::default()).unwrap();
        // Without room for a question the last answer stays.
        finder.doubt(&stream);
        finder.remembered(&"l/b".parse().unwrap(), later).unwrap();
        assert!(finder.remembered(&stream, later).unwrap_err().is_some());
    }

    #[tokio::test]
    async fn without_consul_nothing_is_found_and_nobody_waits_long() {
        let finder = finder(Config::default());
        let stream = "live/show".parse().unwrap();
        let start = Instant::now();
        assert!(finder.find(&stream).await.is_empty());
        assert!(start.elapsed() < 3 * PATIENCE);
    }
}
