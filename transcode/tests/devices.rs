//! Devices beside each other: of unlike speed, with faults, and broken from the start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Node, Segment, decode, make, segments, until};
use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::status::{DeviceState, HealthState};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn small() -> Segment {
    let source = ["testsrc2=size=160x90:rate=30:duration=1"];
    make(&source, &["-bf", "2"], "90p@100k,low:64@60k").remove(0)
}

#[tokio::test]
async fn a_simulated_device_answers_what_a_player_takes() {
    let node = Node::start("[[device]]\nkind = 'simulated'\npixel_rate = 50_000_000").await;
    let mut odd = make(
        &["testsrc2=size=426x240:rate=25:duration=1"],
        &["-bf", "2"],
        "240p@300k,low:64@60k:baseline",
    );
    for segment in segments().iter().take(1).chain(odd.iter_mut().map(|s| &*s)) {
        let answer = node.transcode(segment).await.unwrap();
        assert_eq!(answer.summary.device, "simulated/simulated");
        answer.check(segment);
        for (name, media) in &answer.renditions {
            let (complaints, pictures) = decode(media);
            assert_eq!(complaints, "", "{name}");
            assert_eq!(pictures, segment.job.source.frames as usize);
        }
    }
    assert_eq!(node.status().await.tags, ["simulated", "h264"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_on_a_device_is_hidden_and_touches_no_other() {
    let mut config = "[worker]\nstall_timeout = '1s'\nmax_memory_bytes = 268435456\n\
         [[device]]\nkind = 'simulated'\nname = 'sound'\npixel_rate = 10_000_000\nworkers = 2\n"
        .to_owned();
    for fault in ["crash", "hang", "memory", "error"] {
        config += &format!(
            "[[device]]\nkind = 'simulated'\nname = '{fault}'\npixel_rate = 10_000_000\n\
             fault = '{fault}'\nfault_every = 3\n"
        );
    }
    let node = Arc::new(Node::start(&config).await);
    node.until_load("all workers are up", |l| l.slots == 6)
        .await;
    let sound = || node.on_device("sound");
    let before = (sound(), node.open_files());
    assert_eq!(before.0.len(), 2);

    let end = CancellationToken::new();
    let mut callers = JoinSet::new();
    let segment = Arc::new(small());
    for _ in 0..8 {
        let (node, segment, end) = (node.clone(), segment.clone(), end.clone());
        callers.spawn(async move {
            while !end.is_cancelled() {
                node.serve(&segment).await;
            }
        });
    }
    until("each fault has shown itself twice", || async {
        let (crashed, stalled) = (node.ends("crashed").await, node.ends("stalled").await);
        let hidden = node.quarantined("done").await;
        (crashed >= 4 && stalled >= 2 && hidden >= 8).then_some(())
    })
    .await;
    end.cancel();
    callers.join_all().await;

    assert_eq!(sound(), before.0, "its workers have noticed nothing");
    node.until_load("all is as it was", |l| {
        (l.slots, l.busy, l.queued) == (6, 0, 0)
    })
    .await;
    node.leaves_nothing(6, before.1).await;
}

/// There is no such GPU here, which is what a GPU that has failed looks like.
#[tokio::test]
async fn a_broken_device_is_out_while_others_serve() {
    let node = Node::start(
        "[[device]]\nkind = 'nvidia'\ngpu = '0'\nworkers = 1\n\
         [[device]]\nkind = 'vaapi'\nrender_node = '/dev/dri/renderD128'\nworkers = 2\n\
         [[device]]\nkind = 'cpu'\nworkers = 1\n",
    )
    .await;
    let status = until("both GPUs have failed", || async {
        let status = node.status().await;
        let failed = status
            .devices
            .iter()
            .filter(|d| d.state == DeviceState::Failed);
        (failed.count() == 2).then_some(status)
    })
    .await;
    let names: Vec<_> = status
        .devices
        .iter()
        .map(|d| (d.name.as_str(), d.kind.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("nvidia-0", "nvidia"),
            ("vaapi-renderD128", "vaapi"),
            ("cpu-0", "cpu")
        ]
    );
    let reason = &status.devices[0].reason;
    assert!(
        reason.contains("the GStreamer element nvh264enc is missing"),
        "{reason}"
    );
    assert_eq!(status.tags, ["cpu", "nvidia", "vaapi", "h264", "hevc"]);
    assert_eq!(
        (status.weight, status.health.state),
        (1, HealthState::Warning)
    );
    let answer = node.transcode(&segments()[0]).await.unwrap();
    assert_eq!(answer.summary.device, "cpu/x264");
    assert!(
        node.has_metric("rackcast_transcode_device_slots{device=\"nvidia-0\"} 0")
            .await
    );
}

#[tokio::test]
async fn who_is_refused_knows_at_once() {
    let node = Node::start("[[device]]\nkind = 'simulated'\npixel_rate = 20_000").await;
    let segment = small();
    let mut running = JoinSet::new();
    for _ in 0..2 {
        running.spawn(node.submit(&segment));
    }
    node.until_load("the slot and the place behind it are taken", |l| {
        l.busy + l.queued == 2
    })
    .await;
    // Whatever else this machine does: what an answer waits for is in the quickest of them too.
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let refused = node.transcode(&segment).await.unwrap_err();
        times.push(start.elapsed());
        assert_eq!(refused.refusal.code, RefusalCode::NoSlot);
    }
    let best = times.into_iter().min().unwrap();
    assert!(best < Duration::from_millis(10), "{best:?}");
}
