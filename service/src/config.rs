//! Configuration files: TOML, read whole, refused whole.
//!
//! A key that is misspelt must never be silently ignored, so configuration types carry
//! `#[serde(deny_unknown_fields, default)]` and a mistake is reported with its place. A daemon
//! reads and checks everything before it binds anything.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a configuration file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no TOML, or a key or value in it is not known.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The values do not go together.
    #[error("{}: {message}", path.display())]
    Nonsense {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// Reads a configuration from a file.
///
/// # Errors
/// The file cannot be read, is no TOML, or has an unknown key or an unfit value: the error says
/// where and which.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse(&read(path)?, path)
}

/// The text of a configuration file.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Reads a configuration from a file and has `check` look for cross-field nonsense.
///
/// # Errors
/// As [`load`], and whatever `check` objects to.
pub fn load_checked<T: DeserializeOwned>(
    path: &Path,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, ConfigError> {
    parse_checked(&read(path)?, path, check)
}

/// The same from the text of the file at `path`.
///
/// # Errors
/// As [`load_checked`], but for reading.
pub fn parse_checked<T: DeserializeOwned>(
    text: &str,
    path: &Path,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, ConfigError> {
    let config = parse(text, path)?;
    match check(&config) {
        Ok(()) => Ok(config),
        Err(message) => Err(ConfigError::Nonsense {
            path: path.to_owned(),
            message,
        }),
    }
}

/// Environment variable in which systemd names the folder of a service's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a file with a secret lies: a relative path is the name of a systemd credential
/// (`LoadCredential=`), looked up in `$CREDENTIALS_DIRECTORY` where systemd has set that.
pub fn credential(path: &Path) -> PathBuf {
    credential_in(std::env::var_os(CREDENTIALS).as_deref(), path)
}

fn credential_in(folder: Option<&OsStr>, path: &Path) -> PathBuf {
    folder.map_or_else(|| path.to_owned(), |folder| Path::new(folder).join(path))
}

/// Reads a configuration from the text of the file at `path`.
///
/// # Errors
/// As [`load`], but for reading.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        ConfigError::Parse {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: last_line.chars().count() + 1,
            message: error.message().to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        name: String,
        rtmp: Rtmp,
    }

    #[derive(Debug, Default, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Rtmp {
        port: u16,
    }

    fn refusal(text: &str) -> String {
        parse::<Config>(text, Path::new("x.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_place() {
        let refusal = refusal("name = \"a\"\n[rtmp]\n  prot = 1935\n");
        assert_eq!(refusal, "x.toml:3:3: unknown field `prot`, expected `port`");
    }

    #[test]
    fn an_unfit_value_is_named_with_its_place() {
        let refusal = refusal("# größer\n[rtmp]\nport = 70000\n");
        assert!(
            refusal.starts_with("x.toml:3:8: invalid value"),
            "{refusal}"
        );
    }

    #[test]
    fn a_relative_path_to_a_secret_is_a_credential_where_there_are_any() {
        let folder = Some(OsStr::new("/run/credentials/x.service"));
        let lies = |folder, path| credential_in(folder, Path::new(path));
        let credential = Path::new("/run/credentials/x.service/tls-key");
        assert_eq!(lies(folder, "tls-key"), credential);
        assert_eq!(lies(folder, "/etc/tls.key"), Path::new("/etc/tls.key"));
        assert_eq!(lies(None, "tls-key"), Path::new("tls-key"));
    }

    #[test]
    fn what_is_absent_has_its_default() {
        assert_eq!(
            parse::<Config>("", Path::new("x.toml")).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn values_that_do_not_go_together_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = load_checked::<Config>(file.path(), |_| Err("name is empty".into()));
        assert!(error.unwrap_err().to_string().ends_with(": name is empty"));
        assert!(matches!(
            load::<Config>(Path::new("/absent")),
            Err(ConfigError::Read { .. })
        ));
    }
}
