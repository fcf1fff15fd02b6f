//! What was measured, from one start to the next.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::admission::Rates;

const FILE: &str = "calibration.json";

/// The measurement of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What it was measured on.
    pub fingerprint: String,
    /// Of each worker.
    pub rates: Rates,
    /// Workers at which it does most, if that was tried.
    pub best_workers: Option<usize>,
}

/// The file `calibration.json` of the state directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Store {
    devices: BTreeMap<String, Entry>,
}

impl Store {
    /// What is kept there; nothing, if it cannot be read.
    pub fn read(state: &Path) -> Self {
        let file = state.join(FILE);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(e) => {
                log::warn!("{} cannot be read, and is made anew: {e}", file.display());
                return Self::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|e| {
            log::warn!(
                "{} is not understood, and is made anew: {e}",
                file.display()
            );
            Self::default()
        })
    }

    /// The device's measurement, if it is of the hardware as it is now.
    pub fn get(&self, device: &str, fingerprint: &str) -> Option<&Entry> {
        let entry = self.devices.get(device)?;
        (entry.fingerprint == fingerprint && entry.rates.is_sound()).then_some(entry)
    }

    /// Keeps a measurement in the place of the one before.
    pub fn set(&mut self, device: &str, entry: Entry) {
        self.devices.insert(device.to_owned(), entry);
    }

    /// Writes all of it, or nothing; answers where.
    ///
    /// # Errors
    /// The system's. What was there before still is.
    pub fn write(&self, state: &Path) -> io::Result<PathBuf> {
        let (file, new) = (state.join(FILE), state.join(format!("{FILE}.new")));
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &file)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_counts_for_the_same_hardware() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Store::read(dir.path()), Store::default());
        let entry = Entry {
            fingerprint: "this".to_owned(),
            rates: Rates::of_encoder(1e8),
            best_workers: Some(3),
        };
        let mut store = Store::default();
        store.set("cpu", entry.clone());
        let file = store.write(dir.path()).unwrap();
        let kept = Store::read(dir.path());
        assert_eq!(kept.get("cpu", "this"), Some(&entry));
        assert_eq!(
            (kept.get("cpu", "that"), kept.get("gpu", "this")),
            (None, None)
        );
        std::fs::write(file, "{").unwrap();
        assert_eq!(Store::read(dir.path()), Store::default());
    }
}
