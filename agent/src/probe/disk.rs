//! Room on the file systems that the services write to.

use std::io;
use std::path::Path;

use nix::sys::statfs::statfs;
use nix::sys::statvfs::statvfs;

use super::{Disk, Finding, sum};

/// A file system, in bytes.
#[derive(Debug, Clone, Copy)]
struct Room {
    size: u64,
    free: u64,
    /// It is an image, which was made full.
    image: bool,
}

/// What cannot be written to by its nature: squashfs, EROFS, ISO 9660, cramfs (`statfs(2)`).
const IMAGES: [u32; 4] = [0x7371_7368, 0xe0f5_e1e2, 0x9660, 0x28cd_3d45];

pub(super) fn look(config: &Disk) -> Finding {
    let findings: Vec<_> = config
        .paths
        .iter()
        .filter_map(|path| match room(path) {
            Ok(room) => Some(judge(path, room, config)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Finding::warning(format!("{}: {error}", path.display()))),
        })
        .collect();
    sum(&findings).unwrap_or_else(|| Finding::well("there is room on the disks"))
}

fn room(path: &Path) -> io::Result<Room> {
    let found = statvfs(path)?;
    let unit = found.fragment_size();
    Ok(Room {
        size: found.blocks().saturating_mul(unit),
        free: found.blocks_available().saturating_mul(unit),
        image: IMAGES.contains(&(statfs(path)?.filesystem_type().0 as u32)),
    })
}

fn judge(path: &Path, room: Room, config: &Disk) -> Finding {
    let percent = u64::from(config.min_free_percent);
    // Whether it is mounted to be read only says nothing: behind systemd's ProtectSystem, all are.
    let is_full = !room.image
        && room.free < config.enough_bytes
        && u128::from(room.free) * 100 < u128::from(room.size) * u128::from(percent);
    match is_full {
        true => Finding::warning(format!("{}: less than {percent} % is free", path.display())),
        false => Finding::well(""),
    }
}

#[cfg(test)]
mod tests {
    use rackcast_service::status::HealthState;

    use super::*;

    #[test]
    fn a_file_system_is_full_by_its_part_and_by_its_bytes() {
        let config = Disk::default();
        let state = |size, free| {
            let room = Room {
                size,
                free,
                image: false,
            };
            judge(Path::new("/x"), room, &config).state
        };
        assert_eq!(state(100 << 30, 4 << 30), HealthState::Warning);
        assert_eq!(state(100 << 30, 6 << 30), HealthState::Passing, "6 %");
        assert_eq!(state(1 << 40, 6 << 30), HealthState::Passing, "6 GiB");
        assert_eq!(state(0, 0), HealthState::Passing, "a virtual one");
    }

    #[test]
    fn what_is_not_there_is_not_looked_at() {
        let config = Disk {
            paths: vec!["/nowhere/at/all".into()],
            ..Disk::default()
        };
        assert_eq!(look(&config).state, HealthState::Passing);
        let full = Disk {
            paths: vec!["/nowhere".into(), "/".into()],
            min_free_percent: 99,
            enough_bytes: u64::MAX,
            ..Disk::default()
        };
        let found = look(&full);
        assert!(
            found.line.contains("less than 99 % is free") || room(Path::new("/")).unwrap().image,
            "{found:?}"
        );
    }
}
