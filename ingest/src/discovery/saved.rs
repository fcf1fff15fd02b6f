//! The last catalog, kept on disk, so that an ingest can start while Consul is away.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rackcast_route::Member;
use serde::{Deserialize, Serialize};

/// The file's name in the state directory.
const FILE: &str = "transcode-nodes.json";
/// The longest file that is read; 2000 nodes take a tenth of it.
const MAX_FILE: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
struct Saved {
    members: Vec<Member>,
}

/// The last members; none if the directory holds no file.
///
/// # Errors
/// The file is there and cannot be read. It is a cache: go on without it.
pub(super) fn load(dir: &Path) -> io::Result<Vec<Member>> {
    let file = match File::open(dir.join(FILE)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut json = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut json)?;
    let saved: Saved = serde_json::from_slice(&json)?;
    Ok(saved.members)
}

/// Replaces the file as a whole: a reader finds the old one or the new one.
///
/// # Errors
/// The directory cannot be written to.
pub(super) fn store(dir: &Path, members: Vec<Member>) -> io::Result<()> {
    let path: PathBuf = dir.join(FILE);
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(&Saved { members })?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    })();
    if written.is_err() {
        // Whatever is left of it is of no use.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_route::Endpoint;

    #[test]
    fn what_was_stored_is_loaded_and_rubbish_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), []);
        let member = Member {
            id: "a".into(),
            zone: "z".to_owned(),
            endpoint: Endpoint::new("::1", 7),
            slots: 2,
            pixel_rate: Some(1e8),
            weight: 3,
        };
        store(dir.path(), vec![member.clone()]).unwrap();
        assert_eq!(load(dir.path()).unwrap(), [member]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(dir.path().join(FILE), b"{\"members\":[{\"id\":7}").unwrap();
        assert!(load(dir.path()).is_err());
    }
}
