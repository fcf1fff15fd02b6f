//! A machine is drained from another one, through Consul.

use std::process::Command;
use std::time::{Duration, Instant};

use rackcast_tests::datacenter::Datacenter;
use rackcast_tests::netns::Network;
use rackcast_tests::wait::wait_for;

use crate::fleet::{Daemon, START, ingests, until_healthy};

/// Whose machine is drained, and where the operator sits.
const DRAINED: u8 = 3;
const DESK: u8 = 4;
const INGEST: &str = "rackcast-ingest";
const LIMIT: Duration = Duration::from_secs(20);

/// Exit code, and what was printed.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.env("USER", "ann").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_drained_from_another_one() {
    if !Network::is_possible("drain from afar in a Consul datacenter") {
        return;
    }
    let dc = Datacenter::start(3).await;
    let mut daemons = ingests(&dc, &[2, DRAINED]);
    until_healthy(&dc, DESK, INGEST, 2, START).await;
    let operator = |args: &[&str]| run(dc.rackcast(DESK, "operator").args(args));

    let began = Instant::now();
    let (code, text) = operator(&[
        "drain",
        "m3",
        "--reason",
        "new disks",
        "--deadline",
        "1h",
        "--wait",
        "60s",
    ]);
    println!("taken {:?} after it was told: {text}", began.elapsed());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("m3: draining since "), "{text}");
    let by = format!(" by ann@{}, until ", rackcast_service::host::name());
    assert!(
        text.contains(&by) && text.contains(": new disks\n"),
        "{text}"
    );
    until_healthy(&dc, DESK, INGEST, 1, LIMIT).await;

    // Another reason is a new order, and Consul shows it.
    let (code, text) = operator(&[
        "drain",
        "m3",
        "--reason",
        "new disks and fans",
        "--json",
        "--wait",
        "60s",
    ]);
    assert_eq!(code, Some(0), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&json["taken"], &json["node"]),
        (&true.into(), &"m3".into()),
        "{json}"
    );
    let (_, nodes) = operator(&["nodes"]);
    let shown = nodes
        .lines()
        .filter(|l| l.contains("maintenance: rackcast: draining since"));
    let shown: Vec<_> = shown.collect();
    assert!(
        shown.len() == 1 && shown[0].ends_with(": new disks and fans"),
        "{nodes}"
    );

    // It outlives the agent, and an order that is given on the machine later overrules it for good.
    let control = dc.home(DRAINED).join("run/agent.control");
    let local = |args: &[&str]| {
        let command = &mut dc.rackcast(DRAINED, "operator");
        run(command.args(args).arg("--control").arg(&control))
    };
    daemons.pop();
    daemons.push(Daemon::start(&dc, DRAINED, "agent", ""));
    let is_up = async || {
        wait_for("the agent", LIMIT, || async {
            let (code, text) = local(&["status", "--json"]);
            (code != Some(2)).then_some(text)
        })
        .await
    };
    assert!(is_up().await.contains("new disks and fans"));
    until_healthy(&dc, DESK, INGEST, 1, LIMIT).await;
    assert_eq!(local(&["resume"]).0, Some(0));
    until_healthy(&dc, DESK, INGEST, 2, LIMIT).await;
    daemons.pop();
    daemons.push(Daemon::start(&dc, DRAINED, "agent", ""));
    assert!(!is_up().await.contains("new disks and fans"));
    until_healthy(&dc, DESK, INGEST, 2, LIMIT).await;

    let (code, text) = operator(&["drain", "m3", "--wait", "60s"]);
    assert_eq!(code, Some(0), "{text}");
    until_healthy(&dc, DESK, INGEST, 1, LIMIT).await;
    // It waits for five seconds, which a busy machine may need for something else.
    let text = wait_for("the order to be taken", LIMIT, async || {
        let (code, text) = operator(&["resume", "m3"]);
        assert!(matches!(code, Some(0 | 3)), "{text}");
        (code == Some(0)).then_some(text)
    })
    .await;
    assert!(
        text.starts_with("m3: at work since ") && text.contains(" by ann@"),
        "{text}"
    );
    until_healthy(&dc, DESK, INGEST, 2, LIMIT).await;

    // Who may not, is told; who is not there, too.
    for role in ["agent", "ingest", "transcode"] {
        let (code, text) = run(dc.rackcast(DESK, role).args(["drain", "m3"]));
        assert_eq!(code, Some(1), "{role}: {text}");
        assert!(text.contains("forbidden"), "{role}: {text}");
    }
    let (code, text) = operator(&["drain", "m9", "--wait", "1s"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("m9 has no service there"), "{text}");
    assert_eq!(operator(&["drain", "m/9"]).0, Some(2));
}
