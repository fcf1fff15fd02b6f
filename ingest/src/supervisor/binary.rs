//! The program on disk, which an upgrade replaces while the one before runs.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rackcast_service::process::{Command, RESUME_VARIABLE, memory_file};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use super::control::CONFIG_FD;

/// How long a program may take to say whether it can take over.
const JUDGED: Duration = Duration::from_secs(20);
/// The most that is read of what it says, in bytes.
const MAX_SAID: u64 = 16 * 1024;

/// A program file: where it is, and which it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Binary {
    path: PathBuf,
    device: u64,
    inode: u64,
    modified: i64,
}

/// Why the program on disk may not take over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("{} cannot be run: {source}", path.display())]
    Run { path: PathBuf, source: io::Error },
    #[error("{} did not answer within {JUDGED:?}", .0.display())]
    Late(PathBuf),
    #[error("{} refuses: {said}", path.display())]
    Refuses { path: PathBuf, said: String },
}

impl Binary {
    /// What stands where this program was started from.
    pub(super) fn on_disk() -> io::Result<Self> {
        let path = std::env::current_exe()?;
        // Linux names a replaced binary "PATH (deleted)".
        let text = path.to_string_lossy();
        let path = text
            .strip_suffix(" (deleted)")
            .map_or_else(|| path.clone(), PathBuf::from);
        Self::at(&path, &path)
    }

    /// The one that this process runs.
    pub(super) fn own() -> io::Result<Self> {
        Self::at(
            &Self::on_disk().map_or_else(|_| PathBuf::new(), |b| b.path),
            Path::new("/proc/self/exe"),
        )
    }

    fn at(path: &Path, file: &Path) -> io::Result<Self> {
        let found = fs::metadata(file)?;
        Ok(Self {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            modified: found.mtime(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks it whether it can go on where this program is, by this text of the configuration file:
    /// it is run, reads both, and starts nothing.
    pub(super) async fn is_fit(&self, config: &Path, text: &str, state: &str) -> Result<(), Unfit> {
        let run = |source| Unfit::Run {
            path: self.path.clone(),
            source,
        };
        let mut child = Command::new(&self.path)
            .arg("--config")
            .arg(config)
            .arg("can-resume")
            .env(RESUME_VARIABLE, state)
            .fd(
                CONFIG_FD,
                memory_file(CONFIG_FD, text.as_bytes()).map_err(run)?,
            )
            .stderr(Stdio::piped())
            .spawn()
            .map_err(run)?;
        let mut said = Vec::new();
        let judgement = async {
            if let Some(stderr) = child.take_stderr() {
                stderr.take(MAX_SAID).read_to_end(&mut said).await?;
            }
            child.wait().await
        };
        let judgement = tokio::time::timeout(JUDGED, judgement).await;
        let status = judgement.map_err(|_| Unfit::Late(self.path.clone()))?;
        if status.map_err(run)?.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        Err(Unfit::Refuses {
            path: self.path.clone(),
            said: said.trim().lines().take(5).collect::<Vec<_>>().join("; "),
        })
    }
}
