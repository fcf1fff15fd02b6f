//! How well the clock is kept, as the kernel knows it from whatever disciplines it (chrony,
//! timesyncd, ntpd, PTP).
#![allow(unsafe_code, reason = "nix has no adjtimex; this one only reads")]

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use nix::libc;
use serde::Serialize;

/// The clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Clock {
    /// Something keeps it.
    Kept(Discipline),
    /// Nothing keeps it: it drifts.
    Free,
    /// The system does not say.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// How far a kept clock may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Discipline {
    /// What is still to be corrected, in microseconds.
    pub offset_us: i64,
    /// At most it is off by this, in microseconds.
    pub max_error_us: i64,
}

impl Discipline {
    /// What is still to be corrected, whichever way.
    pub fn offset(&self) -> Duration {
        Duration::from_micros(self.offset_us.unsigned_abs())
    }
}

impl Clock {
    /// Asks the kernel.
    pub fn now() -> Self {
        let mut timex = MaybeUninit::<libc::timex>::zeroed();
        // SAFETY: all zeroes is a valid `timex`, whose `modes` of 0 has the kernel fill it in and
        // set nothing.
        let (state, timex) = unsafe {
            let state = libc::adjtimex(timex.as_mut_ptr());
            (state, timex.assume_init())
        };
        match state {
            -1 => Self::Unknown {
                why: io::Error::last_os_error().to_string(),
            },
            libc::TIME_ERROR => Self::Free,
            _ if timex.status & libc::STA_UNSYNC != 0 => Self::Free,
            _ => {
                let fine = timex.status & libc::STA_NANO != 0;
                Self::Kept(Discipline {
                    offset_us: timex.offset / if fine { 1_000 } else { 1 },
                    max_error_us: timex.maxerror,
                })
            }
        }
    }
}
