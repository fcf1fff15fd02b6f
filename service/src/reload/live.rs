//! The way by which a changed configuration reaches the parts of a daemon.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use toml::Table;

use super::change::{Rules, Takes, Waiting, changed, merge, settle};
use super::commit::Commit;
use crate::config::{self, ConfigError};

/// A part of a daemon that can be configured anew. Closures are parts.
pub trait Part<C>: Send + Sync {
    /// Makes ready what the configuration asks for, and changes nothing yet: another part may
    /// still refuse.
    ///
    /// # Errors
    /// Why this configuration cannot be put in force, with its key.
    fn prepare(&self, config: &C) -> Result<Commit, String>;
}

impl<C, F: Fn(&C) -> Result<Commit, String> + Send + Sync> Part<C> for F {
    fn prepare(&self, config: &C) -> Result<Commit, String> {
        self(config)
    }
}

/// Why a configuration was refused. Nothing has changed; another one may be accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The file is not right.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The file is right, but not with what is layered over it.
    #[error("{} with the fleet's settings over it: {why}", path.display())]
    Layered {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its key.
        why: String,
    },
    /// A part cannot do what it asks for.
    #[error("{0}")]
    Part(String),
}

/// What became of a configuration that was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Keys that changed and are in force.
    pub applied: Vec<(String, Takes)>,
    /// Keys that differ from what this process works by, and wait.
    pub waiting: Waiting,
    /// What was read anew and replaced beside the file: certificates.
    pub renewed: Vec<String>,
}

/// The configuration in force, and the parts that go by it.
pub struct Live<C> {
    path: PathBuf,
    check: fn(&C) -> Result<(), String>,
    rules: Rules,
    parts: Vec<Box<dyn Part<C>>>,
    state: Mutex<State<C>>,
    waiting: watch::Sender<Waiting>,
}

struct State<C> {
    text: String,
    over: Table,
    merged: Table,
    /// What the process works by: of keys that wait it has the old value.
    basis: Table,
    config: Arc<C>,
}

impl<C: DeserializeOwned> Live<C> {
    /// Takes the configuration that the process begins with: `text` of the file at `path`.
    /// `check` looks for what does not go together.
    ///
    /// # Errors
    /// The text is not right.
    pub fn new(
        path: &Path,
        text: String,
        check: fn(&C) -> Result<(), String>,
        rules: Rules,
    ) -> Result<Self, ConfigError> {
        let config = Arc::new(config::parse_checked(&text, path, check)?);
        let first: Table = config::parse(&text, path)?;
        Ok(Self {
            path: path.to_owned(),
            check,
            rules,
            parts: Vec::new(),
            state: Mutex::new(State {
                text,
                over: Table::new(),
                merged: first.clone(),
                basis: first,
                config,
            }),
            waiting: watch::Sender::default(),
        })
    }

    /// Adds a part, which has the configuration in force already.
    pub fn part(&mut self, part: impl Part<C> + 'static) {
        self.parts.push(Box::new(part));
    }

    /// The configuration in force. Of keys that wait it has the new value.
    pub fn config(&self) -> Arc<C> {
        Arc::clone(&self.state().config)
    }

    /// The text of the file, as it was last accepted.
    pub fn text(&self) -> String {
        self.state().text.clone()
    }

    /// The file that it comes from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys whose new value is not in force, as they are after each change.
    pub fn waiting(&self) -> watch::Receiver<Waiting> {
        self.waiting.subscribe()
    }

    /// Something else than a reload has put keys in force: those that waited for `takes`, or for
    /// less.
    pub fn settle(&self, takes: Takes) {
        let mut state = self.state();
        let State { basis, merged, .. } = &mut *state;
        settle(basis, merged, &|key| self.rules.of(key) <= takes);
        self.tell(&state);
    }

    /// What the process works by, as TOML: for a successor in the same process.
    ///
    /// # Errors
    /// It cannot be written: a defect.
    pub fn basis(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&self.state().basis)
    }

    /// Says that the process works by this TOML, which an earlier program left, and not by what it
    /// began with.
    ///
    /// # Errors
    /// It is none.
    pub fn stand_on(&self, basis: &str) -> Result<(), ConfigError> {
        let basis = config::parse(basis, &self.path)?;
        let mut state = self.state();
        state.basis = basis;
        self.tell(&state);
        Ok(())
    }

    /// Reads the file again and puts it in force.
    ///
    /// # Errors
    /// [`Refused`]: nothing has changed.
    pub fn reload(&self) -> Result<Outcome, Refused> {
        self.replace(config::read(&self.path)?)
    }

    /// Puts another text of the file in force, under what is layered over it.
    ///
    /// # Errors
    /// [`Refused`]: nothing has changed.
    pub fn replace(&self, text: String) -> Result<Outcome, Refused> {
        let mut state = self.state();
        let over = state.over.clone();
        self.apply(&mut state, text, over)
    }

    /// Puts settings in force over those of the file, instead of those that were there; an empty
    /// table takes them away.
    ///
    /// # Errors
    /// [`Refused`]: nothing has changed.
    pub fn layer(&self, over: Table) -> Result<Outcome, Refused> {
        let mut state = self.state();
        let text = state.text.clone();
        self.apply(&mut state, text, over)
    }

    /// The one way by which anything changes. The lock is held throughout, so that two changes
    /// come one after the other.
    fn apply(&self, state: &mut State<C>, text: String, over: Table) -> Result<Outcome, Refused> {
        let file: Table = config::parse(&text, &self.path)?;
        // By itself first: its mistakes have a line, those of a merged table have none.
        let alone: C = config::parse_checked(&text, &self.path, self.check)?;
        let (merged, config) = if over.is_empty() {
            (file, alone)
        } else {
            let merged = merge(&file, &over);
            let config = self.layered(merged.clone())?;
            (merged, config)
        };
        let commits: Vec<Commit> = self
            .parts
            .iter()
            .map(|part| part.prepare(&config))
            .collect::<Result<_, _>>()
            .map_err(Refused::Part)?;
        let mut outcome = self.outcome(state, &merged);
        for commit in commits {
            outcome.renewed.extend(commit.put_in_force());
        }
        *state = State {
            text,
            over,
            merged,
            basis: std::mem::take(&mut state.basis),
            config: Arc::new(config),
        };
        self.tell(state);
        Ok(outcome)
    }

    fn layered(&self, merged: Table) -> Result<C, Refused> {
        let refused = |why: String| Refused::Layered {
            path: self.path.clone(),
            why,
        };
        let config = merged
            .try_into()
            .map_err(|e: toml::de::Error| refused(e.message().to_owned()))?;
        (self.check)(&config).map_err(refused)?;
        Ok(config)
    }

    fn outcome(&self, state: &State<C>, now: &Table) -> Outcome {
        let timed = |key: String| {
            let takes = self.rules.of(&key);
            (key, takes)
        };
        let applied = changed(&state.merged, now).into_iter().map(timed);
        Outcome {
            applied: applied.filter(|(_, takes)| takes.by_reload()).collect(),
            waiting: self.rules.waiting(&state.basis, now),
            renewed: Vec::new(),
        }
    }

    fn tell(&self, state: &State<C>) {
        let waiting = self.rules.waiting(&state.basis, &state.merged);
        self.waiting.send_if_modified(|told| {
            let changed = *told != waiting;
            *told = waiting;
            changed
        });
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        // A part that panics in its commit leaves the state of before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> std::fmt::Debug for Live<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
