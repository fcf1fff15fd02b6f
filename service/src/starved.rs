//! Whether a process that does not move is kept from it: it waits for a CPU or a disk.
//!
//! A process that hangs waits for nothing that the machine could give it: its threads sleep, or are
//! stopped, or one of them runs in a circle. A process on a machine with too much to do wants to run
//! and is not let. The kernel tells the two apart: for each thread how long it ran and how long it
//! waited for a CPU (`/proc/PID/task/TID/schedstat`), and whether it wants one or waits for a disk now
//! (`stat`).
//!
//! Whoever kills or gives up what stands still takes samples of it while it does ([`Watch`]), and has
//! [`patience`] by them: what it waited for the machine counts for nobody, and who mostly waits is given
//! as long as is given to any.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Less time than this between two samples says nothing.
const LEAST: Duration = Duration::from_millis(50);
/// Samples that are kept; beyond that, every other one.
const MOST: usize = 128;

/// What the kernel says of all threads of a process, or of several processes, since their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// How long they ran.
    pub ran: Duration,
    /// How long they waited for a CPU, until they last got one.
    pub waited: Duration,
    /// One of them wants a CPU now.
    pub wants: bool,
    /// One of them is in the kernel and cannot be woken: it waits for a disk, or hangs in a driver.
    pub blocked: bool,
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
            wants: state == 'R',
            blocked: state == 'D',
        })
    }

    fn add(&mut self, other: Self) {
        self.ran += other.ran;
        self.waited += other.waited;
        self.wants |= other.wants;
        self.blocked |= other.blocked;
    }

    /// The same of those who wait for a CPU alone: what waits for anything else has no excuse by it.
    pub fn of_cpu(self) -> Self {
        Self {
            blocked: false,
            ..self
        }
    }

    /// Most of the `time` since an `earlier` sample they waited; or they want to run now and did not
    /// for most of it. (A wait is counted once it is over.)
    fn is_starved_since(&self, earlier: &Self, time: Duration) -> bool {
        let ran = self.ran.saturating_sub(earlier.ran);
        let waited = self.waited.saturating_sub(earlier.waited);
        time >= LEAST && (2 * waited >= time || ((self.wants || self.blocked) && 2 * ran < time))
    }
}

fn threads(proc: &Path, pid: u32) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(proc.join(pid.to_string()).join("task"));
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The samples of something that stands still, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch(VecDeque<(Sample, Instant)>);

/// How something was kept waiting over some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waits {
    /// For most of it; it may still.
    pub is_starved: bool,
    /// The sum of its waits that are over, that time at most.
    pub waited: Duration,
}

impl Watch {
    /// Takes down a sample of `now`; `None` if there is nothing to be seen any more.
    pub fn take(&mut self, sample: Option<Sample>, now: Instant) {
        let Some(sample) = sample else {
            self.0.clear();
            return;
        };
        if self.0.len() >= MOST {
            let mut keep = false;
            self.0.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.0.push_back((sample, now));
    }

    /// What was seen before `moved` says nothing of the time since.
    pub fn forget(&mut self, moved: Instant) {
        self.0.retain(|(_, at)| *at >= moved);
    }

    /// How it was kept waiting since `then`, as far as it was seen.
    pub fn since(&self, then: Instant) -> Waits {
        let first = self.0.iter().find(|(_, at)| *at >= then);
        let (Some((first, from)), Some((last, to))) = (first, self.0.back()) else {
            return Waits::default();
        };
        let time = to.saturating_duration_since(*from);
        Waits {
            is_starved: last.is_starved_since(first, time),
            waited: last.waited.saturating_sub(first.waited).min(time),
        }
    }
}

/// How long to wait for those who are given `limit` to move, and `most` if the machine does not let
/// them run: all of `waits` stand in the way of the one move.
pub fn patience(limit: Duration, most: Duration, waits: &[Waits]) -> Duration {
    let most = limit.max(most);
    match waits.iter().any(|waits| waits.is_starved) {
        true => most,
        false => most.min(limit + waits.iter().map(|waits| waits.waited).sum::<Duration>()),
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
            blocked: false,
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
        let driver = Sample {
            blocked: true,
            ..sample(1_000, 50, false)
        };
        assert!(since(driver), "waits for a disk, or for what never comes");
        assert!(!since(driver.of_cpu()));
        let soon = Duration::from_millis(49);
        assert!(!sample(0, 49, true).is_starved_since(&Sample::default(), soon));
    }

    #[test]
    fn only_what_was_seen_since_counts_and_no_wait_twice() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut watch = Watch::default();
        assert_eq!(watch.since(start), Waits::default());
        for (time, waited) in [(0, 0), (100, 90), (200, 90), (300, 120)] {
            watch.take(Some(sample(0, waited, false)), at(time));
        }
        let waits = |is_starved, waited| Waits {
            is_starved,
            waited: Duration::from_millis(waited),
        };
        assert_eq!(watch.since(start), waits(false, 120));
        assert_eq!(watch.since(at(1)), waits(false, 30), "since 100");
        assert_eq!(watch.since(at(300)), waits(false, 0));
        assert_eq!(watch.since(at(301)), waits(false, 0));
        watch.forget(at(200));
        assert_eq!(watch.since(start), waits(false, 30), "since 200");
        // Threads that wait side by side do not wait longer than the time is.
        watch.take(Some(sample(0, 999, false)), at(400));
        assert_eq!(watch.since(start), waits(true, 200));
        watch.take(None, at(500));
        assert_eq!(watch.since(start), waits(false, 0));
    }

    #[test]
    fn a_watch_of_something_that_never_moves_is_bounded_and_knows_since_when() {
        let start = Instant::now();
        let mut watch = Watch::default();
        for second in 0..1_000 {
            let now = start + Duration::from_secs(second);
            watch.take(Some(sample(0, second * 100, false)), now);
            assert!(watch.0.len() <= MOST);
        }
        assert_eq!(watch.since(start).waited, Duration::from_millis(99_900));
    }

    #[test]
    fn patience_is_longer_by_what_was_waited() {
        let millis = Duration::from_millis;
        let waits = |is_starved, waited| Waits {
            is_starved,
            waited: millis(waited),
        };
        let of = |waits: &[Waits]| patience(millis(700), millis(10_000), waits);
        assert_eq!(of(&[]), millis(700));
        assert_eq!(of(&[waits(false, 0), waits(false, 0)]), millis(700));
        assert_eq!(of(&[waits(false, 150), waits(false, 200)]), millis(1_050));
        assert_eq!(of(&[waits(false, 150), waits(true, 0)]), millis(10_000));
        assert_eq!(of(&[waits(false, 9_999)]), millis(10_000), "not for ever");
        let least = patience(millis(700), Duration::ZERO, &[waits(true, 100)]);
        assert_eq!(least, millis(700));
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
            Some(Sample {
                blocked: true,
                ..sample(2, 3, false)
            })
        );
        assert_eq!(Sample::of_children(proc.path(), 9), None);
        assert_eq!(Sample::of(proc.path(), 404), None);
        assert!(Sample::of(Path::new("/proc"), std::process::id()).is_some());
    }
}
