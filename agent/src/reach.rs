//! How the operator's command reaches Consul.

use std::path::PathBuf;

use rackcast_consul::client::{Client, Config, Error, Tls};

/// Options of every command that asks Consul.
#[derive(Debug, Clone, clap::Args)]
pub struct Reach {
    /// The Consul agent: http://HOST:PORT, https://HOST:PORT or unix:///PATH.
    #[arg(
        long,
        value_name = "URL",
        env = "CONSUL_HTTP_ADDR",
        default_value = "http://127.0.0.1:8500"
    )]
    pub consul: String,
    /// A file with the ACL token for Consul.
    #[arg(long, value_name = "FILE", env = "CONSUL_HTTP_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// For https: a file with the authorities that Consul's certificate must come from.
    #[arg(long, value_name = "FILE", env = "CONSUL_CACERT")]
    pub consul_ca: Option<PathBuf>,
    /// For https: the name that Consul's certificate must be for, instead of the address's host.
    #[arg(long, value_name = "NAME", env = "CONSUL_TLS_SERVER_NAME")]
    pub consul_name: Option<String>,
    /// For https: a file with a certificate, where Consul asks for one.
    #[arg(
        long,
        value_name = "FILE",
        env = "CONSUL_CLIENT_CERT",
        requires = "consul_key"
    )]
    pub consul_cert: Option<PathBuf>,
    /// For https: a file with the certificate's key.
    #[arg(
        long,
        value_name = "FILE",
        env = "CONSUL_CLIENT_KEY",
        requires = "consul_cert"
    )]
    pub consul_key: Option<PathBuf>,
}

impl Reach {
    /// A client for that.
    ///
    /// # Errors
    /// The address is none.
    pub fn client(&self) -> Result<Client, Error> {
        // Consul's own tools take an address without a scheme.
        let address = match self.consul.contains("://") {
            true => self.consul.clone(),
            false => format!("http://{}", self.consul),
        };
        // The environment may be meant for another address.
        let tls = match address.starts_with("https://") {
            true => Tls {
                authorities: self.consul_ca.clone(),
                certificate: self.consul_cert.clone(),
                key: self.consul_key.clone(),
                server_name: self.consul_name.clone(),
                ..Tls::default()
            },
            false => Tls::default(),
        };
        Client::new(&Config {
            address,
            token_file: self.token_file.clone(),
            tls,
            ..Config::default()
        })
    }
}

/// Who runs this command, for histories: `user@machine`, and whoever is behind `sudo`.
pub fn operator() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let user = user.unwrap_or_else(|| format!("uid-{}", nix::unistd::getuid()));
    format!("{user}@{}", rackcast_service::host::name())
}
