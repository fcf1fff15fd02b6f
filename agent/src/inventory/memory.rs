//! Memory: `/proc/meminfo`.

use serde::Serialize;

use super::{Root, field};

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What can be had without swapping.
    pub available: u64,
    /// Swap space.
    pub swap: u64,
}

impl Memory {
    pub(super) fn of(root: &Root) -> Self {
        let text = root.text("proc/meminfo").unwrap_or_default();
        let bytes = |key| {
            let kibi = field(&text, key, ':').and_then(|value| value.strip_suffix("kB"));
            let kibi = kibi.and_then(|kibi| kibi.trim().parse::<u64>().ok());
            kibi.unwrap_or(0).saturating_mul(1024)
        };
        Self {
            total: bytes("MemTotal"),
            available: bytes("MemAvailable"),
            swap: bytes("SwapTotal"),
        }
    }
}
