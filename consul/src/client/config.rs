//! Where the agent listens and how long to wait for it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// How to reach the Consul agent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `http://HOST:PORT` or `unix:///PATH` of the agent on this machine.
    pub address: String,
    /// File that holds the ACL token. It is read for every request, so a rotated token is
    /// used at once and never kept in the configuration.
    pub token_file: Option<PathBuf>,
    /// Datacenter to ask for health when the watch names none; the agent's own by default.
    pub datacenter: Option<String>,
    /// Longest time for a request that does not wait for a change, headers and body.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Largest answer accepted, in bytes after decompression.
    pub answer_limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: "http://127.0.0.1:8500".to_owned(),
            token_file: None,
            datacenter: None,
            timeout: Duration::from_secs(5),
            answer_limit: 32 << 20,
        }
    }
}

impl Config {
    /// Says what is wrong with the values, for `--check`.
    pub fn check(&self) -> Result<(), String> {
        self.address.parse::<Address>()?;
        if self.timeout.is_zero() {
            return Err("timeout must be longer than 0".to_owned());
        }
        if self.answer_limit == 0 {
            return Err("answer_limit must be more than 0 bytes".to_owned());
        }
        Ok(())
    }
}

/// An agent's address, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// HTTP over TCP; `HOST:PORT`.
    Tcp(String),
    /// HTTP over a unix socket.
    Unix(PathBuf),
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(PathBuf::from(path))),
                false => Err(format!("{text}: a unix socket needs an absolute path")),
            };
        }
        let url = url::Url::parse(text).map_err(|error| {
            format!("{text}: not an address ({error}); use http://HOST:PORT or unix:///PATH")
        })?;
        match url.scheme() {
            "http" => {}
            "https" => {
                return Err(format!(
                    "{text}: https to Consul is not supported yet; \
                     use the agent of this machine by http:// or unix://"
                ));
            }
            other => return Err(format!("{text}: scheme {other} is neither http nor unix")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong in the address; use token_file".to_owned());
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text}: only scheme, host and port are used"));
        }
        let host = url.host_str().ok_or_else(|| format!("{text}: no host"))?;
        Ok(Self::Tcp(format!("{host}:{}", url.port().unwrap_or(80))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |text: &str| Ok(Address::Tcp(text.to_owned()));
        assert_eq!("http://127.0.0.1:8500".parse(), tcp("127.0.0.1:8500"));
        assert_eq!("http://consul.example/".parse(), tcp("consul.example:80"));
        assert_eq!("http://[::1]:8500".parse(), tcp("[::1]:8500"));
        assert_eq!(
            "unix:///run/consul.sock".parse(),
            Ok(Address::Unix("/run/consul.sock".into()))
        );
    }

    #[test]
    fn refused_addresses_say_why() {
        for (text, reason) in [
            (
                "https://127.0.0.1:8501",
                "https to Consul is not supported yet",
            ),
            ("unix://run/consul.sock", "absolute path"),
            ("127.0.0.1:8500", "http://HOST:PORT"),
            ("ftp://host", "neither http nor unix"),
            ("http://user:secret@host:8500", "token_file"),
            ("http://host:8500/v1", "only scheme, host and port"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("secret"));
        }
    }

    #[test]
    fn defaults_pass_the_check_and_nonsense_does_not() {
        assert_eq!(Config::default().check(), Ok(()));
        let zero = Config {
            timeout: Duration::ZERO,
            ..Config::default()
        };
        assert!(zero.check().is_err());
    }
}
