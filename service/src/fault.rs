//! A deadlock on demand, so that tests can see that the watchdog ends one.
//!
//! `RACKCAST_TEST_DEADLOCK` names a file. Where it is not set, as in every unit that is shipped,
//! nothing here runs. Once the file is younger than the process, every thread of the runtime stops
//! for good while the process lives on, which is what a lock taken twice would do. Whoever can set
//! the variable and touch the file could kill the process as well; no peer can do either.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;

/// Names the file.
pub const DEADLOCK: &str = "RACKCAST_TEST_DEADLOCK";

const LOOK: Duration = Duration::from_millis(100);

/// Waits for the deadlock that tests ask for, if they do. Must be called within a tokio runtime.
pub fn on_demand() {
    if let Some(file) = std::env::var_os(DEADLOCK) {
        let file = PathBuf::from(file);
        log::warn!("{DEADLOCK} is set: this process stops once {file:?} is touched");
        deadlock_after_touch(file, SystemTime::now(), Handle::current());
    }
}

fn deadlock_after_touch(file: PathBuf, began: SystemTime, runtime: Handle) {
    std::thread::spawn(move || {
        while !touched_after(&file, began) {
            std::thread::sleep(LOOK);
        }
        log::error!("a test asks for a deadlock: every thread stops here");
        // A thread that has one of these never takes another, so that each gets one.
        for _ in 0..runtime.metrics().num_workers() {
            runtime.spawn(async {
                loop {
                    std::thread::park();
                }
            });
        }
    });
}

fn touched_after(file: &Path, began: SystemTime) -> bool {
    let touched = std::fs::metadata(file).and_then(|m| m.modified());
    touched.is_ok_and(|touched| touched > began)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_runtime_stands_still_once_the_file_is_touched_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deadlock");
        std::fs::write(&file, "of the last time").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let ticks = Arc::new(AtomicU64::new(0));
        let ticking = Arc::clone(&ticks);
        runtime.spawn(async move {
            loop {
                ticking.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let began = SystemTime::now() + Duration::from_secs(1);
        deadlock_after_touch(file.clone(), began, runtime.handle().clone());
        let advances = |time| {
            let before = ticks.load(Ordering::Relaxed);
            std::thread::sleep(time);
            ticks.load(Ordering::Relaxed) > before
        };
        assert!(advances(LOOK * 3), "an old file means nothing");

        let touch = std::fs::File::open(&file).unwrap();
        touch.set_modified(began + Duration::from_secs(1)).unwrap();
        let start = Instant::now();
        while advances(LOOK) {
            assert!(start.elapsed() < Duration::from_secs(20), "it still runs");
        }
        runtime.shutdown_background();
    }
}
