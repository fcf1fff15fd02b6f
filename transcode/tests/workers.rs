//! The life of a worker: start, self-test, limits, silence, recycling, the end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use common::{Node, Segment, answer, full, job, make, segments, until};
use nix::sys::signal::Signal;
use prometheus::Registry;
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::status::HealthState;
use rackcast_transcode::admission::SlotId;
use rackcast_transcode::config::Config;
use rackcast_transcode::metrics::Metrics;
use rackcast_transcode::scheduler::Scheduler;
use rackcast_transcode::worker::{Blueprint, Post, supervise};
use tokio_util::sync::CancellationToken;

const SLOW: &str = "[worker]\ncount = 1\n[encoder]\npreset = 'slower'";

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
async fn a_worker_has_its_limits_and_its_cpus() {
    let limits = "max_memory_bytes = 900000000\nmax_file_bytes = 1000000\nmax_open_files = 300";
    let node = Node::start(&format!("[worker]\ncount = 1\ncpus = ['0']\n{limits}")).await;
    let worker = node.workers()[0];
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{worker}/{file}")).unwrap();
    let limits = read("limits");
    for (name, limit) in [
        ("Max data size", "900000000"),
        ("Max file size", "1000000"),
        ("Max open files", "300"),
        ("Max core file size", "0"),
    ] {
        let line = limits.lines().find(|l| l.starts_with(name)).unwrap();
        let values: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, [limit; 2], "{name}");
    }
    let status = read("status");
    let cpus = status.lines().find(|l| l.starts_with("Cpus_allowed_list"));
    assert_eq!(cpus, Some("Cpus_allowed_list:\t0"));
    node.transcode(&segments()[0]).await.unwrap();
}

/// One of two workers finds no encoder on "its" machine: the program is a script that can hide
/// GStreamer's plugins from it.
#[tokio::test]
async fn a_worker_that_fails_its_self_test_is_out_while_the_other_serves() {
    let dir = tempfile::tempdir().unwrap();
    let (program, broken) = (dir.path().join("worker"), dir.path().join("broken"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--name=worker-1*) if [ -e {broken:?} ]; then\n\
         export GST_PLUGIN_SYSTEM_PATH_1_0=/none GST_REGISTRY={:?}\nfi ;; esac\n\
         exec {:?} \"$@\"\n",
        dir.path().join("registry"),
        env!("CARGO_BIN_EXE_rackcast-transcode"),
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&broken, "").unwrap();

    let mut config = Config::default();
    config.worker.count = 2;
    let devices = config.devices(&[]);
    let blueprint = Arc::new(Blueprint {
        program,
        worker: config.worker,
        log_level: log::LevelFilter::Warn,
    });
    let scheduler = Scheduler::new(Metrics::register(&Registry::new()).unwrap(), devices, 4);
    let end = CancellationToken::new();
    let slots = [0, 1].map(|slot| {
        let (blueprint, scheduler) = (blueprint.clone(), scheduler.clone());
        let (id, number) = (SlotId { device: 0, slot }, slot);
        tokio::spawn(supervise(
            Post { id, number },
            blueprint,
            scheduler,
            end.clone(),
        ))
    });
    until(
        "one worker is up, and the other is known to be broken",
        || async {
            let trouble = trouble(&scheduler)?;
            let said = "worker 1: it failed its self-test: the GStreamer element";
            assert!(trouble.starts_with(said), "{trouble}");
            (scheduler.load().slots == 1).then_some(())
        },
    )
    .await;
    std::fs::remove_file(&broken).unwrap();
    until("both are up", || async {
        (scheduler.load().slots == 2 && trouble(&scheduler).is_none()).then_some(())
    })
    .await;
    end.cancel();
    for slot in slots {
        slot.await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_worker_is_replaced() {
    let node = Node::start("[worker]\ncount = 1\nheartbeat_timeout = '1s'").await;
    let silent = node.workers();
    node.signal_workers(Signal::SIGSTOP);
    until("another worker is up", || async {
        (node.workers() != silent && node.load().await.slots == 1).then_some(())
    })
    .await;
    node.transcode(&segments()[0]).await.unwrap();
    assert_eq!(node.ends("silent").await, 1);
}

/// A package that is upgraded puts another program in the place of the one that runs.
#[tokio::test]
async fn a_worker_is_of_the_version_of_its_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("rackcast-transcode");
    std::fs::copy(env!("CARGO_BIN_EXE_rackcast-transcode"), &program).unwrap();
    let node = Node::start_program(&program, "[worker]\ncount = 1").await;
    let first = node.workers();

    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    node.signal_workers(Signal::SIGKILL);
    until("another worker is up", || async {
        (node.workers() != first && node.load().await.slots == 1).then_some(())
    })
    .await;
    node.transcode(&segments()[0]).await.unwrap();

    let worker = node.named("worker")[0];
    let told = std::fs::read_to_string(format!("/proc/{worker}/comm")).unwrap();
    assert_eq!(told, "worker-0\n", "what lists of processes call it");
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

/// Why the first of the slots that have no worker has none.
fn trouble(scheduler: &Scheduler) -> Option<String> {
    let slots = scheduler.slots();
    let (id, slot) = slots.iter().find(|(_, slot)| !slot.why.is_empty())?;
    Some(format!("worker {}: {}", id.slot, slot.why))
}
