//! `rackcast drain` and `rackcast resume`, of this machine or of another one ([`remote`]).

mod remote;

use std::time::{Duration, Instant};

use rackcast_service::drain::Order;

use super::fleet::Names;
use super::{ControlSocket, Exit, complain, say, say_json};
use crate::control::{self, AskError, Judged, Machine, Request};
use crate::reach::Reach;

/// How often to look whether the machine has finished.
const LOOK: Duration = Duration::from_millis(200);

/// How the agent of another machine is reached.
#[derive(Debug, Clone, clap::Args)]
pub struct Far {
    /// Where Consul is.
    #[command(flatten)]
    pub reach: Reach,
    /// What the services are called in Consul.
    #[command(flatten)]
    pub names: Names,
}

/// Take a machine out of service: nothing new, what it has is finished.
///
/// Its transcode nodes refuse jobs, its ingests new streams, and Consul has it in maintenance, over
/// restarts and reboots until `rackcast resume`. At the deadline publishers that are still there
/// are sent to another ingest.
///
/// Another machine's agent is told through Consul, where the order stands until it is taken: exits with
/// 3 if nobody was seen to take it yet.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Another machine, by the name that `rackcast nodes` has for it; without one, this machine.
    #[arg(value_name = "NODE")]
    pub node: Option<String>,
    /// Why, for those who find the machine so.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// How long streams may stay, such as 30m; without one, until they end.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub deadline: Option<Duration>,
    /// Wait until nothing is left, for so long at most; exits with 1 if something is. Of another
    /// machine: until it has taken the order.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration,
          num_args = 0..=1, default_missing_value = "1h")]
    pub wait: Option<Duration>,
    /// The order as JSON.
    #[arg(long)]
    pub json: bool,
    /// This machine's agent.
    #[command(flatten)]
    pub control: ControlSocket,
    /// The way to another machine's.
    #[command(flatten)]
    pub far: Far,
}

/// Put a machine back to work after `rackcast drain`.
#[derive(Debug, Clone, clap::Args)]
pub struct ResumeOptions {
    /// Another machine, by the name that `rackcast nodes` has for it; without one, this machine.
    #[arg(value_name = "NODE")]
    pub node: Option<String>,
    /// The order as JSON.
    #[arg(long)]
    pub json: bool,
    /// This machine's agent.
    #[command(flatten)]
    pub control: ControlSocket,
    /// The way to another machine's.
    #[command(flatten)]
    pub far: Far,
}

/// Drains.
pub async fn drain(options: &Options) -> Exit {
    if let Some(node) = &options.node {
        let order = remote::order(&options.reason, options.deadline, false);
        let wait = options.wait.unwrap_or(remote::TAKEN_WITHIN);
        return remote::give(node, &order, &options.far, wait, options.json).await;
    }
    let request = Request {
        reason: options.reason.clone(),
        deadline_s: options.deadline.map(|time| time.as_secs().max(1)),
        sudo_user: std::env::var("SUDO_USER").ok(),
    };
    let order = match control::drain(&options.control.control, &request).await {
        Ok(order) => order,
        Err(error) => return refused(&error),
    };
    match options.json {
        true => _ = say_json(&order),
        false => say(format_args!("{order}\n")),
    }
    match options.wait {
        Some(limit) => finish(&options.control, limit, &order).await,
        None => Exit::Yes,
    }
}

/// Resumes.
pub async fn resume(options: &ResumeOptions) -> Exit {
    if let Some(node) = &options.node {
        let order = remote::order("", None, true);
        let wait = remote::TAKEN_WITHIN;
        return remote::give(node, &order, &options.far, wait, options.json).await;
    }
    let request = Request {
        sudo_user: std::env::var("SUDO_USER").ok(),
        ..Request::default()
    };
    match control::resume(&options.control.control, &request).await {
        Ok(order) if options.json => say_json(&order),
        Ok(order) => {
            say(format_args!("{order}\n"));
            Exit::Yes
        }
        Err(error) => refused(&error),
    }
}

/// Waits until nothing is left of what there was before this order.
async fn finish(socket: &ControlSocket, limit: Duration, order: &Order) -> Exit {
    let began = Instant::now();
    loop {
        let left = match control::machine(&socket.control).await {
            // It tells of the machine as it last looked at it, which may be before the order.
            Ok(machine) if machine.order.at_ms < order.at_ms => {
                vec!["the agent has not looked yet".to_owned()]
            }
            Ok(machine) if !machine.order.is_drain() => {
                return complain(Exit::No, &format!("meanwhile {}", machine.order));
            }
            Ok(machine) => left(&machine),
            Err(error) => vec![error.to_string()],
        };
        if left.is_empty() {
            eprintln!("nothing is left on this machine");
            return Exit::Yes;
        }
        if began.elapsed() >= limit {
            return complain(Exit::No, &format!("still there: {}", left.join("; ")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The services that have not finished.
fn left(machine: &Machine) -> Vec<String> {
    let unfinished = |service: &&Judged| {
        // One that is not running has nothing.
        service.running && (!service.status.draining || service.status.work > 0)
    };
    let tell = |service: &Judged| match service.status.draining {
        true => format!("{} has {}", service.id, service.status.work),
        false => format!("{} has not heard of it", service.id),
    };
    machine
        .services
        .iter()
        .filter(unfinished)
        .map(tell)
        .collect()
}

fn refused(error: &AskError) -> Exit {
    let exit = match error {
        AskError::Refused(_) => Exit::No,
        _ => Exit::Unasked,
    };
    complain(exit, error)
}
