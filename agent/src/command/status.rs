//! `rackcast status`: this machine on one screen.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use rackcast_service::status::{Device, DeviceState, HealthState, ServiceStatus};

use super::{Exit, complain, say, say_json};
use crate::control::{self, AskError, Judged, Machine};
use crate::inventory::device_line;
use crate::machine;

/// Show this machine: its services, how they are, and whether it drains.
///
/// Exits with 1 if something is not well. Without an agent the services are asked themselves.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Folder of the services' status sockets.
    #[arg(long, value_name = "DIR", default_value = "/run/rackcast")]
    pub socket_dir: PathBuf,
    /// The agent's control socket; `agent.control` in that folder.
    #[arg(long, value_name = "PATH", env = "RACKCAST_CONTROL")]
    pub control: Option<PathBuf>,
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
    match is_well(&machine) {
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
    match asked.is_well() {
        true => Exit::Yes,
        false => Exit::No,
    }
}

/// There is a service, none is critical, and the agent can do its work.
fn is_well(machine: &Machine) -> bool {
    let well = |state: HealthState| state != HealthState::Critical;
    !machine.services.is_empty()
        && well(machine.agent.health.state)
        && machine.services.iter().all(|service| well(service.state))
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

/// A line for each device that has something to tell.
fn devices(status: &ServiceStatus) -> String {
    let quiet = |device: &Device| device.state == DeviceState::Working && device.gpu.is_none();
    let loud = status.devices.iter().filter(|device| !quiet(device));
    loud.map(|device| format!("  {}\n", device_line(device)))
        .collect()
}
