//! Services that stand still, fall over or are told nonsense.

use rackcast_tests::hosts::Host;
use rackcast_tests::wait::{wait_for, wait_until};
use serde_json::Value;

use crate::rack::{DROP_IN, NONSENSE, PACKAGES, Rack, SOON};

/// A daemon whose every thread stands still, while its process lives, is found by systemd's
/// watchdog and started again.
pub(crate) async fn a_deadlocked_daemon_is_found_by_the_watchdog(rack: &Rack) {
    rack.ready().await;
    let host = rack.hosts.host("d13");
    // One after another: the agent shall see the services fall.
    for unit in PACKAGES {
        let file = format!("/run/deadlock-{unit}");
        drop_in(
            host,
            unit,
            &format!("[Service]\nWatchdogSec=6s\nEnvironment=RACKCAST_TEST_DEADLOCK={file}\n"),
        );
        host.run(&format!("systemctl restart {unit}"));
        rack.passing(2).await;
        let before = host.property(unit, "MainPID");
        host.run(&format!("touch {file}"));
        // At least once: a machine that is busy may find it late again while it starts.
        wait_until(&format!("{unit} to be started again"), SOON, || {
            host.property(unit, "NRestarts") != "0"
        })
        .await;
        host.until(unit, "ActiveState", "active", SOON).await;
        assert_ne!(host.property(unit, "MainPID"), before);
        let story = host.journal(&format!("_PID=1 UNIT={unit}.service"));
        let told = |entry: &Value| {
            entry["MESSAGE"]
                .as_str()
                .unwrap_or("")
                .contains("Watchdog timeout")
        };
        assert!(story.iter().any(told), "{story:#?}");
        mend(host, unit);
        rack.passing(2).await;
    }
    assert_eq!(host.run("systemctl is-system-running"), "running");
}

/// A daemon that keeps dying is started again a few times, then left alone, and Consul says so.
pub(crate) async fn a_crash_loop_stops_and_is_critical_in_consul(rack: &Rack) {
    rack.ready().await;
    let host = rack.hosts.host("d12");
    let unit = "rackcast-transcode";
    host.run("systemctl reset-failed rackcast-transcode; systemctl start rackcast-transcode");
    let mut crashes = 0;
    loop {
        let state = wait_for("it to run or to fail", SOON, || async {
            let state = host.property(unit, "ActiveState");
            ["active", "failed"]
                .contains(&state.as_str())
                .then_some(state)
        })
        .await;
        if state == "failed" {
            break;
        }
        assert!(crashes < 10, "it is started again for ever");
        crashes += 1;
        let starts = host.property(unit, "NRestarts");
        host.run("systemctl kill --kill-whom=main --signal=SIGABRT rackcast-transcode");
        wait_until("it to be started again, or not", SOON, || {
            host.property(unit, "NRestarts") != starts
                || host.property(unit, "ActiveState") == "failed"
        })
        .await;
    }
    let story =
        host.run("journalctl --sync; journalctl -q -o cat -n 20 -u rackcast-transcode _PID=1");
    assert!(story.contains("repeated too quickly"), "{story}");
    assert!(crashes > 2, "given up after {crashes} crashes");

    let path = "/v1/health/service/rackcast-transcode";
    let state = wait_for("Consul to call it critical", SOON, || async {
        let instances = rack.consul.get(path).await;
        let ours = instances
            .as_array()?
            .iter()
            .find(|i| i["Node"]["Node"] == host.name())?
            .clone();
        let checks = ours["Checks"].as_array()?;
        checks
            .iter()
            .any(|c| c["Name"] == "devices" && c["Status"] == "critical")
            .then_some(ours)
    })
    .await;
    assert_eq!(state["Service"]["Service"], "rackcast-transcode");

    host.run("systemctl reset-failed rackcast-transcode && systemctl start rackcast-transcode");
    rack.passing(2).await;
}

/// A configuration that is nonsense is refused by `reload`, which says why; what runs goes on as
/// it was.
pub(crate) async fn a_bad_configuration_takes_no_running_service_down(rack: &Rack) {
    rack.ready().await;
    let host = rack.hosts.host("d12");
    let reloads = |unit: &&str| host.property(unit, "CanReload") == "yes";
    let units: Vec<&str> = PACKAGES.into_iter().filter(reloads).collect();
    assert!(units.contains(&"rackcast-ingest"), "{units:?}");
    for unit in units {
        let file = format!("/etc/rackcast/{unit}.toml");
        let before = host.property(unit, "MainPID");
        host.run(&format!(
            "cp {file} /root/good && echo '{NONSENSE}' >>{file}"
        ));
        let reload = host.attempt(&format!("systemctl reload {unit}"));
        assert!(!reload.good, "{unit} took nonsense for a configuration");
        let why = host.run(&format!("systemctl status --full --no-pager -n 20 {unit}"));
        for clue in [file.as_str(), "colour"] {
            assert!(why.contains(clue), "no {clue:?} in {why}");
        }
        assert_eq!(host.property(unit, "ActiveState"), "active", "{unit}");
        host.run(&format!("cp /root/good {file} && systemctl reload {unit}"));
        assert_eq!(host.property(unit, "MainPID"), before, "{unit}");
    }
    rack.passing(2).await;
}

fn drop_in(host: &Host, unit: &str, text: &str) {
    host.write(
        &format!("/etc/systemd/system/{unit}.service.d/{DROP_IN}"),
        text,
    );
    host.run("systemctl daemon-reload");
}

fn mend(host: &Host, unit: &str) {
    host.run(&format!(
        "rm /etc/systemd/system/{unit}.service.d/{DROP_IN}; systemctl daemon-reload; \
         systemctl restart {unit}"
    ));
}
