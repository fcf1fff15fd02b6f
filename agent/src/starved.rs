//! Whether a process that does not move is kept from it: it waits for a CPU or a disk.
//!
//! A process that hangs waits for nothing that the machine could give it: its threads sleep, or are
//! stopped, or one of them runs in a circle. A process on a machine with too much to do wants to run
//! and is not let. The kernel tells the two apart: for each thread how long it ran and how long it
//! waited for a CPU (`/proc/PID/task/TID/schedstat`), and whether it wants one or waits for a disk now
//! (`stat`). Of a process that is hidden from the agent nothing is known, and the board has patience.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Less time than this between two samples says nothing.
const LEAST: Duration = Duration::from_millis(50);

/// What the kernel says of all threads of a process, or of several processes, since their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// How long they ran.
    pub ran: Duration,
    /// How long they waited for a CPU, until they last got one.
    pub waited: Duration,
    /// One of them wants a CPU or waits for a disk now.
    pub wants: bool,
}

impl Sample {
    /// That of a process; `proc` is the folder `/proc`. `None` if it is gone or nothing is told.
    pub fn of(proc: &Path, pid: u32) -> Option<Self> {
        let mut all = Self::default();
        let mut told = false;
        for thread in threads(proc, pid) {
            // A thread may end meanwhile.
            if let Some(one) = Self::of_thread(&thread) {
                all.add(one);
                told = true;
            }
        }
        told.then_some(all)
    }

    /// That of a process's children together; `None` if there is none.
    pub fn of_children(proc: &Path, pid: u32) -> Option<Self> {
        let listed = threads(proc, pid)
            .into_iter()
            .filter_map(|thread| std::fs::read_to_string(thread.join("children")).ok());
        let listed: Vec<String> = listed.collect();
        let children = listed.iter().flat_map(|list| list.split_whitespace());
        let samples = children.filter_map(|child| Self::of(proc, child.parse().ok()?));
        samples.reduce(|mut all, one| {
            all.add(one);
            all
        })
    }

    fn of_thread(folder: &Path) -> Option<Self> {
        let schedstat = std::fs::read_to_string(folder.join("schedstat")).ok()?;
        let mut nanos = schedstat.split_whitespace().map(str::parse);
        let mut next = || nanos.next()?.ok().map(Duration::from_nanos);
        let (ran, waited) = (next()?, next()?);
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        // The name in brackets may hold anything.
        let state = stat.rsplit(')').next()?.trim_start().chars().next()?;
        Some(Self {
            ran,
            waited,
            wants: matches!(state, 'R' | 'D'),
        })
    }

    fn add(&mut self, other: Self) {
        self.ran += other.ran;
        self.waited += other.waited;
        self.wants |= other.wants;
    }

    /// Most of the `time` since an `earlier` sample they waited; or they want to run now and did not
    /// for most of it. (A wait is counted once it is over.)
    fn is_starved_since(&self, earlier: &Self, time: Duration) -> bool {
        let ran = self.ran.saturating_sub(earlier.ran);
        let waited = self.waited.saturating_sub(earlier.waited);
        time >= LEAST && (2 * waited >= time || (self.wants && 2 * ran < time))
    }
}

fn threads(proc: &Path, pid: u32) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(proc.join(pid.to_string()).join("task"));
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The first and the last sample of something that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Watch(Option<[(Sample, Instant); 2]>);

impl Watch {
    pub(crate) fn take(&mut self, sample: Option<Sample>, now: Instant) {
        self.0 = sample.map(|sample| match self.0 {
            Some([first, _]) => [first, (sample, now)],
            None => [(sample, now); 2],
        });
    }

    pub(crate) fn is_starved(&self) -> bool {
        self.0.is_some_and(|[(first, then), (last, now)]| {
            last.is_starved_since(&first, now.saturating_duration_since(then))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ran: u64, waited: u64, wants: bool) -> Sample {
        Sample {
            ran: Duration::from_millis(ran),
            waited: Duration::from_millis(waited),
            wants,
        }
    }

    #[test]
    fn who_waits_is_told_from_who_hangs() {
        let since = |later: Sample| {
            later.is_starved_since(&sample(1_000, 50, true), Duration::from_millis(400))
        };
        assert!(!since(sample(1_000, 50, false)), "asleep, or stopped");
        assert!(!since(sample(1_390, 55, true)), "runs in a circle");
        assert!(since(sample(1_100, 350, false)), "waited, and sleeps now");
        assert!(since(sample(1_000, 50, true)), "waits all the while");
        assert!(!since(sample(1_010, 60, false)), "has little to do");
        let soon = Duration::from_millis(49);
        assert!(!sample(0, 49, true).is_starved_since(&Sample::default(), soon));
    }

    #[test]
    fn all_threads_count_and_children_apart() {
        let proc = tempfile::tempdir().unwrap();
        let thread = |pid: u32, tid: u32, state: char, schedstat: &str, children: &str| {
            let folder = proc.path().join(format!("{pid}/task/{tid}"));
            std::fs::create_dir_all(&folder).unwrap();
            let stat = format!("{tid} (a) R) {state} 1 1 1");
            std::fs::write(folder.join("stat"), stat).unwrap();
            std::fs::write(folder.join("schedstat"), schedstat).unwrap();
            std::fs::write(folder.join("children"), children).unwrap();
        };
        thread(7, 7, 'S', "5000000 1000000 3\n", "9 ");
        thread(7, 8, 'S', "2000000 0 1\n", "11 404 ");
        thread(9, 9, 'D', "1000000 1000000 1\n", "");
        thread(11, 11, 'S', "1000000 2000000 1\n", "");
        assert_eq!(Sample::of(proc.path(), 7), Some(sample(7, 1, false)));
        assert_eq!(
            Sample::of_children(proc.path(), 7),
            Some(sample(2, 3, true))
        );
        assert_eq!(Sample::of_children(proc.path(), 9), None);
        assert_eq!(Sample::of(proc.path(), 404), None);
        assert!(Sample::of(Path::new("/proc"), std::process::id()).is_some());
    }
}
