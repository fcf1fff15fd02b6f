//! An ingest changes its program and its configuration under its publishers and players.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use rackcast_service::status::{Phase, fetch};
use rackcast_tests::http::Http;
use rackcast_tests::player::{Player, Recording};
use rackcast_tests::process::{Process, kill9, program, runs, signal};
use rackcast_tests::publish::{Broadcaster, Sample, publish};
use rackcast_tests::rack::Ingest;
use rackcast_tests::wait::{wait_for, wait_until};

const LIMIT: Duration = Duration::from_secs(40);
const OPEN: &str = "[auth]\nmode = \"open\"\n[stream]\nladder = \"\"";
const NO_CONSUL: &str = "http://127.0.0.1:1";

/// The picture is small: every test here publishes several of it.
fn sample() -> std::path::PathBuf {
    Sample::long().file()
}

fn master(ingest: &Ingest, stream: &str) -> String {
    format!("{}/live/{stream}/master.m3u8", ingest.hls)
}

fn publisher(ingest: &Ingest, stream: &str) -> Process {
    publish(&sample(), &format!("{}/live/{stream}", ingest.rtmp))
}

async fn hand_over(ingest: &Ingest, to: u64) {
    ingest.signal(Signal::SIGUSR2);
    let ready = format!("generation {to} is ready and accepts");
    ingest.log_line(&ready, LIMIT).await;
}

async fn streams(ingest: &Ingest, generation: u64) -> f64 {
    let label = format!("generation=\"{generation}\"");
    ingest.metric("rackcast_ingest_streams", &[&label]).await
}

fn epochs(recording: &Recording) -> BTreeSet<u64> {
    let seen = recording.track("source").segments.values();
    seen.map(|s| s.listed.address().0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_and_players_notice_nothing_of_a_hand_over() {
    let ingest = Ingest::start(&format!("{OPEN}\n[origin]\nretention = \"2s\"")).await;
    let mut publishers: Vec<_> = ["a", "b", "c"].map(|s| publisher(&ingest, s)).into();
    let mut players = Vec::new();
    for stream in ["a", "b", "c"] {
        players.push(Player::follow(&master(&ingest, stream)).await);
    }
    for player in &players {
        player.segments(2).await;
    }
    hand_over(&ingest, 2).await;
    assert_eq!(
        ingest.generations().len(),
        2,
        "the old one serves its publishers"
    );
    wait_for(
        "the old generation to retire with its streams",
        LIMIT,
        async || {
            let seen = fetch(&ingest.socket).await.ok()?.generations;
            let seen = seen.iter().map(|g| (g.number, g.phase, g.streams));
            seen.eq([(1, Phase::Retired, 3), (2, Phase::Serving, 0)])
                .then_some(())
        },
    )
    .await;
    for player in &players {
        player.segments(6).await;
    }
    let label = ["generation=\"1\""];
    let connections = ingest
        .metric("rackcast_ingest_rtmp_connections", &label)
        .await;
    assert_eq!(
        connections, 3.0,
        "each publisher has the connection that it had"
    );

    let mut late = publisher(&ingest, "d");
    Player::follow(&master(&ingest, "d"))
        .await
        .segments(2)
        .await;
    assert_eq!(
        (streams(&ingest, 1).await, streams(&ingest, 2).await),
        (3.0, 1.0)
    );
    let known = Http::default()
        .get(&format!("http://{}/v1/nodes", ingest.admin))
        .await
        .unwrap();
    assert_eq!(known.status, 200);

    for player in players {
        let recording = player.stop().await;
        recording.assert_sound();
        recording.assert_in_step();
        assert_eq!(recording.outages, Vec::<String>::new());
        assert_eq!(epochs(&recording).len(), 1, "no stream began anew");
        let segments = recording.track("source").segments.values();
        assert!(segments.clone().all(|s| !s.listed.gap));
    }
    for publisher in &mut publishers {
        assert!(
            publisher.ended().is_none(),
            "a publisher lost its connection"
        );
        signal(publisher.pid(), Signal::SIGTERM);
    }
    // What is left of the streams is forgotten, and with it the old generation.
    wait_until("the old generation to end", LIMIT, || {
        ingest.generations().len() == 1
    })
    .await;
    ingest.log_line("generation 1 ended", LIMIT).await;
    assert!(late.ended().is_none());
    assert_eq!(streams(&ingest, 2).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_returns_finds_its_stream_in_the_older_generation() {
    let ingest = Ingest::start(OPEN).await;
    let first = publisher(&ingest, "show");
    let player = Player::follow(&master(&ingest, "show")).await;
    player.segments(2).await;
    hand_over(&ingest, 2).await;
    // Two at once are refused over generations too.
    let mut second = publisher(&ingest, "show");
    wait_until("the second publisher to be refused", LIMIT, || {
        second.ended().is_some()
    })
    .await;
    player.segments(4).await;
    // Lost, not ended: the stream waits for it.
    kill9(first.pid());
    let _again = Broadcaster::start(&sample(), &format!("{}/live/show", ingest.rtmp));
    player.segments(8).await;
    let recording = player.stop().await;
    recording.assert_sound();
    assert_eq!(
        epochs(&recording).len(),
        1,
        "the stream went on where it was"
    );
    assert_eq!(
        (streams(&ingest, 1).await, streams(&ingest, 2).await),
        (1.0, 0.0)
    );
    // Once more where the one that returns comes before its own loss is noticed.
    let refused = ingest
        .metric("rackcast_ingest_rtmp_refusals_total", &["taken"])
        .await;
    assert!(refused >= 1.0, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_limit_an_older_generation_sends_its_publishers_to_the_newer_one() {
    let limits = "[supervisor]\ngeneration_limit = \"4s\"\n[origin]\nretention = \"5s\"";
    let ingest = Ingest::start(&format!("{OPEN}\n{limits}")).await;
    let url = format!("{}/live/long", ingest.rtmp);
    let broadcast = Broadcaster::start(&sample(), &url);
    let player = Player::follow(&master(&ingest, "long")).await;
    player.segments(2).await;
    hand_over(&ingest, 2).await;
    player
        .until("a second epoch", LIMIT, |r| epochs(r).len() == 2)
        .await;
    wait_until("the old generation to end", LIMIT, || {
        ingest.generations().len() == 1
    })
    .await;
    let seen = player.so_far().common();
    player.segments(seen + 2).await;
    let recording = player.stop().await;
    recording.assert_sound();
    assert_eq!(recording.outages, Vec::<String>::new());
    assert_eq!(broadcast.stop(), 2, "connections of the publisher");
}

/// However far a hand-over has come when its new generation dies: somebody accepts, the publisher stays,
/// and the next hand-over is a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_whose_new_generation_dies_at_any_moment_costs_no_publisher() {
    let ingest = Ingest::start(OPEN).await;
    let mut early = publisher(&ingest, "show");
    let player = Player::follow(&master(&ingest, "show")).await;
    player.segments(2).await;
    let first = ingest.generations();
    let begin = async || {
        let before = ingest.generations();
        ingest.signal(Signal::SIGUSR2);
        wait_for("a new generation", LIMIT, async || {
            let now = ingest.generations();
            now.into_iter().find(|pid| !before.contains(pid))
        })
        .await
    };
    // As it begins, on its way, and when it accepts.
    for after in [Some(0), Some(150), None] {
        let new = begin().await;
        match after {
            Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            None => at_rest(&ingest).await,
        }
        let before = phases(&ingest).await;
        kill9(new);
        wait_until("it to be gone", LIMIT, || !runs(new)).await;
        at_rest(&ingest).await;
        println!("{before:?}, then {:?}", phases(&ingest).await);
        let seen = player.so_far().common();
        player.segments(seen + 1).await;
    }

    let new = begin().await;
    at_rest(&ingest).await;
    let late = publisher(&ingest, "late");
    let late_player = Player::follow(&master(&ingest, "late")).await;
    late_player.segments(1).await;
    let generations = ingest.generations();
    assert!(generations.contains(&new) && generations.contains(&first[0]));
    assert!(
        early.ended().is_none(),
        "the publisher has the connection that it had"
    );
    let recording = player.stop().await;
    recording.assert_sound();
    assert_eq!(epochs(&recording).len(), 1);
    late_player.stop().await.assert_sound();
    drop(late);
}

/// Nothing where the busy supervisor does not answer in time.
async fn phases(ingest: &Ingest) -> Option<Vec<(u64, Phase)>> {
    let status = fetch(&ingest.socket).await.ok()?;
    let generations = status.generations.iter();
    Some(generations.map(|g| (g.number, g.phase)).collect())
}

/// Waits until one generation accepts, none is on its way there or out, and there are no others.
async fn at_rest(ingest: &Ingest) {
    wait_for("one generation that accepts", LIMIT, async || {
        let phases = phases(ingest).await?;
        let serving = phases.iter().filter(|(_, p)| *p == Phase::Serving);
        let settled = |(_, phase): &(u64, Phase)| matches!(phase, Phase::Serving | Phase::Retired);
        let rests = serving.count() == 1 && phases.iter().all(settled);
        (rests && phases.len() == ingest.generations().len()).then_some(())
    })
    .await;
}

/// Puts a program in another's place, as a package does. Where this process wrote it, what another thread
/// starts just then would hold it open for writing for a moment, and it could not be run (`ETXTBSY`).
fn install(program: &Path, at: &Path) {
    let beside = at.with_extension("new");
    let mut cp = Command::new("cp");
    assert!(cp.arg(program).arg(&beside).status().unwrap().success());
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(beside, at).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_replaces_the_supervisor_in_its_process_and_a_broken_one_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let installed = dir.path().join("rackcast-ingest");
    let (good, broken) = (program("rackcast-ingest"), dir.path().join("broken"));
    let text = "#!/bin/sh\necho 'this program is broken' >&2\nexit 1\n";
    fs::write(&broken, text).unwrap();
    install(&good, &installed);
    let ingest = Ingest::of(&installed, NO_CONSUL, 1, OPEN).await;
    let mut publisher = publisher(&ingest, "show");
    let player = Player::follow(&master(&ingest, "show")).await;
    player.segments(2).await;
    let (pid, first) = (ingest.pid(), ingest.generations());

    install(&broken, &installed);
    ingest.signal(Signal::SIGHUP);
    ingest.log_line("this program is broken", LIMIT).await;
    wait_for("the failure to be counted", LIMIT, async || {
        let failures = "rackcast_ingest_handover_failures_total";
        (ingest.metric(failures, &[]).await == 1.0).then_some(())
    })
    .await;
    let alone = || ingest.generations() == first;
    wait_until("the first generation alone", LIMIT, alone).await;

    // A configuration that only the new program could refuse is refused by it.
    install(&good, &installed);
    ingest.write("[auth]\nmode = \"nonsense\"");
    ingest.signal(Signal::SIGHUP);
    ingest.log_line("nonsense", LIMIT).await;
    wait_until("the first generation alone", LIMIT, alone).await;

    ingest.write(OPEN);
    ingest.edit("node = ", "zone = \"hall-2\"\nnode = ");
    ingest.signal(Signal::SIGHUP);
    ingest
        .log_line("generation 2 is ready and accepts", LIMIT)
        .await;
    let runs = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!(runs, installed, "the supervisor is the program on disk");
    assert!(
        ingest.generations().contains(&first[0]),
        "its children are still its own"
    );
    waits(&ingest, 2, 0.0, 1.0).await;
    player.segments(6).await;
    assert!(
        publisher.ended().is_none(),
        "the publisher has the connection that it had"
    );
    let recording = player.stop().await;
    recording.assert_sound();
    assert_eq!(recording.outages, Vec::<String>::new());
    assert_eq!(epochs(&recording).len(), 1);

    // It is as good a supervisor as the first: a generation that dies is replaced, and old ones end.
    signal(publisher.pid(), Signal::SIGTERM);
    signal(first[0], Signal::SIGKILL);
    ingest.log_line("generation 1 ended", LIMIT).await;
    let second = ingest.generations();
    signal(second[0], Signal::SIGKILL);
    ingest
        .log_line("generation 3 is ready and accepts", LIMIT)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_keys_at_once_and_a_bad_file_changes_nothing() {
    let key = |key: &str| {
        let entry = format!("app = \"live\"\nstream = \"show\"\nkey = \"{key}\"");
        format!("[stream]\nladder = \"\"\n[[auth.streams]]\n{entry}")
    };
    let ingest = Ingest::start(&key("old")).await;
    let may = async |with: &str| {
        let admitted = ingest
            .metric("rackcast_ingest_rtmp_publishes_total", &[])
            .await;
        let mut publisher = publisher(&ingest, &format!("show?key={with}"));
        let end = std::time::Instant::now() + LIMIT;
        loop {
            if ingest
                .metric("rackcast_ingest_rtmp_publishes_total", &[])
                .await
                > admitted
            {
                return true;
            }
            if publisher.ended().is_some() {
                return false;
            }
            assert!(
                std::time::Instant::now() < end,
                "neither admitted nor refused"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(may("old").await);
    ingest.write(&key("new"));
    ingest.signal(Signal::SIGHUP);
    ingest.log_line("auth.streams changed", LIMIT).await;
    ingest
        .log_line("the configuration was reloaded", LIMIT)
        .await;
    assert!(!may("old").await, "a key that was taken away");
    // The stream of before may still be in its grace: its key is asked for all the same.
    assert!(may("new").await);

    for (text, why) in [
        ("[auth]\nmode = \"opne\"", "unknown variant `opne`"),
        (
            "[stream]\nmax_streams = 0",
            "stream.max_streams must be at least 1",
        ),
        (
            "[[auth.streams]]\napp = \"live\"\nstream = \"x\"\nkey_file = \"/nonexistent\"",
            "the key file /nonexistent cannot be read",
        ),
    ] {
        ingest.write(text);
        ingest.signal(Signal::SIGHUP);
        ingest.log_line(why, LIMIT).await;
    }
    let failures = "rackcast_config_reload_failures_total";
    wait_for("all three to be counted", LIMIT, async || {
        (ingest.metric(failures, &[]).await == 3.0).then_some(())
    })
    .await;
    let successful = "rackcast_config_last_reload_successful";
    assert_eq!(ingest.metric(successful, &[]).await, 0.0);
    assert_eq!(ingest.generations().len(), 1);
    assert!(!may("old").await);

    // What waits for a restart is named with that.
    ingest.write(&format!("{}\n[http]\nmax_connections = 7", key("new")));
    ingest.signal(Signal::SIGHUP);
    ingest
        .log_line("http.max_connections is not in force yet", LIMIT)
        .await;
    assert_eq!(ingest.metric(successful, &[]).await, 1.0);
    ingest.edit("node = ", "zone = \"hall-2\"\nnode = ");
    ingest.signal(Signal::SIGHUP);
    ingest.log_line("zone is not in force yet", LIMIT).await;
    waits(&ingest, 1, 1.0, 1.0).await;
    wait_for("both keys to be named", LIMIT, async || {
        let waiting = fetch(&ingest.socket).await.ok()?.waiting;
        let keys = waiting.keys().map(String::as_str);
        keys.eq(["http.max_connections", "zone"]).then_some(())
    })
    .await;
    hand_over(&ingest, 2).await;
    waits(&ingest, 2, 0.0, 1.0).await;
}

/// Waits until so many keys wait in a generation, for a hand-over and for a restart.
async fn waits(ingest: &Ingest, generation: u64, handover: f64, restart: f64) {
    let generation = format!("generation=\"{generation}\"");
    let waiting = async |until: &str| {
        let until = format!("until=\"{until}\"");
        let name = "rackcast_config_waiting_keys";
        ingest.metric(name, &[&generation, &until]).await
    };
    let what = format!("{handover} and {restart} keys to wait");
    wait_for(&what, LIMIT, async || {
        let now = (waiting("hand-over").await, waiting("restart").await);
        (now == (handover, restart)).then_some(())
    })
    .await;
}
