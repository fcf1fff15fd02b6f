//! What happens to jobs when workers die, hang or are to stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use std::time::Duration;

use common::{Node, Segment, answer, full, job, make, segments, until};
use nix::sys::signal::Signal;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::status::HealthState;

const SLOW: &str = "[worker]\ncount = 1\nheartbeat_timeout = '2s'\n[encoder]\npreset = 'slower'";

fn long() -> Segment {
    let options = ["-g", "1000", "-bf", "0"];
    make(
        &["testsrc2=size=320x180:rate=30:duration=8"],
        &options,
        "180p@300k,low:90@100k",
    )
    .remove(0)
}

#[tokio::test]
async fn a_killed_worker_costs_its_job_and_is_replaced() {
    let node = Node::start(SLOW).await;
    let asked = tokio::spawn(node.submit(&long()));
    node.until_load("the job runs", |l| l.busy == 1).await;
    node.signal_workers(Signal::SIGKILL);
    let refused = asked.await.unwrap().unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.refusal.code),
        (500, RefusalCode::Internal)
    );

    node.until_load("the worker is back", |l| (l.slots, l.busy) == (1, 0))
        .await;
    node.transcode(&segments()[0]).await.unwrap();
    assert!(
        node.has_metric("rackcast_transcode_worker_ends_total{reason=\"died\"} 1")
            .await
    );
}

#[tokio::test]
async fn a_silent_worker_is_replaced() {
    let node = Node::start("[worker]\ncount = 1\nheartbeat_timeout = '2s'").await;
    let silent = node.workers();
    node.signal_workers(Signal::SIGSTOP);
    until("another worker is up", || async {
        (node.workers() != silent && node.load().await.slots == 1).then_some(())
    })
    .await;
    node.transcode(&segments()[0]).await.unwrap();
    assert!(
        node.has_metric("rackcast_transcode_worker_ends_total{reason=\"silent\"} 1")
            .await
    );
}

#[tokio::test]
async fn a_node_whose_workers_keep_dying_is_critical_and_refuses() {
    let node = Node::start("[worker]\ncount = 1").await;
    until("the node is critical", || async {
        node.signal_workers(Signal::SIGKILL);
        (node.status().await.health.state == HealthState::Critical).then_some(())
    })
    .await;
    until("nothing is admitted", || async {
        node.signal_workers(Signal::SIGKILL);
        let refused = node.transcode(&segments()[0]).await.err()?;
        (refused.refusal.code == RefusalCode::NoDevice).then_some(())
    })
    .await;
    node.until_load("it recovers by itself", |l| l.slots == 1)
        .await;
    node.transcode(&segments()[0]).await.unwrap();
}

#[tokio::test]
async fn a_job_ends_at_its_deadline() {
    let node = Node::start(SLOW).await;
    let mut job = job(&long());
    job.deadline = Duration::from_millis(700);
    let refused = answer(node.send(node.post(&job, full(long().ts))).await)
        .await
        .unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.refusal.code),
        (504, RefusalCode::DeadlinePassed)
    );
    node.until_load("the slot is free", |l| l.busy == 0).await;
}

#[tokio::test]
async fn a_hung_worker_ends_with_its_job() {
    let node = Node::start(SLOW).await;
    let worker = node.workers();
    let mut job = job(&long());
    job.deadline = Duration::from_millis(700);
    let asked = tokio::spawn(node.send(node.post(&job, full(long().ts))));
    node.until_load("the job runs", |l| l.busy == 1).await;
    node.signal_workers(Signal::SIGSTOP);
    let refused = answer(asked.await.unwrap()).await.unwrap_err();
    assert_eq!(refused.refusal.code, RefusalCode::DeadlinePassed);
    until("another worker is up", || async {
        let changed = node.workers() != worker;
        (changed && node.load().await.slots == 1).then_some(())
    })
    .await;
    node.transcode(&segments()[0]).await.unwrap();
}

#[tokio::test]
async fn a_worker_is_replaced_after_its_share_of_jobs() {
    let node = Node::start("[worker]\ncount = 1\nrecycle_after = 2").await;
    let first = node.workers();
    for s in &segments()[..3] {
        node.until_load("a worker is up", |l| l.slots == 1).await;
        node.transcode(s).await.unwrap();
    }
    assert_ne!(node.workers(), first);
    assert!(
        node.has_metric("rackcast_transcode_worker_ends_total{reason=\"recycled\"} 1")
            .await
    );
}

#[tokio::test]
async fn sigterm_finishes_the_work_and_takes_no_more() {
    let mut node = Node::start(&format!("drain_timeout = '60s'\n{SLOW}")).await;
    let asked = tokio::spawn(node.submit(&long()));
    node.until_load("the job runs", |l| l.busy == 1).await;
    node.child.signal(Signal::SIGTERM).unwrap();
    node.until_load("it drains", |l| l.draining).await;
    let refused = node.transcode(&segments()[0]).await.unwrap_err();
    assert_eq!(
        (refused.status.as_u16(), refused.refusal.code),
        (503, RefusalCode::Draining)
    );
    assert!(refused.headers.contains_key("retry-after"));
    until("the status says so", || async {
        let status = node.status().await;
        (status.draining && !status.ready).then_some(())
    })
    .await;

    let answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.renditions.len(), 2);
    assert!(node.child.wait().await.unwrap().success());
}
