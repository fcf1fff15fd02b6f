//! The rack that all stories share: a Debian 12 and a Debian 13 host, each an ingest and a
//! transcode node; a Consul server and a package repository beside them.

use std::ops::Deref;
use std::time::Duration;

use rackcast_tests::consul::Consul;
use rackcast_tests::explain::Explain;
use rackcast_tests::hosts::{Ground, Host, Stage, Suite, Version, at_once};
use rackcast_tests::publish::Sample;
use rackcast_tests::show::Show;
use rackcast_tests::wait::wait_seeing;

pub(crate) use rackcast_tests::hosts::PACKAGES;

/// Their services in Consul's catalog.
pub(crate) const SERVICES: [&str; 2] = ["rackcast-ingest", "rackcast-transcode"];
/// What starts, or comes back, does so within this.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What differs from the packages' own configuration: what an operator would edit, so that others
/// can ask the ingest too, and pictures that cost little. Nothing is ever lost here; that a segment is
/// late is no fault of ours where hosts share the processors with apt. How late it may be is for the
/// end-to-end tests, which keep the deadline that there is.
const EDITS: &str = r#"
cd /etc/rackcast
sed -i 's|^#mode = "table"|mode = "open"|
        s|^#admin = .*|admin = "0.0.0.0:9611"|
        s|^#deadline_targets = .*|deadline_targets = 4.0|
        s|^#ladder = "1080p.*|ladder = "180p:180@300k,low:120@150k"|' rackcast-ingest.toml
sed -i 's|^#*preset = .*|preset = "ultrafast"|
        s|^#*count = 0|count = 1|' rackcast-transcode.toml
"#;

/// The name of the drop-in by which a story changes a unit.
pub(crate) const DROP_IN: &str = "story.conf";
/// What a story appends to a configuration file to make it nonsense.
pub(crate) const NONSENSE: &str = "colour = \"red\"";

const MEND: &str = r#"
rm -f /etc/systemd/system/rackcast-*.service.d/story.conf
[ ! -e /etc/rackcast ] || sed -i '/^colour = /d' /etc/rackcast/*.toml
if [ -d /root/cleartext ]; then
    cp /root/cleartext/*.toml /etc/rackcast
    rm -rf /root/cleartext /etc/credstore/rackcast-* /etc/rackcast/credentials/*/*
    systemctl restart rackcast-ingest rackcast-transcode
fi
systemctl daemon-reload
systemctl reset-failed
for unit in agent ingest transcode; do
    ! systemctl --quiet is-enabled rackcast-$unit 2>/dev/null || systemctl start rackcast-$unit
done
file=/etc/rackcast/rackcast-ingest.toml
lives='^(generation_limit|grace|retention) = '
if grep -qsE "$lives" $file; then
    sed -i -E "s/$lives/#&/" $file
    systemctl reload rackcast-ingest
fi
"#;

/// All of it; ends when dropped.
pub(crate) struct Rack {
    // In the order in which they end.
    pub(crate) consul: Consul,
    ground: Ground,
}

impl Deref for Rack {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Stage for Rack {
    fn up() -> Self {
        let hosts = [("d12", Suite::Bookworm, None), ("d13", Suite::Trixie, None)];
        let ground = Ground::lay(&hosts);
        let consul = Consul::serve(ground.hosts.gateway());
        let consul = ground.runtime().block_on(consul);
        Self { consul, ground }
    }
}

impl Rack {
    /// Does something on all hosts at once; what came of it.
    pub(crate) fn each<T: Send>(&self, work: impl Fn(&Host) -> T + Sync) -> Vec<T> {
        at_once(self.hosts.all(), work)
    }

    /// Every story begins with this: the first version is installed, edited as an operator would,
    /// and every service runs and passes in Consul.
    pub(crate) async fn ready(&self) {
        self.each(|host| {
            if !has(host, "consul") {
                self.prepare(host);
            }
            // What a story that failed left behind.
            host.run(MEND);
            if version(host) != Version::First.text() {
                self.downgrade(host);
            }
        });
        self.in_service().await;
    }

    /// The first version in place of whatever is there, configured anew.
    pub(crate) fn downgrade(&self, host: &Host) {
        let of = |package| format!("{package}={}", Version::First.text());
        let packages = PACKAGES.into_iter().chain(["rackcast-common"]).map(of);
        let packages = packages.collect::<Vec<_>>().join(" ");
        apt(host, "update");
        let options = "-o Dpkg::Options::=--force-confold --allow-downgrades";
        apt(host, &format!("{options} install {packages}"));
        self.configure(host);
    }

    /// What a site does before: the sources of packages, and a Consul client agent.
    pub(crate) fn prepare(&self, host: &Host) {
        let gateway = self.hosts.gateway();
        let suite = host.suite().name();
        let keyring = "/etc/apt/keyrings/rackcast-archive-keyring.gpg";
        host.run("mkdir -p /etc/apt/keyrings");
        host.run(&format!(
            "python3 -c 'import urllib.request as u, sys; u.urlretrieve(*sys.argv[1:])' \
             http://{gateway}/rackcast/rackcast-archive-keyring.gpg {keyring}"
        ));
        host.write(
            "/etc/apt/sources.list.d/rackcast.list",
            &format!("deb [signed-by={keyring}] http://{gateway}/rackcast {suite} main\n"),
        );
        host.write("/etc/apt/sources.list.d/mirror.list", &self.sources(host));
        host.write(
            "/etc/consul.d/rack.hcl",
            &format!(
                "bind_addr = \"{}\"\nretry_join = [\"{gateway}\"]\nretry_interval = \"1s\"\n\
                 disable_update_check = true\nleave_on_terminate = true\n",
                host.address()
            ),
        );
        host.run("apt-get -qq update");
        apt(host, "install consul");
        host.run("systemctl enable --quiet --now consul");
    }

    /// What an operator edits, and takes into use.
    pub(crate) fn configure(&self, host: &Host) {
        host.run(EDITS);
        host.run("systemctl restart rackcast-ingest rackcast-transcode");
    }

    /// Waits until every service of every host passes in Consul, and every ingest goes by that: one that
    /// was just started publishes gaps until it knows a node.
    pub(crate) async fn in_service(&self) {
        let hosts = self.hosts.all();
        self.passing(hosts.len()).await;
        let names = hosts.iter().map(|h| h.name().to_owned()).collect();
        for host in hosts {
            let ingest = Explain::at(&format!("http://{}:9611", host.address()));
            ingest.goes_by(&names, SOON).await;
        }
    }

    /// Waits until so many instances of each service pass in Consul.
    pub(crate) async fn passing(&self, count: usize) {
        for service in SERVICES {
            self.passing_of(service, count).await;
        }
    }

    /// Waits until so many instances of a service pass in Consul.
    pub(crate) async fn passing_of(&self, service: &str, count: usize) {
        wait_seeing(&format!("{count} {service} to pass"), SOON, || async {
            let found = self.consul.passing(service).await;
            (found == count).then_some(()).ok_or(found.to_string())
        })
        .await;
    }
}

/// Whether a package is installed.
pub(crate) fn has(host: &Host, package: &str) -> bool {
    let state = host.attempt(&format!(
        "dpkg-query -W -f '${{db:Status-Status}}' {package}"
    ));
    state.good && state.text == "installed"
}

/// The version that the three packages have, or what is there instead.
pub(crate) fn version(host: &Host) -> String {
    let words = format!(
        "dpkg-query -W -f '${{Version}} ${{db:Status-Status}}\\n' {}",
        PACKAGES.join(" ")
    );
    let text = host.attempt(&words).text;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.dedup();
    match lines.as_slice() {
        [one] => one.strip_suffix(" installed").unwrap_or(one).to_owned(),
        _ => text,
    }
}

/// apt as a script would run it; what it wrote.
pub(crate) fn apt(host: &Host, words: &str) -> String {
    host.run(&format!("{APT} {words}"))
}

/// The same where it may fail.
pub(crate) const APT: &str = "DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends";

/// A long stream to a host, and somebody who watches it there.
pub(crate) async fn show(host: &Host, stream: &str) -> Show {
    let (to, at) = (publish_url(host, stream), master(host, stream));
    Show::begin(&Sample::long().file(), &to, &at).await
}

/// Where players find a stream of a host.
pub(crate) fn master(host: &Host, stream: &str) -> String {
    format!("http://{}:8080/live/{stream}/master.m3u8", host.address())
}

/// Where a stream is published to a host.
pub(crate) fn publish_url(host: &Host, stream: &str) -> String {
    format!("rtmp://{}:1935/live/{stream}", host.address())
}
