//! What the agent looks at itself, beside what services say: the machine under them.
//!
//! | Probe | Finds |
//! |---|---|
//! | [`clock`] | a clock that is off |
//! | [`consul`] | a Consul agent that does not answer |
//! | [`disk`] | a file system that is nearly full |
//! | [`network`] | a link that was up and is down |
//! | [`devices`], [`gpu`] | failed devices, and GPUs that are hot or report errors, from the status of the service that has them |
//!
//! (Whether a service answers and makes progress is the [`board`](crate::board)'s to judge.)
//!
//! Each probe of the machine is a task of its own, with its [`Pace`]: how often, how long it may
//! take, and after how many findings in a row it changes its mind ([`Hysteresis`]). A probe that
//! takes too long has found that. All of them tell one watch channel, and their sum goes into the
//! check `devices` of each service, the agent's status and its metrics. What is wrong with the
//! machine is a warning and no more: whether a service still works, its own word and its progress
//! say.

mod clock;
mod config;
mod consul;
pub mod devices;
mod disk;
pub mod gpu;
mod hysteresis;
mod network;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rackcast_consul::client::Client;
use rackcast_service::status::HealthState;
use rackcast_service::vital;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

pub use config::{Clock, Config, Consul, Disk, Gpu, Network, Pace};
pub use hysteresis::Hysteresis;

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The grade.
    pub state: HealthState,
    /// One line that stays the same while nothing changes.
    pub line: String,
}

impl Finding {
    /// All is well.
    pub fn well(line: impl Into<String>) -> Self {
        Self {
            state: HealthState::Passing,
            line: line.into(),
        }
    }

    /// Someone should look.
    pub fn warning(line: impl Into<String>) -> Self {
        Self {
            state: HealthState::Warning,
            line: line.into(),
        }
    }
}

/// What every probe found last, by its name.
pub type Findings = BTreeMap<String, Finding>;

/// Starts every probe of the machine, until `shutdown`.
pub fn spawn(
    config: &Config,
    client: Client,
    shutdown: &CancellationToken,
) -> watch::Receiver<Findings> {
    let (told, findings) = watch::channel(Findings::new());
    let start = |name: &'static str, pace: Pace, look: Look| {
        let probing = run(name, pace, look, told.clone());
        let shutdown = shutdown.clone();
        vital::spawn("a probe of the machine", &shutdown.clone(), async move {
            shutdown.run_until_cancelled(probing).await;
        });
    };
    let limit = config.clock.max_offset;
    start(
        "clock",
        config.clock.pace,
        Look::of(move || clock::look(limit)),
    );
    let disk = config.disk.clone();
    start("disk", disk.pace, Look::of(move || disk::look(&disk)));
    let mut network = network::Watched::new(&config.network, PathBuf::from("/"));
    start(
        "network",
        config.network.pace,
        Look::of(move || network.look()),
    );
    start("consul", config.consul.pace, Look::Consul(client));
    findings
}

/// How a probe looks.
enum Look {
    /// By system calls, which may take their time.
    System(Box<dyn FnMut() -> Finding + Send>),
    Consul(Client),
}

impl Look {
    fn of(look: impl FnMut() -> Finding + Send + 'static) -> Self {
        Self::System(Box::new(look))
    }
}

async fn run(name: &'static str, pace: Pace, mut look: Look, told: watch::Sender<Findings>) {
    let mut hysteresis = Hysteresis::new(pace.worse_after, pace.better_after);
    let mut ticks = tokio::time::interval(pace.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let late = || Finding::warning(format!("{name}: no answer within {:?}", pace.timeout));
    loop {
        ticks.tick().await;
        let found = match look {
            Look::Consul(client) => {
                let found = tokio::time::timeout(pace.timeout, consul::look(&client)).await;
                look = Look::Consul(client);
                found.unwrap_or_else(|_| late())
            }
            Look::System(mut call) => {
                let mut looking = tokio::task::spawn_blocking(move || (call(), call));
                let in_time = tokio::time::timeout(pace.timeout, &mut looking).await;
                if in_time.is_err() {
                    tell(name, hysteresis.take(late()), &told);
                }
                // A system call that hangs cannot be called off: there is one at a time.
                let done = match in_time {
                    Ok(done) => done,
                    Err(_) => looking.await,
                };
                match done {
                    Ok((found, call)) => {
                        look = Look::System(call);
                        found
                    }
                    Err(error) => {
                        log::error!("the probe {name} has ended: {error}");
                        return;
                    }
                }
            }
        };
        tell(name, hysteresis.take(found), &told);
    }
}

fn tell(name: &str, shown: &Finding, told: &watch::Sender<Findings>) {
    told.send_if_modified(|findings| {
        let before = findings.get(name);
        if before == Some(shown) {
            return false;
        }
        match (before.map(|f| f.state), shown.state) {
            (None, HealthState::Passing) => {}
            (_, HealthState::Passing) => log::info!("{name}: {}", shown.line),
            _ => log::warn!(rackcast_reason = name; "{}", shown.line),
        }
        findings.insert(name.to_owned(), shown.clone());
        true
    });
}

/// The findings that are no good news, in one line; `None` if there is none.
pub fn sum<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<Finding> {
    let mut all: Option<Finding> = None;
    for found in findings {
        if found.state == HealthState::Passing {
            continue;
        }
        all = Some(match all {
            None => found.clone(),
            Some(before) => Finding {
                state: before.state.max(found.state),
                line: format!("{}; {}", before.line, found.line),
            },
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bad_news_add_up() {
        assert_eq!(sum(&[Finding::well("fine")]), None);
        let found = [
            Finding::warning("eno1 is down"),
            Finding::well("fine"),
            Finding::warning("/ is full"),
        ];
        let all = sum(&found).unwrap();
        assert_eq!(all, Finding::warning("eno1 is down; / is full"));
    }

    #[tokio::test]
    async fn a_probe_that_hangs_has_found_that() {
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let look = Look::of(move || {
            let _ = held.recv();
            Finding::well("fine")
        });
        let pace = Pace {
            interval: Duration::from_millis(10),
            timeout: Duration::from_millis(20),
            worse_after: 1,
            better_after: 1,
        };
        let told = watch::Sender::new(Findings::new());
        let mut findings = told.subscribe();
        let probing = tokio::spawn(run("disk", pace, look, told));
        let mut until = async |line: &str| {
            let found = findings.wait_for(|f| f.get("disk").is_some_and(|f| f.line == line));
            tokio::time::timeout(Duration::from_secs(10), found)
                .await
                .unwrap()
                .unwrap();
        };
        until("disk: no answer within 20ms").await;
        drop(let_go);
        until("fine").await;
        probing.abort();
    }
}
