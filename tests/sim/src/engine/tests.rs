//! The engine on scenarios that can be worked out by hand.

use crate::measure::Record;
use crate::policy::Name;
use crate::scenario::Scenario;

/// One node, one slot, nothing varies.
const ALONE: &str = r#"
    about = "one stream, one node"
    length = "20s"
    network = { near = "10ms", jitter = 0.0, bandwidth = 1e8 }
    nodes = [{ count = 1, slots = 1, slot_rate = 100e6, noise = 0.0, calibration = 0.0 }]
    ingests = [{ streams = 1, ladder = ["1000x1000@25"], bitrate = 4e6, content = 0.0, until = "20s" }]
"#;

/// Ten unlike nodes, half busy.
const CALM: &str = r#"
    about = "nothing happens"
    length = "40s"
    warm_up = "10s"
    ingests = [{ streams = 60, ladder = ["1280x720@30", "640x360@30"] }]
    [[nodes]]
    count = 4
    slots = 4
    slot_rate = 200e6
    spread = 0.1
    contention = 0.1
    [[nodes]]
    count = 6
    slots = 2
    slot_rate = 150e6
    spread = 0.1
"#;

fn run(text: &str, policy: Name, seed: u64) -> Record {
    let scenario = Scenario::parse("test", text).unwrap();
    policy.run(&scenario, seed, false).0
}

fn mean(record: &Record) -> f64 {
    let times = record.segments.iter().map(|s| s.turnaround());
    times.sum::<f64>() / record.segments.len() as f64
}

#[test]
fn alone_a_segment_takes_its_way_there_its_work_and_its_way_back() {
    for policy in Name::ALL {
        let record = run(ALONE, policy, 1);
        assert_eq!(record.segments.len(), 10);
        // 8 Mbit there and 50 million pixels of 0.07 bit back, at 100 Mbit/s; half a second a job.
        let expected = 0.005 + 0.08 + 0.5 + 0.005 + 0.035;
        for s in &record.segments {
            let seen = s.turnaround();
            assert!((seen - expected).abs() < 1e-6, "{policy}: {seen}");
        }
    }
}

#[test]
fn a_full_node_lets_two_in_and_refuses_the_third_before_its_body() {
    let text = ALONE
        .replace("streams = 1", "streams = 3")
        .replace("100e6", "10e6");
    let record = run(&text, Name::Nearest, 1);
    // Each job takes the slot until its deadline: one runs, one waits.
    assert!(record.segments.iter().any(|s| s.refusals > 0));
    let first_round = record.sent.iter().filter(|s| s.at.secs() < 2.0).count();
    assert_eq!(first_round, 2);
}

#[test]
fn what_is_cancelled_leaves_its_slot_to_the_next() {
    // A job takes longer than its deadline; whoever waits must begin when it is cancelled.
    let text = ALONE
        .replace("streams = 1", "streams = 2")
        .replace("100e6", "16e6");
    let record = run(&text, Name::RoundRobin, 3);
    assert!(record.segments.iter().all(|s| !s.is_on_time()));
    let served = record.segments.iter().filter(|s| s.submissions > 0);
    assert!(served.count() > record.segments.len() / 2);
}

#[test]
fn a_dead_node_loses_what_it_has_and_refuses_what_comes() {
    let text = format!("{ALONE}\nfaults = [{{ at = '5s', until = '9s', what = 'dead' }}]");
    let record = run(&text, Name::RoundRobin, 1);
    for s in &record.segments {
        let (cut, done) = (s.cut.secs(), s.cut.secs() + 0.625);
        let spoilt = (done > 5.0 && cut < 5.0) || (cut >= 5.0 && cut + 3.0 < 9.0);
        assert_eq!(s.is_on_time(), !spoilt, "cut at {cut}");
    }
    // While it is dead nothing is submitted: nobody took a body.
    let dead = record
        .sent
        .iter()
        .filter(|s| (5.1..9.0).contains(&s.at.secs()));
    assert_eq!(dead.count(), 0);
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    for policy in Name::ALL {
        let sent = |seed| {
            let record = run(CALM, policy, seed);
            let sent = record.sent.iter().map(|s| (s.at, s.segment, s.node));
            sent.collect::<Vec<_>>()
        };
        assert_eq!(sent(1), sent(1), "{policy}");
        assert_ne!(sent(1), sent(2), "{policy}");
    }
}

#[test]
fn every_policy_meets_the_same_segments() {
    let cuts = |policy| {
        let record = run(CALM, policy, 5);
        let cuts = record.segments.iter().map(|s| (s.stream, s.cut, s.work));
        cuts.collect::<Vec<_>>()
    };
    let first = cuts(Name::Oracle);
    for policy in Name::ALL {
        assert_eq!(cuts(policy), first, "{policy}");
    }
}

/// Earliest finish is greedy, not optimal: who leaves others their turn may do a little better on the mean, and nothing
/// that knows less should do much better.
#[test]
fn the_oracle_is_not_beaten_when_all_is_well() {
    const TOLERANCE: f64 = 0.97;
    for seed in 1..=3 {
        let best = mean(&run(CALM, Name::Oracle, seed));
        for policy in Name::ALL {
            let theirs = mean(&run(CALM, policy, seed));
            assert!(theirs > best * TOLERANCE, "{policy}: {theirs} {best}");
        }
    }
}
