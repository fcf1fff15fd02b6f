//! An inventory in words.

use std::fmt;

use rackcast_service::status::{Device, DeviceState};

use super::{Clock, Interface, Inventory, Nvidia};

/// An inventory with the devices that a transcode service has, if one said.
#[derive(Debug)]
pub struct Page<'a> {
    /// The machine.
    pub inventory: &'a Inventory,
    /// The devices; `None` if no transcode service could be asked.
    pub devices: Option<&'a [Device]>,
    /// What the service has to say of the GPUs' driver; may be empty.
    pub gpu_driver: &'a str,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inventory {
            system,
            cpu,
            memory,
            disks,
            network,
            render_nodes,
            nvidia,
            clock,
        } = self.inventory;
        let known = |text: &str| match text {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        writeln!(f, "host     {}", known(&system.host))?;
        if !system.product.is_empty() {
            writeln!(f, "machine  {}", system.product)?;
        }
        writeln!(
            f,
            "system   {}, kernel {}",
            known(&system.os),
            known(&system.kernel)
        )?;
        let (cores, threads) = (cpu.cores, cpu.threads);
        let (model, sockets) = (known(&cpu.model), cpu.sockets);
        writeln!(
            f,
            "cpu      {model}: {sockets} sockets, {cores} cores, {threads} threads"
        )?;
        if !cpu.features.is_empty() {
            writeln!(f, "         {}", cpu.features.join(" "))?;
        }
        let (total, available) = (bytes(memory.total), bytes(memory.available));
        writeln!(
            f,
            "memory   {total}, {available} available, swap {}",
            bytes(memory.swap)
        )?;
        for disk in disks {
            let kind = match disk.rotational {
                Some(true) => ", turns",
                Some(false) => ", solid",
                None => "",
            };
            writeln!(
                f,
                "disk     {}: {}{kind} {}",
                disk.name,
                bytes(disk.bytes),
                disk.model
            )?;
        }
        for interface in network {
            writeln!(f, "network  {interface}")?;
        }
        for node in render_nodes {
            writeln!(
                f,
                "vaapi    {}: {} {}",
                node.name,
                known(&node.driver),
                node.pci
            )?;
        }
        if render_nodes.is_empty() {
            writeln!(f, "vaapi    no render node")?;
        }
        writeln!(f, "nvidia   {nvidia}")?;
        if !self.gpu_driver.is_empty() {
            writeln!(f, "driver   {}", self.gpu_driver)?;
        }
        match self.devices {
            None => writeln!(f, "devices  no transcode service could be asked")?,
            Some([]) => writeln!(f, "devices  the transcode service has none")?,
            Some(devices) => {
                for device in devices {
                    writeln!(f, "device   {}", device_line(device))?;
                }
            }
        }
        writeln!(f, "clock    {clock}")
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.up {
            Some(true) => "up",
            Some(false) => "down",
            None => "of unknown state",
        };
        write!(f, "{}: {state}", self.name)?;
        match self.mbit {
            Some(mbit) if mbit % 1_000 == 0 => write!(f, ", {} Gbit/s", mbit / 1_000)?,
            Some(mbit) => write!(f, ", {mbit} Mbit/s")?,
            None => {}
        }
        match (self.physical, self.driver.as_str()) {
            (false, _) => write!(f, ", virtual"),
            (true, "") => Ok(()),
            (true, driver) => write!(f, ", {driver}"),
        }
    }
}

impl fmt::Display for Nvidia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no card"),
            Self::NoDriver { cards } => write!(
                f,
                "{cards} cards and no driver: install NVIDIA's, or leave them to the desktop"
            ),
            Self::Broken {
                driver,
                cards,
                usable,
            } => write!(
                f,
                "driver {driver} can use {usable} of {cards} cards: see the kernel's log (NVRM, Xid)"
            ),
            Self::Ready { driver, cards } => {
                let names = cards.iter().map(|(name, _)| name.as_str());
                write!(
                    f,
                    "driver {driver}: {}",
                    names.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(how) => write!(
                f,
                "kept, {:?} to correct, off by {:?} at most",
                how.offset(),
                std::time::Duration::from_micros(how.max_error_us.unsigned_abs())
            ),
            Self::Free => f.write_str("nothing keeps it: install chrony or systemd-timesyncd"),
            Self::Unknown { why } => write!(f, "the kernel does not say: {why}"),
        }
    }
}

/// A device in a line.
pub fn device_line(device: &Device) -> String {
    let state = match device.state {
        DeviceState::Working => "working",
        DeviceState::Starting => "starting",
        DeviceState::Failed => "failed",
        DeviceState::Idle => "idle",
        DeviceState::Other => "in a state that this program does not know",
    };
    let mut line = format!("{} ({}): {state}", device.name, device.kind);
    if !device.reason.is_empty() {
        line = format!("{line}: {}", device.reason);
    }
    match &device.gpu {
        Some(gpu) => format!("{line}; {gpu}"),
        None => line,
    }
}

/// In the largest unit of which there is one.
fn bytes(count: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits = units.iter().find(|(_, shift)| count >> shift > 0);
    fits.map_or_else(
        || format!("{count} B"),
        |(unit, shift)| format!("{:.1} {unit}", count as f64 / (1_u64 << shift) as f64),
    )
}
