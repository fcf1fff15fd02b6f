//! What becomes of jobs whose worker dies: their callers are not to notice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use common::{Node, Segment, answer, full, job, make, until};
use nix::sys::signal::{Signal, kill};
use rackcast_segment::wire::reply::RefusalCode;

/// One worker, and a preset at which jobs last long enough to be interrupted.
const SLOW: &str = "[worker]\ncount = 1\n[encoder]\npreset = 'slow'";

/// Seconds of work at [`SLOW`]; the small rendition is done well before the large one.
fn long() -> Segment {
    let options = ["-g", "1000", "-bf", "0"];
    make(
        &["testsrc2=size=640x360:rate=30:duration=6"],
        &options,
        "360p@500k,low:90@100k",
    )
    .remove(0)
}

#[tokio::test]
async fn the_job_of_a_killed_worker_is_done_by_another() {
    let node = Node::start(SLOW).await;
    let s = long();
    let asked = tokio::spawn(node.submit(&s));
    node.until_load("the job runs", |l| l.busy == 1).await;
    node.signal_workers(Signal::SIGKILL);
    asked.await.unwrap().unwrap().check(&s);

    node.until_load("a worker is back", |l| (l.slots, l.busy) == (1, 0))
        .await;
    node.transcode(&s).await.unwrap().check(&s);
    assert_eq!(node.ends("killed").await, 1);
    node.until_quarantined("done", 1).await;
}

#[tokio::test]
async fn what_has_left_is_not_sent_again() {
    let node = Node::start(SLOW).await;
    let s = long();
    // The head of the answer comes with its first rendition.
    let response = node.send(node.post(&job(&s), full(s.ts.clone()))).await;
    node.signal_workers(Signal::SIGKILL);
    answer(response).await.unwrap().check(&s);
    node.until_quarantined("done", 1).await;
}

#[tokio::test]
async fn a_second_death_is_the_segment_s_fault() {
    let node = Node::start(SLOW).await;
    let s = long();
    let asked = tokio::spawn(node.submit(&s));
    node.until_load("the job runs", |l| l.busy == 1).await;
    node.signal_workers(Signal::SIGKILL);
    kill_in_quarantine(&node, 2).await;
    let refused = asked.await.unwrap().unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.refusal.code),
        (422, RefusalCode::KilledWorker)
    );
    node.until_quarantined("killed-worker", 1).await;
    node.until_load("a worker is back", |l| (l.slots, l.busy) == (1, 0))
        .await;
    node.transcode(&s).await.unwrap().check(&s);
}

#[tokio::test]
async fn who_asks_for_it_begins_in_quarantine() {
    let node = Node::start(SLOW).await;
    let (s, serving) = (long(), node.named("worker"));
    let mut job = job(&s);
    job.quarantine = true;
    let asked = tokio::spawn(node.send(node.post(&job, full(s.ts.clone()))));
    kill_in_quarantine(&node, 2).await;
    let refused = answer(asked.await.unwrap()).await.unwrap_err();
    assert_eq!(refused.refusal.code, RefusalCode::KilledWorker, "at once");

    let response = node.send(node.post(&job, full(s.ts.clone()))).await;
    answer(response).await.unwrap().check(&s);
    assert_eq!(
        node.named("worker"),
        serving,
        "who serves others has not seen it"
    );
    node.until_quarantined("done", 1).await;
}

/// Kills the disposable worker once it has passed its self-test, the node's `tests`th, and has
/// its job.
async fn kill_in_quarantine(node: &Node, tests: u64) {
    let worker = until("the job is in quarantine", || async {
        let tested = node.count("self_tests_total{result=\"passed\"}").await;
        node.named("quarantine").pop().filter(|_| tested == tests)
    })
    .await;
    kill(worker, Signal::SIGKILL).unwrap();
}
