//! A node on a machine that drains.

use std::time::{Duration, SystemTime};

use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::drain::{self, Order, Terms};
use rackcast_service::status;

use crate::common::{Node, Systemd, answer, full, job, segments, until};
use crate::{SLOW, long};

#[tokio::test]
async fn a_node_on_a_machine_that_drains_finishes_what_it_has_and_takes_nothing_new() {
    // The job is waited for: on a busy machine it may take longer than the usual deadline.
    let slow = SLOW.replace("placebo", "slower");
    let node = Node::start(&format!("[front]\nmax_deadline = '10min'\n{slow}")).await;
    let segment = long();
    let mut job = job(&segment);
    job.deadline = Duration::from_secs(300);
    let running = tokio::spawn(node.send(node.post(&job, full(segment.ts.clone()))));
    node.until_load("a job", |load| load.busy == 1).await;
    node.drain(true);
    node.until_load("the drain", |load| load.draining).await;
    let refused = node.transcode(&segments()[0]).await.unwrap_err();
    assert_eq!(refused.refusal.code, RefusalCode::Draining);
    until("the status", || async {
        let status = node.status().await;
        (status.draining && !status.ready && status.work == 1).then_some(())
    })
    .await;
    answer(running.await.unwrap())
        .await
        .unwrap()
        .check(&segment);

    node.drain(false);
    node.until_load("work", |load| !load.draining).await;
    node.transcode(&segments()[0]).await.unwrap();
}

/// Or `systemctl restart`, and an upgrade with it, would wait in vain.
#[tokio::test]
async fn a_node_that_starts_on_a_machine_that_drains_tells_systemd_that_it_has_started() {
    let systemd = Systemd::new("");
    let order = Order::new("a test", Some(Terms::default()), SystemTime::now());
    drain::write(&drain::file_beside(&systemd.socket), &order).unwrap();
    let (_node, _told) = systemd.start().await;
    let status = status::fetch(&systemd.socket).await.unwrap();
    assert!(status.draining && !status.ready, "{status:?}");
}
