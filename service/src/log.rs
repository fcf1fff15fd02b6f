//! Where log records go: to journald with their fields, or to standard error for people.
//!
//! Records carry key-values (`rackcast_stream`, `rackcast_segment`, `rackcast_node`, ...). Under
//! systemd they become journald fields, so that `journalctl RACKCAST_STREAM=live/show` answers;
//! on a terminal they follow the text as `key=value`.
//!
//! Whether standard error is the journal is decided as systemd recommends: `JOURNAL_STREAM` names
//! the device and inode of the stream, and both must match what standard error really is. The
//! variable alone proves nothing, since children with another standard error inherit it.

use std::io;

use ::log::{LevelFilter, SetLoggerError};
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The journal's socket cannot be used.
    #[error("cannot log to the journal: {0}")]
    Journal(#[from] io::Error),
    /// This process has a logger already.
    #[error("logging was set up before: {0}")]
    Twice(#[from] SetLoggerError),
}

/// Sets logging up for this process, once, at `level` and above. `RUST_LOG` overrides the level
/// when standard error is not the journal.
///
/// # Errors
/// The journal cannot be reached, or logging was set up before.
pub fn init(level: LevelFilter) -> Result<(), LogError> {
    if connected_to_journal() {
        JournalLog::new()?.install()?;
        ::log::set_max_level(level);
        return Ok(());
    }
    let mut logger = env_logger::Builder::new();
    logger.format_timestamp_millis();
    if std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_some() {
        logger.filter_level(level).parse_default_env().try_init()?;
        return Ok(());
    }
    // The filter lets all pass, so that the level can be raised later.
    logger.filter_level(LevelFilter::Trace).try_init()?;
    ::log::set_max_level(level);
    Ok(())
}

/// Changes the level of a process whose logging was set up. What `RUST_LOG` says stays.
pub fn set_level(level: LevelFilter) {
    if connected_to_journal() || std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_none() {
        ::log::set_max_level(level);
    }
}
