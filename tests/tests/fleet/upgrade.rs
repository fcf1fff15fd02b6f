//! `apt upgrade`, and the ways back.

use rackcast_tests::check;
use rackcast_tests::hosts::{Host, Version};
use rackcast_tests::player::Player;
use rackcast_tests::publish::{Broadcaster, Sample};
use rackcast_tests::show::Shows;
use rackcast_tests::wait::wait_until;

use crate::rack::{
    APT, NONSENSE, PACKAGES, Rack, SOON, apt, has, master, publish_url, show, version,
};

/// What an operator wrote into a configuration file, and finds there for ever.
const NOTE: &str = "# kept by its operator";
/// As unattended-upgrades and Ansible do: the operator's files stay, what the packages bring for
/// them lies beside.
const UPGRADE: &str = "-o Dpkg::Options::=--force-confold upgrade";
const CONFIGURATION: &str = "/etc/rackcast/rackcast-transcode.toml";

/// Host after host goes from N to N+1 while three streams run: nothing is lost, no publisher's
/// connection is cut, what operators edited is kept.
pub(crate) async fn an_upgrade_under_three_streams_loses_nothing(rack: &Rack) {
    rack.ready().await;
    rack.each(|host| host.run(&format!("echo '{NOTE}' >>{CONFIGURATION}")));
    let streams = [("d12", "one"), ("d12", "two"), ("d13", "three")];
    let streams = streams.map(|(host, stream)| {
        let host = rack.hosts.host(host);
        (publish_url(host, stream), master(host, stream))
    });
    let shows = Shows::begin(&Sample::long().file(), &streams).await;
    shows.go_on(3).await;

    rack.repository.offer(Version::Next);
    for host in rack.hosts.all() {
        apt(host, "update");
        let said = apt(host, UPGRADE);
        assert_eq!(version(host), Version::Next.text(), "{said}");
        rack.in_service().await;
        runs_what_is_installed(host);
        let file = host.run(&format!("cat {CONFIGURATION}"));
        assert!(file.contains(NOTE), "{file}");
        assert!(!file.contains(Version::Next.text()), "{file}");
        // The next host is upgraded when this one is at work again.
        shows.go_on(3).await;
    }
    shows.end_unharmed().await;
}

/// Back to N, by name; removal keeps what was edited; purging leaves nothing.
pub(crate) async fn downgrade_remove_and_purge(rack: &Rack) {
    rack.ready().await;
    rack.repository.offer(Version::Next);
    let host = rack.hosts.host("d13");
    host.run(&format!("echo '{NOTE}' >>{CONFIGURATION}"));
    apt(host, "update");
    apt(host, UPGRADE);
    assert_eq!(version(host), Version::Next.text());
    rack.downgrade(host);
    assert_eq!(version(host), Version::First.text());
    runs_what_is_installed(host);
    rack.passing(2).await;

    apt(host, &format!("remove {}", PACKAGES.join(" ")));
    rack.passing(1).await;
    assert_eq!(host.run("systemctl is-system-running"), "running");
    assert!(host.run(&format!("cat {CONFIGURATION}")).contains(NOTE));
    host.run("! pgrep --list-name rackcast");

    apt(
        host,
        &format!("purge {} rackcast-common", PACKAGES.join(" ")),
    );
    let left = host.run(
        "find / -xdev \\( -name proc -o -name usr \\) -prune -o -name '*rackcast*' -print \
         | grep -v -e ^/var/lib/apt/ -e ^/var/cache/apt/ -e ^/etc/apt/ -e ^/var/log/ || :",
    );
    assert_eq!(left, "", "left behind");
    assert!(!has(host, "rackcast-common"));
    // And again from nothing.
    rack.ready().await;
}

/// A new generation of an ingest takes over while one publishes: the publisher keeps its connection
/// and its viewers miss nothing, until the old generation's time is up and it is sent away.
pub(crate) async fn an_old_generation_serves_on_and_is_stopped_at_its_limit(rack: &Rack) {
    rack.ready().await;
    let host = rack.hosts.host("d13");
    let generations = || {
        let list = "ps --ppid $(systemctl show -P MainPID rackcast-ingest) -o args=";
        let list = host.run(list);
        list.lines().filter(|l| l.contains("generation")).count()
    };
    // What its publishers left is served until it is forgotten; then it ends.
    host.run(
        "sed -i 's|^#generation_limit = .*|generation_limit = \"20s\"|
                 s|^#grace = .*|grace = \"5s\"|
                 s|^#retention = .*|retention = \"5s\"|' \
         /etc/rackcast/rackcast-ingest.toml && systemctl reload rackcast-ingest",
    );
    assert_eq!(generations(), 1);
    let supervisor = host.property("rackcast-ingest", "MainPID");

    let file = Sample::long().file();
    let broadcaster = Broadcaster::start(&file, &publish_url(host, "handed-over"));
    let player = Player::follow(&master(host, "handed-over")).await;
    player.segments(2).await;
    host.run("systemctl kill --kill-whom=main --signal=SIGUSR2 rackcast-ingest");
    wait_until("two generations", SOON, || generations() == 2).await;
    let told = [
        "generation 1 ",
        ": retired for ",
        "sends its publishers to the newest in",
    ];
    wait_until("rackcast status to tell of both", SOON, || {
        let status = host.attempt("rackcast status").text;
        told.iter().all(|words| status.contains(words))
    })
    .await;
    player.more(3).await;
    wait_until("the old one to end", SOON, || generations() == 1).await;
    player.more(3).await;
    let recording = player.stop().await;
    recording.assert_sound();
    check::assert_same_pictures(&recording);
    let connections = broadcaster.stop();
    assert_eq!(connections, 2, "sent away at the limit, and never else");
    assert_eq!(host.property("rackcast-ingest", "MainPID"), supervisor);
}

/// Configuration files that the operator broke are told of by apt, and harm nothing that runs.
pub(crate) async fn apt_tells_of_broken_configurations_and_leaves_what_runs(rack: &Rack) {
    rack.ready().await;
    rack.repository.offer(Version::Next);
    let host = rack.hosts.host("d12");
    let show = show(host, "unbroken").await;
    let pids = || PACKAGES.map(|unit| host.property(unit, "MainPID"));
    let before = pids();
    host.run(&format!(
        "for f in /etc/rackcast/*.toml; do echo '{NONSENSE}' >>$f; done"
    ));
    apt(host, "update");
    let said = host.attempt(&format!("{APT} {UPGRADE}"));
    for unit in PACKAGES {
        let file = format!("/etc/rackcast/{unit}.toml");
        let told = |line: &str| line.contains(&file) || line.contains("colour");
        assert!(said.text.lines().any(told), "no {file} in {}", said.text);
    }
    let kept = said.text.matches("goes on with the old version").count();
    assert_eq!(kept, PACKAGES.len(), "{}", said.text);
    assert!(said.good, "{}", said.text);
    assert_eq!(pids(), before);
    assert_eq!(version(host), Version::Next.text());
    show.goes_on(5).await;
    show.end_unharmed().await;

    // Mended, they can be taken into use.
    host.run("sed -i '/^colour/d' /etc/rackcast/*.toml");
    host.run(&format!("systemctl restart {}", PACKAGES.join(" ")));
    runs_what_is_installed(host);
    rack.passing(2).await;
}

/// The services run the programs that are installed. (An ingest's older generations serve on as
/// what they are.)
fn runs_what_is_installed(host: &Host) {
    for unit in PACKAGES {
        let pid = host.property(unit, "MainPID");
        let program = host.run(&format!("readlink /proc/{pid}/exe"));
        assert_eq!(program, format!("/usr/bin/{unit}"), "on {}", host.name());
    }
}
