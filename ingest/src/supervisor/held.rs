//! What a supervisor holds: the policy, what it decides about, and what is said of both.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use rackcast_service::config::ConfigError;
use rackcast_service::reload::{self, Live, Refused, Takes};
use rackcast_service::status::{Generation, Health, ServiceStatus};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Listeners;
use super::binary::Binary;
use super::control::Order;
use super::member::{Folder, Member};
use super::resume::{ResumeError, State, basis};
use super::set::Set;
use crate::config::Config;

/// The policy and what it decides about.
pub(super) struct Supervisor {
    pub(super) live: Live<Config>,
    pub(super) listeners: Listeners,
    pub(super) folder: Folder,
    pub(super) status: watch::Sender<ServiceStatus>,
    pub(super) set: Set,
    pub(super) members: Vec<Member>,
    /// The text that the next generation is to begin with, if not the accepted one.
    pub(super) candidate: Option<Candidate>,
    /// The one that the starting generation began with: accepted once it is ready.
    pub(super) starting: Option<Candidate>,
    /// A program on disk that is asked whether it can take over.
    pub(super) judging: Option<JoinHandle<Judged>>,
    /// A configuration that the generations are to put in force.
    pub(super) pending: Option<Pending>,
    pub(super) reloads: u64,
}

/// What a new generation is to work by.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The text of the configuration file.
    pub(super) text: String,
}

/// What a program on disk says of taking over.
#[derive(Debug)]
pub(super) enum Judged {
    /// It can, by this text.
    Fit(Binary, String),
    /// Why not.
    Unfit(String),
}

/// A configuration on its way into force.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) text: String,
    pub(super) until: Instant,
}

impl Supervisor {
    pub(super) fn new(
        live: Live<Config>,
        listeners: Listeners,
        folder: Folder,
        status: watch::Sender<ServiceStatus>,
    ) -> Self {
        let config = live.config();
        let set = Set::new(
            config.supervisor.clone(),
            config.origin.retention,
            Instant::now(),
        );
        Self {
            live,
            listeners,
            folder,
            status,
            set,
            members: Vec::new(),
            candidate: None,
            starting: None,
            judging: None,
            pending: None,
            reloads: 0,
        }
    }

    /// Goes on with the generations of an earlier program of this process.
    pub(super) fn resume(&mut self, left: State) -> Result<(), ResumeError> {
        let config = self.live.config();
        self.set = Set::resume(
            config.supervisor.clone(),
            config.origin.retention,
            &left.set,
            Instant::now(),
        );
        self.members = left.members(&self.folder)?;
        if let Some(basis) = basis()
            && let Err(e) = self.live.stand_on(&basis)
        {
            log::warn!("which keys wait for a restart is not known: {e}");
        }
        log::info!(
            "this program goes on with {} generations of the one before it",
            self.members.len()
        );
        self.tell();
        Ok(())
    }

    /// This text is in force: what is started from now on works by it.
    pub(super) fn keep(&mut self, text: String) -> Result<reload::Outcome, Refused> {
        let outcome = self.live.replace(text)?;
        let config = self.live.config();
        rackcast_service::log::set_level(config.log_level);
        self.set
            .configure(config.supervisor.clone(), config.origin.retention);
        Ok(outcome)
    }

    /// What the service says of itself is what its generations say.
    pub(super) fn tell(&self) {
        let serving = self.set.serving();
        let report = self
            .members
            .iter()
            .find(|m| Some(m.number) == serving)
            .and_then(|m| m.report.as_ref());
        let generations = self.generations();
        let work = generations.iter().map(|g| g.streams).sum();
        let waiting = report.map(|report| report.waiting.clone());
        self.status.send_if_modified(|s| {
            let (ready, health) = match report {
                Some(report) => (report.ready, report.health.clone()),
                None if self.set.is_starting() && !s.ready => (false, s.health.clone()),
                None => (false, Health::critical("no generation is running")),
            };
            let before = s.clone();
            s.beat_ms = report.map_or(0, |report| report.beat_ms);
            (s.ready, s.health, s.work) = (ready, health, work);
            s.generations = generations;
            if let Some(waiting) = waiting {
                s.waiting = waiting;
            }
            *s != before
        });
    }

    /// Each process that serves, for the status.
    fn generations(&self) -> Vec<Generation> {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let epoch = |at: Option<SystemTime>| {
            let since = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            since.map_or(0, |since| since.as_secs())
        };
        let shown = self.set.show(now).into_iter().map(|shown| {
            let member = self.members.iter().find(|m| m.number == shown.number);
            let report = member.and_then(|m| m.report.as_ref());
            Generation {
                number: shown.number,
                pid: member.and_then(|m| m.child.id()).unwrap_or_default(),
                version: report.map(|r| r.version.clone()).unwrap_or_default(),
                phase: shown.phase,
                since: epoch(clock.checked_sub(shown.age)),
                until: shown.left.map(|left| epoch(clock.checked_add(left))),
                streams: report.map_or(0, |r| r.streams),
            }
        });
        shown.collect()
    }

    /// A generation shows what waits for a restart of all: only the supervisor knows.
    pub(super) async fn tell_waiting(&mut self, number: u64) {
        let mut keys = self.live.waiting().borrow().clone();
        keys.retain(|_, takes| *takes == Takes::Restart);
        let member = self.members.iter_mut().find(|m| m.number == number);
        if let Some(member) = member
            && member.waiting != keys
        {
            member.waiting.clone_from(&keys);
            member.order(&Order::Waiting { keys }, Bytes::new()).await;
        }
    }
}

impl From<ConfigError> for Judged {
    fn from(error: ConfigError) -> Self {
        Self::Unfit(error.to_string())
    }
}
