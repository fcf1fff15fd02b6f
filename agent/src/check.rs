//! Checks configuration files before anything is restarted: `rackcast config check`.
//!
//! Only a daemon knows its own configuration, so it is asked (`--check`); which one is told by the
//! file's name, as in `rackcast-ingest.toml` or `ingest.toml`.

use std::env;
use std::io;
use std::path::Path;
use std::process::Command;

/// Why a file is not good.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The name does not tell whose file it is.
    #[error(
        "{0}: whose file is it? Name it after its daemon: rackcast-agent, rackcast-ingest or \
         rackcast-transcode"
    )]
    Whose(String),
    /// The daemon could not be run.
    #[error("{program} cannot be run: {source}")]
    Run {
        /// The daemon.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon refused the file, and said why.
    #[error("{0} is refused")]
    Refused(String),
}

/// Has its daemon, which lies beside this program, check a file. What the daemon says goes to
/// standard error.
///
/// # Errors
/// The file is refused, or nobody can tell.
pub fn check(file: &Path) -> Result<(), CheckError> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let role = name.strip_prefix("rackcast-").unwrap_or(&name);
    let known = ["agent", "ingest", "transcode"]
        .into_iter()
        .find(|known| *known == role);
    let role = known.ok_or_else(|| CheckError::Whose(file.display().to_string()))?;
    let program = format!("rackcast-{role}");
    let run = || {
        let path = env::current_exe()?.with_file_name(&program);
        Command::new(path)
            .arg("--check")
            .arg("--config")
            .arg(file)
            .status()
    };
    match run() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(CheckError::Refused(file.display().to_string())),
        Err(source) => Err(CheckError::Run { program, source }),
    }
}
