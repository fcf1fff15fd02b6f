//! Where the agent listens and how long to wait for it.

use std::path::PathBuf;
use std::time::Duration;

use rackcast_service::tls::{ClientConfig, ServerName, Use};

use serde::Deserialize;

/// How to reach the Consul agent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `http://HOST:PORT`, `https://HOST:PORT` or `unix:///PATH` of the agent on this machine.
    pub address: String,
    /// File that holds the ACL token; a relative path is a systemd credential. It is read for
    /// every request, so a rotated token is used at once and never kept in the configuration.
    pub token_file: Option<PathBuf>,
    /// Certificates, for `https://`.
    pub tls: Tls,
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
            tls: Tls::default(),
            datacenter: None,
            timeout: Duration::from_secs(5),
            answer_limit: 32 << 20,
        }
    }
}

/// `[consul.tls]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// PEM file with the authorities that Consul's certificate must come from.
    pub authorities: Option<PathBuf>,
    /// PEM file with a certificate for Consul, where it asks for one (`verify_incoming`).
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
    /// The name that Consul's certificate must be for; the address's host if absent.
    pub server_name: Option<String>,
    /// Time between two looks whether the files have changed.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            authorities: None,
            certificate: None,
            key: None,
            server_name: None,
            reload_interval: ClientConfig::default().reload_interval,
        }
    }
}

impl Tls {
    /// The files, as all of TLS takes them.
    pub(super) fn files(&self) -> ClientConfig {
        ClientConfig {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            authorities: self.authorities.clone(),
            reload_interval: self.reload_interval,
        }
    }

    /// The name to hold Consul to.
    pub(super) fn name(&self, host: &str) -> Result<ServerName<'static>, String> {
        let name = self.server_name.as_deref().unwrap_or(host);
        // An IPv6 address stands in brackets only in a URL.
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        ServerName::try_from(bare.unwrap_or(name).to_owned())
            .map_err(|_| format!("{name:?} is no name that a certificate could be for"))
    }

    fn check(&self, address: &Address) -> Result<(), String> {
        match address {
            Address::Tls { host, .. } => {
                self.name(host)?;
                if self.authorities.is_none() {
                    return Err(
                        "https needs tls.authorities, the PEM file with the authority that \
                         Consul's certificate comes from"
                            .to_owned(),
                    );
                }
                let files = self.files().check(Use::Caller);
                files.map_err(|why| format!("tls: {why}"))
            }
            _ if self.files().is_set() || self.server_name.is_some() => Err(
                "tls is set, and address is not https://: nothing would be encrypted".to_owned(),
            ),
            _ => Ok(()),
        }
    }
}

impl Config {
    /// Says what is wrong with the values, for `--check`.
    pub fn check(&self) -> Result<(), String> {
        let address: Address = self.address.parse()?;
        self.tls.check(&address)?;
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
    /// HTTP over TLS.
    Tls {
        /// `HOST:PORT`.
        authority: String,
        /// The host alone.
        host: String,
    },
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
            format!(
                "{text}: not an address ({error}); use http://HOST:PORT, https://HOST:PORT or \
                 unix:///PATH"
            )
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(format!(
                "{text}: scheme {scheme} is neither http, https nor unix"
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong in the address; use token_file".to_owned());
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text}: only scheme, host and port are used"));
        }
        let host = url.host_str().ok_or_else(|| format!("{text}: no host"))?;
        let authority = |port| format!("{host}:{}", url.port().unwrap_or(port));
        Ok(match url.scheme() {
            "https" => Self::Tls {
                authority: authority(443),
                host: host.to_owned(),
            },
            _ => Self::Tcp(authority(80)),
        })
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
            "https://[::1]:8501".parse(),
            Ok(Address::Tls {
                authority: "[::1]:8501".to_owned(),
                host: "[::1]".to_owned(),
            })
        );
        assert_eq!(
            "unix:///run/consul.sock".parse(),
            Ok(Address::Unix("/run/consul.sock".into()))
        );
    }

    #[test]
    fn refused_addresses_say_why() {
        for (text, reason) in [
            ("unix://run/consul.sock", "absolute path"),
            ("127.0.0.1:8500", "http://HOST:PORT"),
            ("ftp://host", "neither http, https nor unix"),
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
        let wrong = |address: &str, server_name: Option<&str>| {
            let config = Config {
                address: address.to_owned(),
                tls: Tls {
                    server_name: server_name.map(str::to_owned),
                    ..Tls::default()
                },
                ..Config::default()
            };
            config.check().unwrap_err()
        };
        let https = "https://127.0.0.1:8501";
        assert!(wrong(https, None).contains("needs tls.authorities"));
        assert!(wrong(https, Some("no name")).contains("is no name"));
        assert!(wrong("http://127.0.0.1:8500", Some("consul")).contains("is not https"));
    }
}
