//! Workers that go, or are taken to be gone, and who comes after them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::status::HealthState;

use crate::common::{Node, segments, state, until};

#[tokio::test]
async fn a_silent_worker_is_replaced() {
    let node = Node::start("[worker]\ncount = 1\nheartbeat_timeout = '4s'").await;
    let silent = node.workers();
    node.signal_workers(Signal::SIGSTOP);
    until("another worker is up", || async {
        (node.workers() != silent && node.load().await.slots == 1).then_some(())
    })
    .await;
    node.transcode(&segments()[0]).await.unwrap();
    assert!(node.ends("silent").await >= 1);
}

/// Has a process not go when it is killed, as a driver may; it is let go when this is dropped.
struct Hold(Child);

impl Hold {
    /// Nothing where the kernel does not allow it.
    fn on(process: Pid) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hold");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workers/hold.c");
        let made = Command::new("cc")
            .arg("-o")
            .arg(&program)
            .arg(source)
            .status();
        assert!(made.unwrap().success());
        let mut holder = Command::new(program)
            .arg(process.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(holder.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        let hold = Self(holder);
        (said == "held\n").then_some(hold)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_worker_that_does_not_go_when_it_is_killed_does_not_keep_its_slot() {
    let node = Node::start("[worker]\ncount = 1\nheartbeat_timeout = '4s'").await;
    let held = node.workers()[0];
    let Some(hold) = Hold::on(held) else {
        // Past the harness's capture, for the stages' summary.
        let text =
            "\nNOT RUN: a worker that is not let go: the kernel lets nobody trace a process here\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return;
    };
    kill(held, Signal::SIGSTOP).unwrap();
    until("another worker is up", || async {
        let another = node.workers().iter().any(|pid| *pid != held);
        (another && node.load().await.slots == 1).then_some(())
    })
    .await;
    node.transcode(&segments()[0]).await.unwrap();
    assert_eq!(state(held), Some('t'), "it is there still");
    assert!(node.ends("silent").await >= 1);
    drop(hold);
    until("nothing is left of it", || async {
        state(held).is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_whose_workers_keep_dying_is_critical_and_refuses() {
    let node = Node::start("[worker]\ncount = 1").await;
    until("the node is critical", || async {
        node.signal_workers(Signal::SIGKILL);
        let health = node.status().await.health;
        let said = "0 of 1 workers up; worker 0: it ended with signal: 9 (SIGKILL)";
        (health.state == HealthState::Critical && health.summary == said).then_some(())
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
async fn a_successor_is_warm_before_a_worker_goes() {
    let node = Node::start("[worker]\ncount = 1\nrecycle_after = 1").await;
    let first = node.workers();
    until("the worker is replaced", || async {
        assert_eq!(node.load().await.slots, 1, "the slot is never without one");
        node.transcode(&segments()[0]).await.unwrap();
        let all = node.workers();
        (all.iter().all(|pid| !first.contains(pid))).then_some(())
    })
    .await;
    assert!(node.ends("recycled").await >= 1);
    assert_eq!(node.quarantined("done").await, 0);
}
