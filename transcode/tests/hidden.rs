//! Eight callers, and workers that are killed, stopped and starved of memory under them: no
//! caller hears of it, and nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use std::process::Command;
use std::sync::Arc;

use common::{Node, Segment, make, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const CALLERS: usize = 8;
/// How often each harm is done.
const ROUNDS: usize = 2;
/// Memory that a worker with this little cannot work with.
const LITTLE: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_notice_no_worker_that_is_killed_stopped_or_starved() {
    let config = "[worker]\ncount = 2\nheartbeat_timeout = '1s'";
    let node = Arc::new(Node::start(config).await);
    node.until_load("both workers are up", |l| l.slots == 2)
        .await;
    let segments = segments();
    node.transcode(&segments[0]).await.unwrap();
    let open_before = node.open_files();

    let end = CancellationToken::new();
    let mut callers = JoinSet::new();
    for segment in segments {
        callers.spawn(call(node.clone(), segment, end.clone()));
    }
    let mut harmed = 0;
    for _ in 0..ROUNDS {
        for harm in [kill_it, stop_it, starve_it] {
            harm(victim(&node).await);
            harmed += 1;
            until("the harmed worker is replaced", || async {
                let ends = [
                    "killed",
                    "silent",
                    "crashed",
                    "stalled",
                    "self-test",
                    "exited",
                ];
                let mut ended = 0;
                for reason in ends {
                    ended += node.ends(reason).await;
                }
                let up = node.load().await.slots;
                (ended >= harmed && up == 2).then_some(())
            })
            .await;
        }
    }
    end.cancel();
    let served: usize = callers.join_all().await.into_iter().sum();
    assert!(served >= CALLERS, "everyone was served: {served}");
    assert!(node.ends("silent").await >= ROUNDS as u64);
    assert!(node.ends("killed").await >= ROUNDS as u64);
    assert!(node.quarantined("done").await > 0);

    node.until_load("nothing runs", |l| (l.slots, l.busy, l.queued) == (2, 0, 0))
        .await;
    node.leaves_nothing(2, open_before).await;
}

/// Whoever comes while no worker is left waits for the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_workers_die_at_once_and_nobody_notices() {
    let node = Arc::new(Node::start("[worker]\ncount = 2").await);
    node.until_load("both workers are up", |l| l.slots == 2)
        .await;
    let open_before = node.open_files();
    let end = CancellationToken::new();
    let mut callers = JoinSet::new();
    for segment in segments() {
        callers.spawn(call(node.clone(), segment, end.clone()));
    }
    node.until_load("both are busy", |l| l.busy == 2).await;
    for worker in node.named("worker") {
        kill_it(worker);
    }
    until("both are replaced", || async {
        (node.ends("killed").await == 2 && node.load().await.slots == 2).then_some(())
    })
    .await;
    end.cancel();
    let served: usize = callers.join_all().await.into_iter().sum();
    assert!(served >= CALLERS, "everyone was served: {served}");
    node.until_load("nothing runs", |l| (l.slots, l.busy, l.queued) == (2, 0, 0))
        .await;
    node.leaves_nothing(2, open_before).await;
}

/// A segment for each caller, each with a ladder of its own: more than a worker keeps
/// pipelines for, so that it needs memory and threads again and again.
fn segments() -> Vec<Segment> {
    let source = ["testsrc2=size=160x90:rate=30:duration=1"];
    let ladder = |caller| format!("90p@{}k,low:64@60k", 100 + caller);
    (0..CALLERS)
        .map(|caller| make(&source, &["-bf", "2"], &ladder(caller)).remove(0))
        .collect()
}

/// Sends a segment again and again until the end; answers how often it was served.
async fn call(node: Arc<Node>, segment: Segment, end: CancellationToken) -> usize {
    let mut served = 0;
    while !end.is_cancelled() {
        node.serve(&segment).await;
        served += 1;
    }
    served
}

/// One of the workers that serve, while there are two.
async fn victim(node: &Node) -> Pid {
    until("a worker to harm", || async {
        node.load().await.busy.checked_sub(1)?;
        node.named("worker").first().copied()
    })
    .await
}

fn kill_it(worker: Pid) {
    kill(worker, Signal::SIGKILL).unwrap();
}

fn stop_it(worker: Pid) {
    kill(worker, Signal::SIGSTOP).unwrap();
}

/// From now on it gets no memory that it does not have.
fn starve_it(worker: Pid) {
    let set = Command::new("prlimit")
        .arg(format!("--pid={worker}"))
        .arg(format!("--data={LITTLE}"))
        .status();
    assert!(set.unwrap().success());
}
