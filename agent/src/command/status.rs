//! `rackcast status`: this machine on one screen.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rackcast_service::reload::Takes;
use rackcast_service::status::{
    Device, DeviceState, Generation, HealthState, Phase, ServiceStatus,
};

use super::{Exit, complain, say, say_json};
use crate::control::{self, AskError, Judged, Machine};
use crate::inventory::device_line;
use crate::machine;

/// Show this machine: its services, how they are, and whether it drains.
///
/// Exits with 1 if something is critical, with `--strict` also if something warns. Without an agent
/// that is so: the services are asked themselves, and Consul soon gives up the machine.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Folder of the services' status sockets.
    #[arg(long, value_name = "DIR", default_value = "/run/rackcast")]
    pub socket_dir: PathBuf,
    /// The agent's control socket; `agent.control` in that folder.
    #[arg(long, value_name = "PATH", env = "RACKCAST_CONTROL")]
    pub control: Option<PathBuf>,
    /// Exit with 1 also for a warning, a drain, a service that is not in Consul, and keys of
    /// configuration that are not in force.
    #[arg(long)]
    pub strict: bool,
    /// What the agent knows, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Asks, and tells.
pub async fn run(options: &Options) -> Exit {
    let control = options.control.clone();
    let control = control.unwrap_or_else(|| options.socket_dir.join("agent.control"));
    let machine = match control::machine(&control).await {
        Ok(machine) => machine,
        Err(error) if options.json => return complain(Exit::Unasked, &error),
        Err(error) => return without_agent(options, &error).await,
    };
    match options.json {
        true => _ = say_json(&machine),
        false => say(Screen(&machine, SystemTime::now())),
    }
    match is_well(&machine) && (!options.strict || is_quiet(&machine)) {
        true => Exit::Yes,
        false => Exit::No,
    }
}

async fn without_agent(options: &Options, why: &AskError) -> Exit {
    let asked = match machine::Machine::ask(&options.socket_dir).await {
        Ok(asked) => asked,
        Err(error) => {
            let folder = options.socket_dir.display();
            return complain(Exit::Unasked, &format!("{folder}: {error}"));
        }
    };
    complain(Exit::No, why);
    say(&asked);
    Exit::No
}

/// There is a service, none is critical, and the agent can do its work.
fn is_well(machine: &Machine) -> bool {
    let well = |state: HealthState| state != HealthState::Critical;
    !machine.services.is_empty()
        && well(machine.agent.health.state)
        && machine.services.iter().all(|service| well(service.state))
}

/// There is nothing to say of it either.
fn is_quiet(machine: &Machine) -> bool {
    let passes = |state: HealthState| state == HealthState::Passing;
    machine.order.drain.is_none()
        && passes(machine.agent.health.state)
        && machine.agent.waiting.is_empty()
        && machine.findings.values().all(|found| passes(found.state))
        && machine.services.iter().all(|service| {
            passes(service.state) && service.registered && service.status.waiting.is_empty()
        })
}

/// A machine, and the time that it is.
struct Screen<'a>(&'a Machine, SystemTime);

impl fmt::Display for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(machine, now) = self;
        let zone = match machine.zone.as_str() {
            "" => String::new(),
            zone => format!(" in zone {zone}"),
        };
        writeln!(f, "{}{zone}: {}", machine.node, order(machine, *now))?;
        let agent = &machine.agent;
        let (version, health) = (&agent.version, &agent.health);
        writeln!(f, "agent {version}: {}: {}", health.state, health.summary)?;
        f.write_str(&waiting(agent))?;
        for (name, found) in &machine.findings {
            if found.state != HealthState::Passing {
                writeln!(f, "{name}: {}: {}", found.state, found.line)?;
            }
        }
        if machine.services.is_empty() {
            return writeln!(f, "no service runs here");
        }
        let widest = machine.services.iter().map(|service| service.id.len());
        let width = widest.max().unwrap_or(0).max("SERVICE".len());
        writeln!(
            f,
            "\n{:<width$}  {:<9} {:>5} {:<9} HEALTH",
            "SERVICE", "STATE", "WORK", "VERSION"
        )?;
        for service in &machine.services {
            let status = &service.status;
            let (id, state) = (&service.id, state(service));
            let (work, version) = (status.work, &status.version);
            let consul = match service.registered {
                true => "",
                false => " (not in Consul)",
            };
            let (health, reason) = (service.state, &service.reason);
            writeln!(
                f,
                "{id:<width$}  {state:<9} {work:>5} {version:<9} {health}: {reason}{consul}"
            )?;
            f.write_str(&devices(status))?;
            f.write_str(&generations(status, *now))?;
            f.write_str(&waiting(status))?;
        }
        Ok(())
    }
}

fn order(machine: &Machine, now: SystemTime) -> String {
    match (&machine.order.drain, machine.order.is_overdue(now)) {
        (None, _) => "at work".to_owned(),
        (Some(_), false) => machine.order.to_string(),
        (Some(_), true) => format!("{} (its deadline is over)", machine.order),
    }
}

fn state(service: &Judged) -> &'static str {
    let status = &service.status;
    match (service.running, status.draining, status.ready) {
        (false, ..) => "gone",
        (_, true, _) if status.work == 0 => "drained",
        (_, true, _) => "draining",
        (_, _, true) => "ready",
        (_, _, false) => "starting",
    }
}

/// A line for each process of a service that hands over from one to the next, if there are several.
fn generations(status: &ServiceStatus, now: SystemTime) -> String {
    let all = &status.generations;
    let several = all.iter().filter(|_| all.len() > 1);
    let now = now.duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let span = |seconds| humantime::format_duration(Duration::from_secs(seconds));
    let line = |g: &Generation| {
        let limit = match (g.until, g.phase) {
            (None, _) => String::new(),
            (Some(at), phase) => {
                let then = match phase {
                    Phase::Starting => "is given up",
                    Phase::Retired => "sends its publishers to the newest",
                    Phase::Serving | Phase::Leaving => "ends",
                    Phase::Ending => "is killed",
                };
                format!("; {then} in {} at the latest", span(at.saturating_sub(now)))
            }
        };
        format!(
            "  generation {} {}: {} for {}, {} streams{limit}\n",
            g.number,
            g.version,
            g.phase,
            span(now.saturating_sub(g.since)),
            g.streams
        )
    };
    several.map(line).collect()
}

/// A line for what each of the keys waits for that are not in force.
fn waiting(status: &ServiceStatus) -> String {
    let line = |takes: Takes| {
        let keys = status.waiting.iter().filter(|(_, t)| **t == takes);
        let keys: Vec<_> = keys.map(|(key, _)| key.as_str()).collect();
        let awaited = takes.awaited().filter(|_| !keys.is_empty());
        awaited.map(|awaited| format!("  not in force before a {awaited}: {}\n", keys.join(", ")))
    };
    [Takes::Handover, Takes::Restart]
        .into_iter()
        .filter_map(line)
        .collect()
}

/// A line for each device that has something to tell.
fn devices(status: &ServiceStatus) -> String {
    let quiet = |device: &Device| device.state == DeviceState::Working && device.gpu.is_none();
    let loud = status.devices.iter().filter(|device| !quiet(device));
    loud.map(|device| format!("  {}\n", device_line(device)))
        .collect()
}

#[cfg(test)]
mod tests {
    use rackcast_service::status::Role;

    use super::*;

    #[test]
    fn what_serves_on_and_what_waits_is_shown() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let mut status = ServiceStatus::new(Role::Ingest, "edge-1", "1", "0.2.0");
        let generation = |number, phase, until| Generation {
            number,
            pid: 7,
            version: "0.1.0".to_owned(),
            phase,
            since: 9_000,
            until,
            streams: 2,
        };
        status.generations = vec![generation(2, Phase::Serving, None)];
        assert_eq!(generations(&status, now), "", "one is no news");
        status
            .generations
            .insert(0, generation(1, Phase::Retired, Some(13_600)));
        assert_eq!(
            generations(&status, now),
            "  generation 1 0.1.0: retired for 16m 40s, 2 streams; sends its publishers to the \
             newest in 1h at the latest\n  \
             generation 2 0.1.0: serving for 16m 40s, 2 streams\n"
        );

        assert_eq!(waiting(&status), "");
        let key = |key: &str, takes| (key.to_owned(), takes);
        status.waiting = [
            key("listen.https", Takes::Restart),
            key("listen.rtmp", Takes::Restart),
            key("http.max_connections", Takes::Handover),
        ]
        .into();
        assert_eq!(
            waiting(&status),
            "  not in force before a hand-over: http.max_connections\n  \
             not in force before a restart: listen.https, listen.rtmp\n"
        );
    }
}
