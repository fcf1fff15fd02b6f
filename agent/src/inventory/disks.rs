//! Disks: `/sys/block`.

use serde::Serialize;

use super::Root;

/// The kernel counts in sectors of this many bytes, whatever the disk's are.
const SECTOR: u64 = 512;
/// What is no disk of its own.
const OTHERS: [&str; 7] = ["loop", "ram", "zram", "sr", "fd", "dm-", "nbd"];

/// A whole disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// As in `/dev`.
    pub name: String,
    /// Product name; empty if it does not tell one.
    pub model: String,
    /// Size.
    pub bytes: u64,
    /// It turns; `None` if nobody knows.
    pub rotational: Option<bool>,
}

pub(super) fn all(root: &Root) -> Vec<Disk> {
    let is_disk = |name: &String| !OTHERS.iter().any(|other| name.starts_with(other));
    let disk = |name: String| {
        let at = |file: &str| format!("sys/block/{name}/{file}");
        let sectors: u64 = root.number(&at("size"))?;
        (sectors > 0).then(|| Disk {
            model: root.text(&at("device/model")).unwrap_or_default(),
            bytes: sectors.saturating_mul(SECTOR),
            rotational: root.number::<u8>(&at("queue/rotational")).map(|n| n == 1),
            name: name.clone(),
        })
    };
    let names = root.names("sys/block").into_iter().filter(is_disk);
    names.filter_map(disk).collect()
}
