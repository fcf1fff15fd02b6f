//! Which number the next life of a stream gets.
//!
//! A segment's address carries its epoch, and nothing immutable may ever be used again, not
//! by this ingest after a restart and not by another that carries the stream on. So an epoch
//! is the wall clock in milliseconds, raised above the last one given out, which is kept in
//! the state directory against a clock that was set back. No coordinator is asked: a start of
//! a stream waits for nobody.
//!
//! Sequence numbers must grow over epochs as well, since a player goes on with the same
//! playlist. An epoch begins at the sequence number of its second: as no segment but the odd
//! one is shorter than a second, an earlier life has used up fewer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use rackcast_segment::id::{Epoch, Sequence};

const FILE: &str = "last-epoch";

/// Gives out epochs; one for all streams of an ingest.
#[derive(Debug)]
pub struct Epochs {
    path: PathBuf,
    last: Mutex<u64>,
}

impl Epochs {
    /// Reads the last epoch that was given out, if there is one.
    ///
    /// # Errors
    /// The file is there but cannot be read, or does not hold a number: better not to start
    /// than to reuse an address.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE);
        let last = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                let why = format!("{} does not hold a number; remove it", path.display());
                io::Error::new(io::ErrorKind::InvalidData, why)
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(e),
        };
        Ok(Self {
            path,
            last: Mutex::new(last),
        })
    }

    /// The next epoch. One that cannot be written down is given out all the same, since it is
    /// good as long as the clock is, and a stream must not wait for a disk.
    pub fn next(&self, wall: SystemTime) -> Epoch {
        let millis = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let millis = u64::try_from(millis.as_millis()).unwrap_or(u64::MAX);
        let mut last = self
            .last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = next_epoch(*last, millis);
        if let Err(e) = write_down(&self.path, *last) {
            log::warn!(
                "the epoch {last} could not be written to {} ({e}); mend that: if the clock is \
                 set back before the next restart, segment addresses could repeat",
                self.path.display()
            );
        }
        Epoch(*last)
    }
}

fn next_epoch(last: u64, millis: u64) -> u64 {
    millis.max(last.saturating_add(1))
}

/// The number of an epoch's first segment.
pub(super) fn first_sequence(epoch: Epoch) -> Sequence {
    Sequence(epoch.0 / 1000)
}

/// Seconds of wall clock that one discontinuity number stands for.
const DISCONTINUITY_SECONDS: u64 = 5;
/// Players keep arrays that are as long as the number: hls.js stands still for minutes at the
/// clock's own size, and does not notice this one.
const DISCONTINUITY_RANGE: u64 = 100_000;

/// The `EXT-X-DISCONTINUITY-SEQUENCE` that an epoch begins with where no earlier life is
/// remembered: another than that of any life that a player may still remember, and above it but
/// once in six days, when it starts over.
pub(super) fn first_discontinuity(epoch: Epoch) -> u64 {
    epoch.0 / 1000 / DISCONTINUITY_SECONDS % DISCONTINUITY_RANGE
}

fn write_down(path: &Path, value: u64) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, format!("{value}\n"))?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_grow_over_restarts_and_a_clock_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let first = Epochs::open(dir.path()).unwrap().next(noon);
        let restarted = Epochs::open(dir.path()).unwrap();
        let second = restarted.next(noon - Duration::from_secs(3600));
        let third = restarted.next(noon + Duration::from_secs(1));
        assert!(first < second && second < third);
        assert_eq!(first_sequence(first), Sequence(1_800_000_000));
    }

    #[test]
    fn discontinuity_numbers_grow_and_stay_small_enough_for_players() {
        let at = |seconds: u64| first_discontinuity(Epoch(seconds * 1000));
        assert!(at(1_800_000_005) > at(1_800_000_000));
        assert!(at(u64::MAX / 1000) < DISCONTINUITY_RANGE);
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "garbage").unwrap();
        assert!(Epochs::open(dir.path()).is_err());
    }
}
