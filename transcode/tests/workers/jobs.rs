//! What becomes of jobs, and of the node, at deadlines and signals.

use std::time::Duration;

use nix::sys::signal::Signal;
use rackcast_segment::wire::reply::RefusalCode;

use crate::common::{Node, answer, full, job, segments, until};
use crate::{SLOW, long};

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
    // By its deadline, and by nothing else.
    let patient = "heartbeat_timeout = '60s'\nstall_timeout = '60s'";
    let slow = SLOW.replace("[worker]", &format!("[worker]\n{patient}"));
    let node = Node::start(&slow).await;
    let worker = node.workers();
    let mut job = job(&long());
    job.deadline = Duration::from_secs(5);
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
async fn a_reload_takes_the_file_or_keeps_the_one_before() {
    let node = Node::start("").await;
    node.reload("drain_timeout = 'for ever'");
    node.until_metric("rackcast_config_reload_failures_total 1")
        .await;
    node.until_metric("rackcast_config_last_reload_successful 0")
        .await;
    assert!(node.status().await.ready, "what runs goes on");
    // What cannot change waits, and is no failure.
    node.reload("drain_timeout = '20s'\ninstance = '2'");
    node.until_metric("rackcast_config_last_reload_successful 1")
        .await;
    node.until_metric("rackcast_config_reload_failures_total 1")
        .await;
    assert_eq!(node.status().await.instance, "1");
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
