//! From nothing to services.

use crate::rack::{PACKAGES, Rack, SOON, apt, has};

const UNITS: [&str; 3] = PACKAGES;

/// A fresh host, our signed repository, one `apt install`: services run and stand in Consul, and
/// systemd has no complaint.
pub(crate) async fn fresh_debian_12_and_13_install_from_the_signed_repository(rack: &Rack) {
    rack.each(|host| {
        assert!(
            !has(host, "rackcast-common"),
            "{} is not fresh",
            host.name()
        );
        rack.prepare(host);
        let said = apt(host, &format!("install {}", PACKAGES.join(" ")));
        for complaint in ["warning:", "WARNING", "could not be authenticated"] {
            assert!(!said.contains(complaint), "{}: {said}", host.name());
        }
    });
    for host in rack.hosts.all() {
        for unit in UNITS {
            host.until(unit, "ActiveState", "active", SOON).await;
            assert_eq!(host.property(unit, "UnitFileState"), "enabled", "{unit}");
            assert_eq!(host.property(unit, "NRestarts"), "0", "{unit}");
        }
        assert_eq!(host.run("systemctl is-system-running --wait"), "running");
    }
    rack.passing(rack.hosts.all().len()).await;
    rack.each(|host| rack.configure(host));
    rack.in_service().await;
}
