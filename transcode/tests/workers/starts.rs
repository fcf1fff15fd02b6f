//! How workers start, with what, and what they wait for.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use prometheus::Registry;
use rackcast_transcode::admission::SlotId;
use rackcast_transcode::config::{Config, Worker};
use rackcast_transcode::metrics::Metrics;
use rackcast_transcode::scheduler::Scheduler;
use rackcast_transcode::worker::{Blueprint, Post, supervise};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::common::{Node, segments, until};

/// Copies a program by a process of its own. Where this one wrote it, what another thread starts just then
/// would hold it open for writing for a moment, and it could not be run (`ETXTBSY`).
fn copy(from: &Path, to: &Path) {
    let mut cp = std::process::Command::new("cp");
    assert!(cp.arg(from).arg(to).status().unwrap().success());
}

/// Makes a script that can be run.
fn install(script: &str, program: &Path) {
    let beside = program.with_extension("text");
    std::fs::write(&beside, script).unwrap();
    copy(&beside, program);
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
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

/// Workers without the rest of a node, whose program is a script: what it does first is to be tested.
struct Workers {
    scheduler: Arc<Scheduler>,
    registry: Registry,
    end: CancellationToken,
    keepers: JoinSet<()>,
}

impl Workers {
    fn start(folder: &Path, first: &str, limits: Worker) -> Self {
        let program = folder.join("worker");
        let real = env!("CARGO_BIN_EXE_rackcast-transcode");
        let script = format!("#!/bin/sh\n{first}\nexec {real:?} \"$@\"\n");
        install(&script, &program);
        let count = limits.count;
        let config = Config {
            worker: limits,
            ..Config::default()
        };
        let (devices, registry) = (config.devices(&[]), Registry::new());
        let blueprint = Arc::new(Blueprint {
            program,
            worker: config.worker,
            log_level: log::LevelFilter::Warn,
        });
        let scheduler = Scheduler::new(Metrics::register(&registry).unwrap(), devices, 4);
        let (end, mut keepers) = (CancellationToken::new(), JoinSet::new());
        for slot in 0..count {
            let (id, number) = (SlotId { device: 0, slot }, slot);
            let (blueprint, scheduler) = (blueprint.clone(), scheduler.clone());
            keepers.spawn(supervise(
                Post { id, number },
                blueprint,
                scheduler,
                end.clone(),
            ));
        }
        Self {
            scheduler,
            registry,
            end,
            keepers,
        }
    }

    /// Why the first of the slots that have no worker has none.
    fn trouble(&self) -> Option<String> {
        let slots = self.scheduler.slots();
        let (id, slot) = slots.iter().find(|(_, slot)| !slot.why.is_empty())?;
        Some(format!("worker {}: {}", id.slot, slot.why))
    }

    /// Whether any has ended.
    fn any_ended(&self) -> bool {
        let name = "rackcast_transcode_worker_ends_total";
        self.registry
            .gather()
            .iter()
            .any(|family| family.name() == name)
    }

    async fn stop(self) {
        self.end.cancel();
        self.keepers.join_all().await;
    }
}

/// One of two workers finds no encoder on "its" machine: GStreamer's plugins are hidden from it.
#[tokio::test]
async fn a_worker_that_fails_its_self_test_is_out_while_the_other_serves() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken");
    let hide = format!(
        "case \"$*\" in *--name=worker-1*) if [ -e {broken:?} ]; then\n\
         export GST_PLUGIN_SYSTEM_PATH_1_0=/none GST_REGISTRY={:?}\nfi ;; esac",
        dir.path().join("registry"),
    );
    std::fs::write(&broken, "").unwrap();
    let limits = Worker {
        count: 2,
        ..Worker::default()
    };
    let workers = Workers::start(dir.path(), &hide, limits);
    until(
        "one worker is up, and the other is known to be broken",
        || async {
            let trouble = workers.trouble()?;
            let said = "worker 1: it failed its self-test: the GStreamer element";
            assert!(trouble.starts_with(said), "{trouble}");
            (workers.scheduler.load().slots == 1).then_some(())
        },
    )
    .await;
    std::fs::remove_file(&broken).unwrap();
    until("both are up", || async {
        let up = workers.scheduler.load().slots;
        (up == 2 && workers.trouble().is_none()).then_some(())
    })
    .await;
    workers.stop().await;
}

/// GStreamer looks through all of its plug-ins where it has no list of them, as after an upgrade: that
/// takes as long as the disk is slow, and nothing is heard meanwhile.
#[tokio::test]
async fn a_worker_that_is_silent_while_it_starts_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Worker {
        count: 1,
        heartbeat_timeout: Duration::from_secs(1),
        ..Worker::default()
    };
    let workers = Workers::start(dir.path(), "sleep 2", limits);
    until("it is up", || async {
        assert!(!workers.any_ended(), "{:?}", workers.trouble());
        (workers.scheduler.load().slots == 1).then_some(())
    })
    .await;
    workers.stop().await;
}

/// A package that is upgraded puts another program in the place of the one that runs.
#[tokio::test]
async fn a_worker_is_of_the_version_of_its_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("rackcast-transcode");
    copy(
        Path::new(env!("CARGO_BIN_EXE_rackcast-transcode")),
        &program,
    );
    let node = Node::start_program(&program, "[worker]\ncount = 1").await;
    let first = node.workers();

    std::fs::remove_file(&program).unwrap();
    install("#!/bin/sh\nexit 1\n", &program);
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
