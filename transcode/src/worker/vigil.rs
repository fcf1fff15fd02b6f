//! Whether a worker that stands still hangs, or is not let run.
//!
//! To kill a worker that waits for a CPU makes a busy machine busier by the start of another, and a node
//! with one worker is out meanwhile. So the time that it is given grows by what the kernel says it waited;
//! one that mostly waits has `worker.starved_after`. A worker of which the kernel says nothing has its
//! limit and no more, and so has one that hangs in a driver: the kernel calls that waiting for a disk.

use std::path::Path;
use std::time::{Duration, Instant};

use rackcast_service::starved::{Sample, Watch, patience};
use tokio::time::sleep_until;

/// How often a worker that stands still is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Looks at one process, for one thing that it should do.
#[derive(Debug)]
pub(super) struct Vigil<F> {
    look: F,
    most: Duration,
    watch: Watch,
    /// When it may be looked at again.
    next: Instant,
}

/// What the kernel says of a process.
pub(super) fn of_process(pid: Option<u32>) -> impl FnMut() -> Option<Sample> + Send {
    move || Sample::of(Path::new("/proc"), pid?).map(Sample::of_cpu)
}

impl<F: FnMut() -> Option<Sample>> Vigil<F> {
    /// By what `look` sees; who is not let run has `most`.
    pub(super) fn new(look: F, most: Duration) -> Self {
        Self {
            look,
            most,
            watch: Watch::default(),
            next: Instant::now(),
        }
    }

    /// Comes back when what moved at `moved` has stood still for longer than `limit` and what kept it
    /// waiting allow, and says how long that was. May be cancelled and called again.
    pub(super) async fn outlasts(&mut self, moved: Instant, limit: Duration) -> Duration {
        self.watch.forget(moved);
        let mut next = self.next.max(moved + limit / 3);
        loop {
            let waits = self.watch.since(moved);
            let given = patience(limit, self.most, &[waits]);
            sleep_until(next.min(moved + given).into()).await;
            let now = tokio::time::Instant::now().into_std();
            self.watch.take((self.look)(), now);
            next = now + LOOK;
            self.next = next;
            let given = patience(limit, self.most, &[self.watch.since(moved)]);
            if now >= moved + given {
                return Duration::from_millis(given.as_millis().try_into().unwrap_or(u64::MAX));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);
    const MOST: Duration = Duration::from_secs(10);

    /// After what time a process is given up that ran and waited so many milliseconds of each 100, and
    /// wants to run or not.
    async fn given_up(ran: u32, waited: u32, wants: bool) -> Duration {
        let start = tokio::time::Instant::now();
        let look = || {
            let of = |millis| start.elapsed() * millis / 100;
            Some(Sample {
                ran: of(ran),
                waited: of(waited),
                wants,
                ..Sample::default()
            })
        };
        let mut vigil = Vigil::new(look, MOST);
        let told = vigil.outlasts(start.into_std(), LIMIT).await;
        // Timers count whole milliseconds.
        assert!(start.elapsed() - told < Duration::from_millis(2));
        told
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_is_given_up_at_the_limit_and_who_waits_is_not() {
        assert_eq!(given_up(0, 0, false).await, LIMIT, "asleep, or stopped");
        assert_eq!(given_up(99, 1, true).await.as_secs(), 2, "in a circle");
        assert_eq!(given_up(0, 0, true).await, MOST, "waits all the while");
        assert_eq!(given_up(10, 60, false).await, MOST, "waits mostly");
        // It waits 30 ms of each 100 from the first look at 667 on: 2 s + 0.3 (t - 667 ms) = t.
        let some = given_up(10, 30, false).await;
        assert!((2_540..=2_600).contains(&some.as_millis()), "{some:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_seen_has_the_limit_and_a_cancelled_vigil_goes_on() {
        let start = tokio::time::Instant::now();
        let mut vigil = Vigil::new(|| None, MOST);
        assert_eq!(vigil.outlasts(start.into_std(), LIMIT).await, LIMIT);
        assert_eq!(start.elapsed(), LIMIT);

        // As a worker's loop does it: cancelled by whatever else happens.
        let start = tokio::time::Instant::now();
        let moved = start.into_std();
        let starved = Sample {
            wants: true,
            ..Sample::default()
        };
        let mut looks = 0;
        let look = || {
            looks += 1;
            Some(starved)
        };
        let mut vigil = Vigil::new(look, MOST);
        let mut given_up = None;
        while given_up.is_none() {
            let step = Duration::from_millis(7);
            let outlasts = vigil.outlasts(moved, LIMIT);
            given_up = tokio::time::timeout(step, outlasts).await.ok();
        }
        assert_eq!(given_up, Some(MOST));
        assert!(start.elapsed() - MOST < Duration::from_millis(8));
        let Vigil { watch, next, .. } = vigil;
        assert!((80..=95).contains(&looks), "{looks} looks");
        // It has moved: what it waited before is no excuse.
        let moved = tokio::time::Instant::now();
        let mut vigil = Vigil {
            look: || Some(Sample::default()),
            most: MOST,
            watch,
            next,
        };
        assert_eq!(vigil.outlasts(moved.into_std(), LIMIT).await, LIMIT);
        assert_eq!(moved.elapsed(), LIMIT);
    }
}
