//! Helpers of the tests that need a child process: the child is this test program again, told
//! to run one of its ignored tests.

#![allow(dead_code, reason = "each test program uses a part")]

use std::time::{Duration, Instant};

use rackcast_service::process::Command;

/// This test program, as a child that runs the ignored test `name`.
pub(crate) fn this_program_as(name: &str) -> Command {
    Command::new(std::env::current_exe().unwrap()).args([
        name,
        "--exact",
        "--ignored",
        "--nocapture",
    ])
}

/// Waits until `condition` holds; panics after a limit that is far beyond what it takes.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < limit, "{what}: did not happen within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs: it exists and is no zombie.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| !matches!(state, "Z" | "X"))
}
