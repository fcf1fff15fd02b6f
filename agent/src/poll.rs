//! Finds the status sockets and asks them.
//!
//! Each socket has one question in flight at most, so that a service that hangs delays nobody
//! else's answer. A socket that appears is asked at once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rackcast_service::status::{FetchError, ServiceStatus, fetch_from};
use tokio::task::{JoinError, JoinSet};

use crate::board::Heard;
use crate::trust::Trust;

/// Sockets that are asked; a machine has a handful.
pub const MAX_SOCKETS: usize = 256;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Who was asked.
    pub socket: PathBuf,
    /// What came.
    pub result: Result<ServiceStatus, FetchError>,
}

impl Answer {
    /// What it counts as.
    pub fn label(&self) -> &'static str {
        match &self.result {
            Ok(_) => "answered",
            Err(error) if error.is_absent() => "absent",
            Err(FetchError::Stranger { .. }) => "stranger",
            Err(_) => "failed",
        }
    }

    /// The answer as the board takes it.
    pub fn into_heard(self) -> Heard {
        match self.result {
            Ok(status) => Heard::Status(Box::new(status)),
            Err(error) if error.is_absent() => Heard::Absent,
            // Whoever is there, the service is not.
            Err(FetchError::Stranger { .. }) => Heard::Absent,
            Err(_) => Heard::Nothing,
        }
    }
}

/// Asks sockets at their time.
#[derive(Debug)]
pub struct Poller {
    interval: Duration,
    early: Duration,
    trust: Arc<Trust>,
    asked: BTreeMap<PathBuf, Instant>,
    questions: JoinSet<Answer>,
    in_flight: BTreeMap<PathBuf, tokio::task::Id>,
}

impl Poller {
    /// Asks each socket every `interval`, and believes whom `trust` does. Who is told to ask every
    /// `scan` asks at the time that is nearest: a look that comes a moment early must not make
    /// a question wait for the next one.
    pub fn new(interval: Duration, scan: Duration, trust: Trust) -> Self {
        Self {
            interval,
            early: scan / 2,
            trust: Arc::new(trust),
            asked: BTreeMap::new(),
            questions: JoinSet::new(),
            in_flight: BTreeMap::new(),
        }
    }

    /// Asks those of `sockets` that are new or due, and forgets the others.
    pub fn ask(&mut self, sockets: impl IntoIterator<Item = PathBuf>, now: Instant) {
        let mut before = std::mem::take(&mut self.asked);
        for socket in sockets.into_iter().take(MAX_SOCKETS) {
            let last = before.remove(&socket);
            let due = last
                .is_none_or(|at| now.saturating_duration_since(at) + self.early >= self.interval);
            let ask = due && !self.in_flight.contains_key(&socket);
            if ask {
                let (asked, trust) = (socket.clone(), Arc::clone(&self.trust));
                let question = self.questions.spawn(async move {
                    let believed = |uid, role| trust.believes(&asked, uid, role);
                    let mut result = fetch_from(&asked, believed).await;
                    let stranger = matches!(result, Err(FetchError::Stranger { .. }));
                    if stranger && Arc::clone(&trust).ask_again(Instant::now()).await {
                        result = fetch_from(&asked, believed).await;
                    }
                    Answer {
                        result,
                        socket: asked,
                    }
                });
                self.in_flight.insert(socket.clone(), question.id());
            }
            self.asked
                .insert(socket, last.filter(|_| !ask).unwrap_or(now));
        }
    }

    /// The next answer; waits for ever while nobody was asked. May be cancelled.
    pub async fn answer(&mut self) -> Answer {
        loop {
            match self.questions.join_next().await {
                Some(ended) => {
                    if let Some(answer) = self.answered(ended) {
                        return answer;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// An answer that is there already.
    pub fn ready(&mut self) -> Option<Answer> {
        while let Some(ended) = self.questions.try_join_next() {
            if let Some(answer) = self.answered(ended) {
                return Some(answer);
            }
        }
        None
    }

    fn answered(&mut self, ended: Result<Answer, JoinError>) -> Option<Answer> {
        match ended {
            Ok(answer) => {
                self.in_flight.remove(&answer.socket);
                Some(answer)
            }
            Err(failed) => {
                log::error!("asking a service failed: {failed}");
                self.in_flight
                    .retain(|_, question| *question != failed.id());
                None
            }
        }
    }
}

/// Every `*.sock` in a folder, in order; none while there is no such folder.
///
/// Reading a folder of a memory file system with a few entries does not block for a time that
/// matters, so this is no task of its own.
///
/// # Errors
/// The folder is there and cannot be read.
pub fn sockets_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut sockets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sock")
        {
            sockets.push(path);
        }
    }
    sockets.sort();
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn looks_that_come_a_moment_early_ask_and_answers_lie_ready() {
        let millis = Duration::from_millis;
        let trust = Trust::new(&Config::default());
        let mut poller = Poller::new(millis(200), millis(100), trust);
        let socket = PathBuf::from("/nobody/listens.sock");
        let start = Instant::now();
        let mut asked_at = Vec::new();
        // As ticks come: not to the millisecond.
        for tick in [0, 101, 199, 300, 399, 500, 601] {
            poller.ask([socket.clone()], start + millis(tick));
            if poller.in_flight.is_empty() {
                continue;
            }
            asked_at.push(tick);
            assert_eq!(poller.answer().await.label(), "absent");
        }
        assert_eq!(asked_at, [0, 199, 399, 601]);

        assert!(poller.ready().is_none());
        poller.ask([socket.clone()], start + millis(900));
        let answer = loop {
            tokio::task::yield_now().await;
            if let Some(answer) = poller.ready() {
                break answer;
            }
        };
        assert_eq!((answer.label(), answer.socket), ("absent", socket));
        assert!(poller.ready().is_none() && poller.in_flight.is_empty());
    }
}
