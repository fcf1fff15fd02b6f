//! Reload and hand-over: what the operator asks for while it runs.
//!
//! SIGHUP puts the configuration file in force where it can be, in every generation. SIGUSR2 has a
//! new generation take over, from the program and the file that are on disk. When a package has
//! replaced the program, SIGHUP does that too: the file may be one that only the new program knows.
//!
//! Nothing that is wrong with either ends what runs. The program on disk is asked first whether it
//! can go on from here; then it replaces the supervisor's in this process, and starts a generation.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rackcast_service::config::{self, ConfigError};
use rackcast_service::notify;
use rackcast_service::process::{RESUME_VARIABLE, memory_file, replace_program};
use rackcast_service::reload::{self, Refused};

use super::binary::Binary;
use super::control::{BASIS_FD, CONFIG_FD, Order, Reloaded};
use super::held::{Candidate, Judged, Pending, Supervisor};
use super::resume::State;
use crate::config::Config;

/// How long generations may take to put a configuration in force.
const IN_FORCE: Duration = Duration::from_secs(10);

impl Supervisor {
    /// SIGHUP.
    pub(super) async fn reload(&mut self) {
        let newest = self.members.iter().max_by_key(|m| m.number);
        let replaced = match (Binary::on_disk(), newest) {
            (Ok(on_disk), Some(newest)) => on_disk != newest.binary,
            _ => false,
        };
        if replaced {
            log::info!("the program on disk is another one: a new generation shall take over");
            return self.ask_for_hand_over();
        }
        notify::reloading();
        match self.checked() {
            Ok(text) => self.put_in_force(text).await,
            Err(e) => {
                for member in &mut self.members {
                    member.order(&Order::Refused, Bytes::new()).await;
                }
                finish(&Err(e.into()));
            }
        }
    }

    /// The file's text, if it is right.
    fn checked(&self) -> Result<String, ConfigError> {
        let text = config::read(self.live.path())?;
        config::parse_checked(&text, self.live.path(), Config::check)?;
        Ok(text)
    }

    async fn put_in_force(&mut self, text: String) {
        self.reloads += 1;
        let number = self.reloads;
        let payload = Bytes::from(text.clone());
        for member in &mut self.members {
            member
                .order(&Order::Reload { number }, payload.clone())
                .await;
        }
        self.pending = Some(Pending {
            number,
            text,
            until: Instant::now() + IN_FORCE,
        });
    }

    /// A generation says how the last reload went there.
    pub(super) fn reloaded(&mut self, number: u64, reloaded: Reloaded) {
        let answered = self
            .pending
            .as_ref()
            .is_some_and(|p| p.number == reloaded.number);
        if !answered || self.set.serving() != Some(number) {
            return;
        }
        let Some(pending) = self.pending.take() else {
            return;
        };
        match reloaded.refused {
            None => {
                let kept = self.keep(pending.text);
                if kept.is_ok() {
                    // The one that starts was told of it too, whatever it began with.
                    (self.candidate, self.starting) = (None, None);
                }
                finish(&kept.map(|outcome| reload::Outcome {
                    renewed: reloaded.renewed,
                    ..outcome
                }));
            }
            Some(why) => finish(&Err(Refused::Part(why))),
        }
    }

    /// No generation said in time how the reload went.
    pub(super) fn give_up_waiting(&mut self) {
        if self
            .pending
            .as_ref()
            .is_some_and(|p| Instant::now() >= p.until)
        {
            self.pending = None;
            let why = format!("no generation put it in force within {IN_FORCE:?}");
            finish(&Err(Refused::Part(why)));
        }
    }

    /// SIGUSR2.
    pub(super) fn ask_for_hand_over(&mut self) {
        if self.judging.is_some() {
            return;
        }
        notify::reloading();
        let path = self.live.path().to_owned();
        let state = State::of(self.set.save(Instant::now()), &self.members);
        self.judging = Some(tokio::spawn(async move {
            let text = match config::read(&path) {
                Ok(text) => text,
                Err(e) => return e.into(),
            };
            let judged = async {
                let (state, _) = state?;
                let state = serde_json::to_string(&state)?;
                let binary = Binary::on_disk()?;
                let fit = binary.is_fit(&path, &text, &state).await;
                fit.map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(binary)
            };
            match judged.await {
                Ok(binary) => Judged::Fit(binary, text),
                Err(e) => Judged::Unfit(e.to_string()),
            }
        }));
    }

    pub(super) async fn judged(&mut self, judged: Judged) {
        let (binary, text) = match judged {
            Judged::Fit(binary, text) => (binary, text),
            Judged::Unfit(why) => return self.refuse_hand_over(&why).await,
        };
        if Binary::own().is_ok_and(|own| own != binary) {
            let why = self.replace_program(&binary, &text);
            return self.refuse_hand_over(&why).await;
        }
        self.candidate = Some(Candidate { text });
        let orders = self.set.hand_over(Instant::now());
        self.carry_out(orders).await;
    }

    /// Goes on as the program on disk; returns only if that fails, with the reason.
    fn replace_program(&self, binary: &Binary, text: &str) -> String {
        let replaced = || {
            let (state, mut fds) = State::of(self.set.save(Instant::now()), &self.members)?;
            let state = serde_json::to_string(&state)?;
            fds.push((
                CONFIG_FD.to_owned(),
                memory_file(CONFIG_FD, text.as_bytes())?,
            ));
            let basis = self.live.basis().map_err(std::io::Error::other)?;
            fds.push((
                BASIS_FD.to_owned(),
                memory_file(BASIS_FD, basis.as_bytes())?,
            ));
            fds.extend(self.listeners.fds()?);
            let config = self.live.path().as_os_str();
            log::info!("this supervisor goes on as the program on disk");
            let arguments = ["--config".as_ref(), config];
            let variables = [(RESUME_VARIABLE, state.as_str())];
            Err::<(), _>(replace_program(binary.path(), &arguments, &variables, fds))
        };
        replaced().map_or_else(|e| e.to_string(), |()| String::new())
    }
}

/// Says how a reload went, to all who want to know.
fn finish(result: &Result<reload::Outcome, Refused>) {
    reload::tell(result);
    notify::ready();
}
