//! A node on a machine that drains.

use std::time::SystemTime;

use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::drain::{self, Order, Terms};
use rackcast_service::status;

use crate::common::{Node, Systemd, segments, until};
use crate::{SLOW, long};

#[tokio::test]
async fn a_node_on_a_machine_that_drains_finishes_what_it_has_and_takes_nothing_new() {
    let node = Node::start(SLOW).await;
    let segment = long();
    let running = tokio::spawn(node.submit(&segment));
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
    running.await.unwrap().unwrap();

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
