//! `rackcast drain` and `rackcast resume`.

use std::time::{Duration, Instant};

use super::{ControlSocket, Exit, complain, say, say_json};
use crate::control::{self, AskError, Judged, Machine, Request};

/// How often to look whether the machine has finished.
const LOOK: Duration = Duration::from_millis(200);

/// Take this machine out of service: nothing new, what it has is finished.
///
/// Its transcode nodes refuse jobs, its ingests new streams, and Consul has it in maintenance, over
/// restarts and reboots until `rackcast resume`. At the deadline publishers that are still there
/// are sent to another ingest.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Why, for those who find the machine so.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// How long streams may stay, such as 30m; without one, until they end.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub deadline: Option<Duration>,
    /// Wait until nothing is left, for so long at most; exits with 1 if something is.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration,
          num_args = 0..=1, default_missing_value = "1h")]
    pub wait: Option<Duration>,
    /// The order as JSON.
    #[arg(long)]
    pub json: bool,
    /// This machine's agent.
    #[command(flatten)]
    pub control: ControlSocket,
}

/// Put this machine back to work after `rackcast drain`.
#[derive(Debug, Clone, clap::Args)]
pub struct ResumeOptions {
    /// The order as JSON.
    #[arg(long)]
    pub json: bool,
    /// This machine's agent.
    #[command(flatten)]
    pub control: ControlSocket,
}

/// Drains.
pub async fn drain(options: &Options) -> Exit {
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
        Some(limit) => finish(&options.control, limit).await,
        None => Exit::Yes,
    }
}

/// Resumes.
pub async fn resume(options: &ResumeOptions) -> Exit {
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

/// Waits until nothing is left.
async fn finish(socket: &ControlSocket, limit: Duration) -> Exit {
    let began = Instant::now();
    loop {
        let left = match control::machine(&socket.control).await {
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
