//! What does a service's work, and may fail while the rest of it goes on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// It takes work.
    Working,
    /// It starts, or is started again; it has not failed.
    Starting,
    /// It is out of service: its self-test failed, or it keeps dying.
    Failed,
    /// It is there and well, as far as its driver knows, and nothing works on it.
    Idle,
    /// A state that this version does not know.
    #[serde(other)]
    Other,
}

/// A device, or a worker process where the CPU is the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name within the service: `cpu-0`.
    pub name: String,
    /// What it is: `cpu`, `nvidia`, `vaapi`.
    pub kind: String,
    /// How it is.
    pub state: DeviceState,
    /// Why it is not working, in a line; empty while it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What its driver says, if it is a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
}

/// A GPU as its driver describes it. What a driver does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpu {
    /// Product name; empty if it does not even say that.
    pub product: String,
    /// Stays the same over reboots and slots.
    pub uuid: String,
    /// Version of the driver.
    pub driver: String,
    /// Bytes of memory.
    pub memory_total: Option<u64>,
    /// Bytes of it in use.
    pub memory_used: Option<u64>,
    /// Degrees Celsius.
    pub temperature_c: Option<u32>,
    /// At this many the card slows itself down.
    pub slowdown_c: Option<u32>,
    /// Encoder sessions that are open, of all processes.
    pub encoder_sessions: Option<u32>,
    /// Percent of the encoder's time in use.
    pub encoder_utilisation: Option<u32>,
    /// Memory errors that could not be corrected, since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// The last Xid error, if one came since the service started.
    pub last_xid: Option<u64>,
}

/// In a line.
impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebi = |bytes: u64| bytes >> 20;
        write!(f, "{}, driver {}", self.product, self.driver)?;
        if let (Some(used), Some(total)) = (self.memory_used, self.memory_total) {
            write!(f, ", {} of {} MiB", mebi(used), mebi(total))?;
        }
        if let Some(degrees) = self.temperature_c {
            write!(f, ", {degrees} °C")?;
        }
        if let Some(sessions) = self.encoder_sessions {
            write!(f, ", {sessions} encoder sessions")?;
        }
        if let Some(percent) = self.encoder_utilisation {
            write!(f, ", encoder {percent} %")?;
        }
        if let Some(errors) = self.ecc_uncorrected.filter(|errors| *errors > 0) {
            write!(f, ", {errors} uncorrected memory errors")?;
        }
        if let Some(xid) = self.last_xid {
            write!(f, ", Xid {xid}")?;
        }
        Ok(())
    }
}
