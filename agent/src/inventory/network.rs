//! Network interfaces: `/sys/class/net`.

use std::path::Path;

use serde::Serialize;

use super::Root;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// As the system calls it.
    pub name: String,
    /// There is a card behind it; a bridge, a bond or a tunnel has none.
    pub physical: bool,
    /// The link is up; `None` if the kernel cannot tell, as of many virtual ones.
    pub up: Option<bool>,
    /// Megabits a second of the link, while it is up.
    pub mbit: Option<u32>,
    /// Hardware address; empty if it has none.
    pub mac: String,
    /// The kernel's driver of the card; empty if there is none.
    pub driver: String,
}

/// The interfaces of the machine below `root`, without loopback.
pub fn interfaces(root: &Path) -> Vec<Interface> {
    all(&Root(root.to_owned()))
}

pub(super) fn all(root: &Root) -> Vec<Interface> {
    let names = root.names("sys/class/net").into_iter();
    names
        .filter(|name| name != "lo")
        .filter_map(|name| interface(root, name))
        .collect()
}

fn interface(root: &Root, name: String) -> Option<Interface> {
    let at = |file: &str| format!("sys/class/net/{name}/{file}");
    // The folder has a file too, `bonding_masters`.
    let state = root.text(&at("operstate"))?;
    let up = match state.as_str() {
        "up" => Some(true),
        "down" | "lowerlayerdown" | "notpresent" | "dormant" => Some(false),
        _ => None,
    };
    Some(Interface {
        physical: root.exists(&at("device")),
        up,
        // -1, or no answer, while the link is down.
        mbit: root
            .number::<i64>(&at("speed"))
            .and_then(|mbit| u32::try_from(mbit).ok())
            .filter(|mbit| *mbit > 0 && up != Some(false)),
        mac: root
            .text(&at("address"))
            .filter(|mac| mac.chars().any(|c| c.is_ascii_hexdigit() && c != '0'))
            .unwrap_or_default(),
        driver: root.link(&at("device/driver")).unwrap_or_default(),
        name,
    })
}
