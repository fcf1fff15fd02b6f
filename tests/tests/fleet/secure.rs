//! Mutual TLS between hosts, with keys where the packages have a place for them.

use std::process::Command;

use rackcast_service::status::Role;
use rackcast_tests::hosts::Host;
use rackcast_tests::pki::{Authority, Leaf, member};
use rackcast_tests::wait::wait_until;
use serde_json::Value;

use crate::rack::{Rack, SOON, show};

/// Without a reload nothing would look at the files in time.
const SELDOM: &str = "1h";

/// How a service comes by its certificate, its key and its authorities.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// It reads them by itself.
    Folder,
    /// systemd reads them when it starts.
    Credentials,
}
use Way::{Credentials, Folder};

/// Both ways, on both releases, in both roles.
const PLACES: [(&str, Role, Way); 4] = [
    ("d12", Role::Ingest, Folder),
    ("d12", Role::Transcode, Credentials),
    ("d13", Role::Ingest, Credentials),
    ("d13", Role::Transcode, Folder),
];

/// Hosts that prove to each other who they are: a stream is transcoded; who has no certificate is
/// refused and named; an authority and all certificates are replaced under the stream.
pub(crate) async fn certificates_by_reload_and_by_credential_guard_every_segment(rack: &Rack) {
    rack.ready().await;
    let fleet = Authority::new("fleet");
    rack.each(|host| {
        host.run("mkdir -p /root/cleartext && cp /etc/rackcast/*.toml /root/cleartext")
    });
    for (host, role, way) in PLACES {
        let host = rack.hosts.host(host);
        issue(host, role, way, &fleet, &fleet.pem);
        switch_on(host, role, way);
    }
    rack.each(|host| host.run("systemctl restart rackcast-ingest rackcast-transcode"));
    rack.passing(2).await;
    let show = show(rack.hosts.host("d12"), "guarded").await;
    show.goes_on(3).await;

    for host in rack.hosts.all() {
        is_refused_and_named(host).await;
    }

    // The successor is believed beside the authority that there is, then issues, then stands alone.
    let successor = Authority::new("successor");
    let both = format!("{}{}", fleet.pem, successor.pem);
    rotate(rack, &fleet, &both).await;
    show.goes_on(2).await;
    rotate(rack, &successor, &both).await;
    rotate(rack, &successor, &successor.pem).await;
    // Every connection is a new one, and a transcode node is left all the time.
    for host in rack.hosts.all() {
        restart(host, "rackcast-transcode");
        rack.passing(2).await;
        show.goes_on(3).await;
    }

    // What is no certificate is refused with its reason, and takes nothing away.
    let host = rack.hosts.host("d12");
    let good = host.run("cat /etc/rackcast/credentials/ingest/tls.crt");
    let file = "/etc/rackcast/credentials/ingest/tls.crt";
    host.run(&format!("echo nonsense >{file}"));
    let reload = host.attempt("systemctl reload rackcast-ingest");
    assert!(!reload.good, "nonsense was taken for a certificate");
    let why = host.run("systemctl status --full --no-pager -n 20 rackcast-ingest");
    assert!(
        why.contains("tls.crt: holds no certificate in PEM"),
        "{why}"
    );
    host.write(file, &good);
    host.run("systemctl reload rackcast-ingest");
    show.goes_on(2).await;

    let recording = show.end_unharmed().await;
    assert_eq!(recording.transcoded(), ["180p", "low"]);
    // As it was: the next story's services speak cleartext.
    rack.ready().await;
}

/// A certificate for a service, where it is to find it.
fn issue(host: &Host, role: Role, way: Way, authority: &Authority, believed: &str) -> Leaf {
    let leaf = authority.member(&member(role, host.name()));
    let (before, owner) = match way {
        Folder => (
            format!("/etc/rackcast/credentials/{role}/"),
            format!("rackcast-{role}"),
        ),
        Credentials => (
            format!("/etc/credstore/rackcast-{role}."),
            "root".to_owned(),
        ),
    };
    let files = [
        ("tls.crt", leaf.certificate.as_str()),
        ("tls.key", leaf.key.as_str()),
        ("tls.ca", believed),
    ];
    for (name, text) in files {
        let file = format!("{before}{name}");
        host.write(&format!("{file}.new"), text);
        host.run(&format!(
            "chown {owner} {file}.new && chmod 400 {file}.new && mv {file}.new {file}"
        ));
    }
    leaf
}

/// The keys of the installed configuration, which name the folder, as an operator would.
fn switch_on(host: &Host, role: Role, way: Way) {
    let folder = format!("/etc/rackcast/credentials/{role}/");
    let named = match way {
        Folder => folder.as_str(),
        Credentials => "",
    };
    let file = format!("/etc/rackcast/rackcast-{role}.toml");
    host.run(&format!(
        "sed -i 's|^# *\\([a-z]* = \\)\"{folder}tls\\.|\\1\"{named}tls.|
                 s|^#*reload_interval = .*|reload_interval = \"{SELDOM}\"|' {file}"
    ));
    let keys = host.run(&format!("grep -c '^[a-z]* = \"{named}tls\\.' {file}"));
    assert_eq!(keys, "3", "{role}");
}

/// New certificates for all. Those in folders are in force after a reload, the others after a
/// restart, before which a reload says nothing against them.
async fn rotate(rack: &Rack, authority: &Authority, believed: &str) {
    for (host, role, way) in PLACES {
        let host = rack.hosts.host(host);
        let unit = format!("rackcast-{role}");
        let leaf = issue(host, role, way, authority, believed);
        let before = replaced(host, role);
        host.run(&format!("systemctl reload {unit}"));
        match way {
            Folder => {
                let what = format!("{unit} on {} to go by its new certificate", host.name());
                wait_until(&what, SOON, || replaced(host, role) > before).await;
            }
            Credentials => restart(host, &unit),
        }
        if role == Role::Transcode {
            let what = format!("{} to show its new certificate", host.name());
            wait_until(&what, SOON, || {
                shown(host).is_some_and(|shown| leaf.certificate.replace('\r', "").contains(&shown))
            })
            .await;
        }
        rack.passing(2).await;
    }
}

/// More often than a unit may be started by itself.
fn restart(host: &Host, unit: &str) {
    host.run(&format!(
        "systemctl reset-failed {unit}; systemctl restart {unit}"
    ));
}

/// How often the journal says that a service's certificates were replaced.
fn replaced(host: &Host, role: Role) -> usize {
    let entries = host.journal(&format!("-u rackcast-{role}"));
    let told = |e: &&Value| {
        let message = e["MESSAGE"].as_str().unwrap_or("");
        message.starts_with("the certificates for") && message.ends_with("were replaced")
    };
    entries.iter().filter(told).count()
}

/// The certificate that a transcode node shows to whoever calls, as the lines of its PEM.
fn shown(host: &Host) -> Option<String> {
    let script = format!(
        "openssl s_client -connect {}:7400 </dev/null 2>/dev/null | openssl x509",
        host.address()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = text.lines().filter(|l| !l.starts_with('-')).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Somebody without a certificate, and somebody without TLS, get no answer; the journal says who
/// they were and why.
async fn is_refused_and_named(host: &Host) {
    let address = host.address();
    for (url, reason) in [
        (format!("https://{address}:7400/v1/load"), "no-certificate"),
        (format!("http://{address}:7400/v1/load"), "not-tls"),
    ] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--max-time", "10", &url]);
        let output = curl.output().unwrap();
        assert!(!output.status.success(), "{url} answers: {output:?}");
        let what = format!("{reason} in the journal of {}", host.name());
        wait_until(&what, SOON, || {
            let entries = host.journal(&format!("RACKCAST_REASON={reason}"));
            let named = |e: &Value| e["RACKCAST_PEER"].as_str().is_some_and(|p| !p.is_empty());
            entries.iter().any(named)
        })
        .await;
    }
}
