//! Several ingests on one Consul: any of them plays what another has, one takes over from another,
//! and what is set for the fleet is in force on all of them.

use std::process::Command;
use std::time::{Duration, Instant};

use rackcast_tests::consul::Consul;
use rackcast_tests::http::Http;
use rackcast_tests::player::{Player, Recording};
use rackcast_tests::process::{kill9, program};
use rackcast_tests::publish::{Sample, publish};
use rackcast_tests::rack::{Agent, Ingest, Node};
use rackcast_tests::wait::wait_for;

const OPEN: &str = "[auth]\nmode = \"open\"";
const LIMIT: Duration = Duration::from_secs(30);
/// A setting is in force a moment after it is written. The machine may be busy with other things, and a
/// change that was only polled for would take longer.
const AT_ONCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_player_at_the_wrong_ingest_plays_on_when_the_right_one_dies() {
    let consul = Consul::start().await;
    let (first, second, asked) = tokio::join!(
        Ingest::on(&consul.url, 1, OPEN),
        Ingest::on(&consul.url, 2, OPEN),
        Ingest::on(&consul.url, 3, OPEN),
    );
    let file = Sample {
        width: 160,
        height: 90,
        ..Sample::default()
    }
    .file();
    let _lost = publish(&file, &format!("{}/live/show", first.rtmp));
    let player = Player::follow(&format!("{}/live/show/master.m3u8", asked.hls)).await;
    player.segments(3).await;
    let entries = consul.get("/v1/kv/rackcast/streams/?keys").await;
    assert_eq!(entries.as_array().unwrap().len(), 1, "{entries}");

    kill9(first.pid());
    let killed = Instant::now();
    let _back = publish(&file, &format!("{}/live/show", second.rtmp));
    let seen = player.so_far().common();
    player
        .until("the stream to go on", LIMIT, |r| r.common() >= seen + 3)
        .await;
    println!(
        "three segments of the next ingest after {:?}",
        killed.elapsed()
    );
    let recording = player.stop().await;
    for (name, track) in &recording.tracks {
        let listed: Vec<_> = track.segments.values().map(|s| &s.listed).collect();
        let mut epochs: Vec<_> = listed.iter().map(|l| l.address().0).collect();
        let numbers: Vec<_> = listed.iter().map(|l| l.sequence).collect();
        assert!(numbers.is_sorted(), "{name}: {numbers:?}");
        assert!(epochs.is_sorted(), "{name}: {epochs:?}");
        epochs.dedup();
        assert_eq!(epochs.len(), 2, "{name}: {epochs:?}");
    }
    recording.assert_sound();

    // The dead one's entry goes by itself, and that of a stream with its stream.
    wait_for("the dead ingest to be forgotten", 2 * LIMIT, || async {
        let entries = consul.get("/v1/kv/rackcast/streams/?keys").await;
        (entries.as_array()?.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_of_one_ingest_plays_on_wherever_the_publisher_goes() {
    let consul = Consul::start().await;
    let (here, there) = tokio::join!(
        Ingest::on(&consul.url, 1, OPEN),
        Ingest::on(&consul.url, 2, OPEN),
    );
    let agent = Agent::of("front", &consul.url, "", &[&here.socket]).await;
    let file = Sample {
        width: 160,
        height: 90,
        ..Sample::default()
    }
    .file();
    let to = |ingest: &Ingest| publish(&file, &format!("{}/live/show", ingest.rtmp));
    let mut publisher = to(&here);
    // This one asks nobody else, whatever happens.
    let player = Player::follow(&format!("{}/live/show/master.m3u8", here.hls)).await;
    let plays = async |lives: usize, what: &str| {
        let begun = Instant::now();
        let what = format!("the stream to play {what}");
        let done = |r: &Recording| {
            r.common() > 0 && r.tracks.values().all(|track| track.lives(2) >= lives)
        };
        player.until(&what, LIMIT, done).await;
        println!("two segments {what} after {:?}", begun.elapsed());
    };
    plays(1, "at first").await;

    // Its connection is cut, and it goes to another ingest, while the first one lives on.
    for (lives, ingest, what) in [(2, &there, "at the other"), (3, &here, "back at the first")] {
        kill9(publisher.pid());
        publisher = to(ingest);
        plays(lives, what).await;
    }
    // It is sent away.
    agent.rackcast(&["drain", "--deadline", "1s"]);
    publisher.wait(LIMIT);
    publisher = to(&there);
    plays(4, "where the drained one's publisher went").await;
    assert!(publisher.ended().is_none());

    let recording = player.stop().await;
    recording.assert_sound();
    for (name, track) in &recording.tracks {
        assert!(!track.ended, "{name} was declared over");
        let listed: Vec<_> = track.segments.values().map(|s| &s.listed).collect();
        let lives: Vec<_> = listed.iter().map(|l| (l.address().0, l.timeline)).collect();
        let rise = |pair: &[(u64, u64)]| match pair {
            [a, b] => a == b || (a.0 < b.0 && a.1 < b.1),
            _ => true,
        };
        assert!(lives.windows(2).all(rise), "{name}: {lives:?}");
        assert_eq!(track.lives(1), 4, "{name}: {lives:?}");
        println!(
            "{name}: at most {:?} without a segment",
            track.longest_wait()
        );
    }
    let gave_way = ["result=\"gives-way\""];
    let contests = "rackcast_ingest_stream_contests_total";
    assert_eq!(here.metric(contests, &gave_way).await, 1.0);
    assert_eq!(there.metric(contests, &gave_way).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_is_to_redirect_sends_players_to_the_one_that_has_the_stream() {
    let consul = Consul::start().await;
    let redirects = format!("{OPEN}\n[directory]\nredirect = true");
    let (has, asked) = tokio::join!(
        Ingest::on(&consul.url, 1, OPEN),
        Ingest::on(&consul.url, 2, &redirects),
    );
    let file = Sample {
        width: 160,
        height: 90,
        ..Sample::default()
    }
    .file();
    let _publisher = publish(&file, &format!("{}/live/there", has.rtmp));
    let path = "/live/there/master.m3u8?token=x";
    let http = Http::default();
    let answer = wait_for("a redirection", LIMIT, || async {
        let answer = http.get(&format!("{}{path}", asked.hls)).await.ok()?;
        (answer.status != 404).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), format!("{}{path}", has.hls));
    // A player at another address than its page's may follow it.
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let player = Player::follow(answer.header("location")).await;
    player.segments(1).await;
    player.stop().await.assert_sound();
    // Nobody's stream is nobody's, and the one that has it sends nobody away.
    let nobodys = format!("{}/live/nobody/master.m3u8", asked.hls);
    assert_eq!(http.get(&nobodys).await.unwrap().status, 404);
    let own = http.get(&format!("{}{path}", has.hls)).await.unwrap();
    assert_eq!(own.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_in_force_on_all_at_once() {
    let consul = Consul::start().await;
    let mut ingests = Vec::new();
    for n in 1..=3 {
        ingests.push(Ingest::on(&consul.url, n, OPEN).await);
    }
    let settings = |args: &[&str]| {
        let mut command = Command::new(program("rackcast"));
        command
            .arg("settings")
            .args(args)
            .args(["--consul", &consul.url]);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let all_have = async |in_force: f64, refused: f64| {
        let begun = Instant::now();
        for ingest in &ingests {
            wait_for("the setting to be in force", LIMIT, || async {
                let now = ingest.metric("rackcast_settings_in_force", &[]).await;
                let bad = ingest.metric("rackcast_settings_refused", &[]).await;
                ((now, bad) == (in_force, refused)).then_some(())
            })
            .await;
        }
        begun.elapsed()
    };
    all_have(0.0, 0.0).await;
    let (good, text) = settings(&[
        "set",
        "ingest.log_level",
        "debug",
        "--reason",
        "to see more",
    ]);
    assert!(good, "{text}");
    let took = all_have(1.0, 0.0).await;
    println!("in force on three ingests {took:?} after it was written");
    assert!(took < AT_ONCE, "{took:?}");
    let (_, text) = settings(&["get", "ingest.log_level"]);
    assert_eq!(text, "debug\n");

    // What is no value is not written; what got there all the same is not applied.
    let (good, text) = settings(&["set", "ingest.log_level", "loud"]);
    assert!(
        !good && text.contains("one of error, warn, info, debug, trace"),
        "{text}"
    );
    let rubbish = consul.url.clone() + "/v1/kv/rackcast/settings/ingest.log_level";
    let put = Command::new("curl")
        .args(["-sf", "-X", "PUT", "-d", "loud", &rubbish])
        .status();
    assert!(put.unwrap().success());
    all_have(1.0, 1.0).await;
    let refused = "ingest.log_level is refused and not applied";
    ingests[0].log_line(refused, LIMIT).await;

    let (good, text) = settings(&["unset", "ingest.log_level"]);
    assert!(good, "{text}");
    all_have(0.0, 0.0).await;

    // The other daemons have theirs.
    let follows = format!("[consul]\naddress = {:?}", consul.url);
    let node = Node::start(&follows).await;
    let agent = Agent::start(&consul.url, "", &[&node.socket]).await;
    for (name, value) in [
        ("transcode.drain_timeout", "5s"),
        ("agent.log_level", "debug"),
    ] {
        let (good, text) = settings(&["set", name, value]);
        assert!(good, "{text}");
    }
    let begun = Instant::now();
    wait_for("both to have them", LIMIT, || async {
        let in_force = "rackcast_settings_in_force";
        let have = node.metric(in_force, &[]).await + agent.metric(in_force, &[]).await;
        (have == 2.0).then_some(())
    })
    .await;
    let took = begun.elapsed();
    println!("in force on a node and an agent {took:?} after the last was written");
    assert!(took < AT_ONCE, "{took:?}");
}
