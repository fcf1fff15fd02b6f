//! Which number the next life of a stream gets.
//!
//! A segment's address carries its epoch, and nothing immutable may ever be used again, not
//! by this ingest after a restart and not by another that carries the stream on. So an epoch
//! is the wall clock in milliseconds, raised above the last one given out, which is kept in
//! the state directory against a clock that was set back. No coordinator is asked: a start of
//! a stream waits for nobody.
//!
//! No stream waits for the disk. Writing is done on the blocking pool, by one thread at a time
//! whatever the disk does, and every stream has an
//! epoch *in hand*: given out, on its way to the disk, and in no address yet. The first is taken
//! when a publisher comes, seconds before its first segment can be cut, and the next when that
//! one is used. So what stands in an address was written before it stood there, and whatever
//! ends the process, the one after begins above it. Numbers in hand that are never used are
//! skipped, and nobody misses them. Where the disk is slower than all that, the stream goes on
//! and the log says so: the epoch then is as good as the clock is.
//!
//! Generations of one ingest share the file. Each writes the larger of its own number and what is
//! there, one at a time, and goes on above both: what one gives out to a stream is above what
//! another gave it before.
//!
//! Sequence numbers must grow over epochs as well, since a player goes on with the same
//! playlist. An epoch begins at the sequence number of its second: as no segment but the odd
//! one is shorter than a second, an earlier life has used up fewer.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use rackcast_segment::id::{Epoch, Sequence};

const FILE: &str = "last-epoch";

/// Gives out epochs; one for all streams of an ingest. Clones are the same.
#[derive(Debug, Clone)]
pub struct Epochs(Arc<Ledger>);

#[derive(Debug)]
struct Ledger {
    folder: PathBuf,
    /// The last that was given out.
    given: AtomicU64,
    /// The last that is on the disk.
    safe: AtomicU64,
    /// Somebody writes, and goes on until the last that was given out is on the disk.
    writing: AtomicBool,
}

/// An epoch that was given out and is in no address yet.
#[derive(Debug)]
pub(super) struct InHand {
    epoch: Epoch,
    ledger: Arc<Ledger>,
}

impl Epochs {
    /// Reads the last epoch that was given out, if there is one.
    ///
    /// # Errors
    /// The file is there but cannot be read, or does not hold a number: better not to start
    /// than to reuse an address.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let last = read(&state_dir.join(FILE))?;
        Ok(Self(Arc::new(Ledger {
            folder: state_dir.to_owned(),
            given: AtomicU64::new(last),
            safe: AtomicU64::new(last),
            writing: AtomicBool::new(false),
        })))
    }

    /// The next epoch, which is written down meanwhile. To be called within a tokio runtime.
    pub(super) fn take(&self, wall: SystemTime) -> InHand {
        self.take_above(Epoch(0), wall)
    }

    /// The same, above an epoch of another ingest.
    pub(super) fn take_above(&self, above: Epoch, wall: SystemTime) -> InHand {
        let millis = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let millis = u64::try_from(millis.as_millis()).unwrap_or(u64::MAX);
        let millis = millis.max(above.0.saturating_add(1));
        let given = &self.0.given;
        let last = given
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| {
                Some(next_epoch(last, millis))
            })
            .unwrap_or_else(|last| last);
        if self.0.begin_writing() {
            let ledger = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || ledger.write_down(write_down));
        }
        InHand {
            epoch: Epoch(next_epoch(last, millis)),
            ledger: Arc::clone(&self.0),
        }
    }
}

impl Ledger {
    /// Whether the caller is to write: nobody does, and there is something to write.
    fn begin_writing(&self) -> bool {
        let given = self.given.load(Ordering::Acquire);
        given > self.safe.load(Ordering::Acquire) && !self.writing.swap(true, Ordering::AcqRel)
    }

    /// Writes down what was given out, until all of it is on the disk or that fails.
    fn write_down(&self, write: impl Fn(&Path, u64) -> io::Result<u64>) {
        loop {
            let given = self.given.load(Ordering::Acquire);
            let written = write(&self.folder, given);
            match &written {
                Ok(there) => {
                    // Another generation may be ahead.
                    self.given.fetch_max(*there, Ordering::AcqRel);
                    self.safe.store(given, Ordering::Release);
                }
                Err(e) => log::warn!(
                    "the epoch {given} could not be written to {} ({e})",
                    self.folder.join(FILE).display()
                ),
            }
            self.writing.store(false, Ordering::Release);
            // Who took one meanwhile has left the writing to this one.
            let more = written.is_ok() || self.given.load(Ordering::Acquire) > given;
            if !more || !self.begin_writing() {
                return;
            }
        }
    }
}

impl InHand {
    /// The number, before it is used.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// For use in addresses. One that is not written down yet is given out all the same: it is
    /// good as long as the clock is, and a stream must not wait for a disk.
    pub(super) fn into_use(self) -> Epoch {
        if !self.is_written() {
            log::warn!(
                "the epoch {} is used before it could be written to {}; mend that: if the clock \
                 is set back before the next restart, segment addresses could repeat",
                self.epoch,
                self.ledger.folder.join(FILE).display()
            );
        }
        self.epoch
    }

    fn is_written(&self) -> bool {
        self.epoch.0 <= self.ledger.safe.load(Ordering::Acquire)
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
pub(super) const DISCONTINUITY_RANGE: u64 = 100_000;

/// The `EXT-X-DISCONTINUITY-SEQUENCE` that an epoch begins with where no earlier life is
/// remembered: another than that of any life that a player may still remember. `last` is the
/// highest that is known of earlier lives elsewhere, and it is above that: the clock may not have
/// moved on since. By the clock alone it starts over once in six days.
pub(super) fn first_discontinuity(epoch: Epoch, last: Option<u64>) -> u64 {
    let by_clock = discontinuity_by_clock(epoch);
    last.map_or(by_clock, |last| by_clock.max(last.saturating_add(1)))
}

/// The discontinuity number of an epoch of which only the clock tells.
pub(super) fn discontinuity_by_clock(epoch: Epoch) -> u64 {
    epoch.0 / 1000 / DISCONTINUITY_SECONDS % DISCONTINUITY_RANGE
}

/// The number in the file; 0 without one.
fn read(path: &Path) -> io::Result<u64> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            let why = format!("{} does not hold a number; remove it", path.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(e),
    }
}

/// Replaces the file so that it holds the old number or the new one, even after a power cut, and
/// the larger of what is there and this. Gives what it holds then.
fn write_down(folder: &Path, value: u64) -> io::Result<u64> {
    let path = folder.join(FILE);
    let folder = File::open(folder)?;
    // One process at a time; the lock ends with the descriptor.
    let folder = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, e)| e)?;
    let there = read(&path)?;
    if there >= value {
        return Ok(there);
    }
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    writeln!(file, "{value}")?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    folder.sync_all()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    async fn written(epoch: InHand) -> Epoch {
        while !epoch.is_written() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        epoch.into_use()
    }

    #[tokio::test]
    async fn epochs_grow_over_restarts_and_a_clock_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let first = written(Epochs::open(dir.path()).unwrap().take(noon())).await;
        let restarted = Epochs::open(dir.path()).unwrap();
        let second = written(restarted.take(noon() - Duration::from_secs(3600))).await;
        let third = written(restarted.take(noon() + Duration::from_secs(1))).await;
        assert!(first < second && second < third);
        assert_eq!(first_sequence(first), Sequence(1_800_000_000));
    }

    #[tokio::test]
    async fn an_epoch_can_be_asked_for_above_that_of_another_ingest() {
        let dir = tempfile::tempdir().unwrap();
        let epochs = Epochs::open(dir.path()).unwrap();
        let first = epochs.take(noon()).epoch();
        assert_eq!(epochs.take_above(Epoch(1), noon()).epoch().0, first.0 + 1);
        let ahead = Epoch(first.0 + 60_000);
        assert_eq!(epochs.take_above(ahead, noon()).epoch().0, ahead.0 + 1);
        assert_eq!(epochs.take(noon()).epoch().0, ahead.0 + 2);
    }

    #[tokio::test]
    async fn many_at_once_are_all_different_and_the_last_is_what_remains() {
        let dir = tempfile::tempdir().unwrap();
        let epochs = Epochs::open(dir.path()).unwrap();
        let in_hand: Vec<_> = (0..50).map(|_| epochs.take(noon())).collect();
        let numbers: Vec<_> = in_hand.iter().map(|e| e.epoch().0).collect();
        let expected: Vec<_> = (numbers[0]..numbers[0] + 50).collect();
        assert_eq!(numbers, expected);
        for epoch in in_hand {
            written(epoch).await;
        }
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(text, format!("{}\n", numbers[49]));
    }

    #[tokio::test]
    async fn two_generations_share_the_file_and_neither_falls_behind_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (
            Epochs::open(dir.path()).unwrap(),
            Epochs::open(dir.path()).unwrap(),
        );
        let early = written(old.take(noon())).await;
        let late = written(new.take(noon() + Duration::from_secs(60))).await;
        // The clock is set back.
        let behind = written(old.take(noon() - Duration::from_secs(60))).await;
        assert!(early < behind);
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(text, format!("{late}\n"), "the larger number stays");
        let next = written(old.take(noon() - Duration::from_secs(60))).await;
        assert!(next > late, "{next} is above what the other gave out");
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_keeps_no_stream_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let epochs = Epochs::open(dir.path()).unwrap();
        drop(dir);
        let (first, second) = (epochs.take(noon()), epochs.take(noon()));
        assert!(!second.is_written());
        assert!(first.into_use() < second.into_use());
    }

    #[test]
    fn a_disk_that_hangs_holds_one_thread_and_what_came_meanwhile_is_written_after() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Epochs::open(dir.path()).unwrap().0;
        assert!(!ledger.begin_writing(), "there is nothing to write");
        ledger.given.store(1, Ordering::Release);
        assert!(ledger.begin_writing());
        let writes = AtomicU64::new(0);
        ledger.write_down(|folder, value| {
            if writes.fetch_add(1, Ordering::Relaxed) == 0 {
                // The disk hangs, and streams begin.
                ledger.given.store(1000, Ordering::Release);
                assert!(!ledger.begin_writing(), "one thread is enough");
            }
            write_down(folder, value)
        });
        assert_eq!(writes.load(Ordering::Relaxed), 2);
        assert_eq!(read(&dir.path().join(FILE)).unwrap(), 1000);
        assert_eq!(ledger.safe.load(Ordering::Acquire), 1000);
    }

    #[test]
    fn discontinuity_numbers_grow_and_stay_small_enough_for_players() {
        let at = |seconds: u64| first_discontinuity(Epoch(seconds * 1000), None);
        assert!(at(1_800_000_005) > at(1_800_000_000));
        assert!(at(u64::MAX / 1000) < DISCONTINUITY_RANGE);
        let (last, soon) = (at(1_800_000_000), Epoch(1_800_000_001_000));
        assert_eq!(first_discontinuity(soon, Some(last)), last + 1);
        let third = first_discontinuity(soon, Some(last + 1));
        assert_eq!(third, last + 2, "a third life within the five seconds");
        let later = Epoch(1_800_000_015_000);
        assert_eq!(first_discontinuity(later, Some(last)), at(1_800_000_015));
        let (highest, over) = (DISCONTINUITY_RANGE - 1, Epoch(1_800_000_000_000));
        assert_eq!(
            first_discontinuity(over, Some(highest)),
            highest + 1,
            "what is known to have gone before is never fallen below"
        );
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "garbage").unwrap();
        assert!(Epochs::open(dir.path()).is_err());
    }
}
