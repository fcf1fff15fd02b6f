//! The command line that every daemon has.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::de::DeserializeOwned;

use crate::config::{self, ConfigError};
use crate::reload::{Live, Rules};

/// Exit status of a refused configuration (`EX_CONFIG` of sysexits), so that a unit file can tell
/// it from a crash and not restart in vain.
pub const EXIT_CONFIG: u8 = 78;

/// `--config FILE` and `--check`; flatten it into the daemon's own arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct DaemonArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and exit: 0 when it is good, 78 with the reason when not.
    #[arg(long)]
    pub check: bool,
}

impl DaemonArgs {
    /// The configuration, which can [change](crate::reload), or the status to exit with at once: it was
    /// refused (the reason is on standard error), or only `--check` was asked for. `text` is that of the
    /// file, where it was read before; `check` looks for cross-field nonsense.
    ///
    /// # Errors
    /// The status to exit with.
    pub fn live<T: DeserializeOwned>(
        &self,
        text: Option<String>,
        check: fn(&T) -> Result<(), String>,
        rules: Rules,
    ) -> Result<Live<T>, ExitCode> {
        let text = text.map_or_else(|| config::read(&self.config), Ok);
        let live = text.and_then(|text| Live::new(&self.config, text, check, rules));
        self.judged(live)
    }

    fn judged<T>(&self, loaded: Result<T, ConfigError>) -> Result<T, ExitCode> {
        match loaded {
            Ok(_) if self.check => {
                eprintln!("{}: good", self.config.display());
                Err(ExitCode::SUCCESS)
            }
            Ok(config) => Ok(config),
            Err(error) => {
                eprintln!("{error}");
                Err(ExitCode::from(EXIT_CONFIG))
            }
        }
    }
}
