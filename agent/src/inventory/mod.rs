//! What this machine is made of: `rackcast inventory`.
//!
//! Everything is read from `/proc`, `/sys` and `/etc`, below a root that a test can replace; the
//! parsers are pure. What a machine does not have, or does not tell, is a statement of its own and
//! never an error: a rack is a mixed lot. What a GPU's driver says comes from the transcode service
//! that has the devices ([`rackcast_service::status::Gpu`]).

mod clock;
mod cpu;
mod disks;
mod gpus;
mod memory;
mod network;
mod system;
mod text;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use clock::{Clock, Discipline};
pub use cpu::Cpu;
pub use disks::Disk;
pub use gpus::{Nvidia, RenderNode};
pub use memory::Memory;
pub use network::{Interface, interfaces};
pub use system::System;
pub use text::{Page, device_line};

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// Kernel and distribution.
    pub system: System,
    /// Processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Whole disks.
    pub disks: Vec<Disk>,
    /// Network interfaces, without loopback.
    pub network: Vec<Interface>,
    /// What VA-API can be tried on.
    pub render_nodes: Vec<RenderNode>,
    /// NVIDIA's cards, as far as the system sees them.
    pub nvidia: Nvidia,
    /// The clock.
    pub clock: Clock,
}

impl Inventory {
    /// Looks at the machine below `root`, which is `/` but in tests; the clock is this machine's.
    pub fn take(root: &Path) -> Self {
        let root = Root(root.to_owned());
        Self {
            system: System::of(&root),
            cpu: Cpu::of(&root),
            memory: Memory::of(&root),
            disks: disks::all(&root),
            network: network::all(&root),
            render_nodes: gpus::render_nodes(&root),
            nvidia: Nvidia::of(&root),
            clock: Clock::now(),
        }
    }
}

/// Where the files are read from. What cannot be read is absent.
#[derive(Debug, Clone)]
pub(crate) struct Root(pub(crate) PathBuf);

impl Root {
    /// A file's text, without the space around it.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.0.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file that holds one number.
    pub(crate) fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// Names in a folder, in order.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join(path)) else {
            return Vec::new();
        };
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
        let mut names: Vec<_> = entries.flatten().filter_map(name).collect();
        names.sort();
        names
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// The last part of what a link points to: how sysfs names a driver.
    pub(crate) fn link(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.0.join(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }
}

/// The value of `key` in lines of `key SEPARATOR value`.
fn field<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests;
