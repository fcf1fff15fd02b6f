//! `rackcast inventory`: what this machine is made of.

use std::path::Path;

use rackcast_service::status::{Device, Role};
use serde_json::json;

use super::{ControlSocket, Exit, say, say_json};
use crate::control::{self, Machine};
use crate::inventory::{Inventory, Page};

/// Show what this machine is made of: processors, memory, disks, network, GPUs, kernel, clock.
///
/// The transcode service is asked for its devices by way of the agent; without either that is said.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// This machine's agent.
    #[command(flatten)]
    pub control: ControlSocket,
}

/// Looks, and tells.
pub async fn run(options: &Options) -> Exit {
    let inventory = Inventory::take(Path::new("/"));
    let machine = control::machine(&options.control.control).await.ok();
    let devices = machine.as_ref().and_then(devices);
    let gpu_driver = machine.as_ref().map(gpu_driver).unwrap_or_default();
    if options.json {
        let mut all = json!(inventory);
        all["devices"] = json!(devices);
        all["gpu_driver"] = json!(gpu_driver);
        return say_json(&all);
    }
    say(Page {
        inventory: &inventory,
        devices: devices.as_deref(),
        gpu_driver,
    });
    Exit::Yes
}

/// The devices of all transcode services; `None` without one.
fn devices(machine: &Machine) -> Option<Vec<Device>> {
    let services = machine.services.iter();
    let mut transcoders = services
        .filter(|service| service.running && service.status.role == Role::Transcode)
        .peekable();
    transcoders.peek()?;
    Some(
        transcoders
            .flat_map(|service| service.status.devices.clone())
            .collect(),
    )
}

/// What the first transcode service that knows has to say of the GPUs' driver.
fn gpu_driver(machine: &Machine) -> &str {
    let services = machine.services.iter();
    let mut said = services.map(|service| service.status.gpu_driver.as_str());
    said.find(|said| !said.is_empty()).unwrap_or_default()
}
