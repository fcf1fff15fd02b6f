//! How the operator's command reaches Consul.

use std::path::PathBuf;

use rackcast_consul::client::{Client, Config, Error};

/// Options of every command that asks Consul.
#[derive(Debug, Clone, clap::Args)]
pub struct Reach {
    /// The Consul agent: http://HOST:PORT or unix:///PATH.
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
}

impl Reach {
    /// A client for that.
    ///
    /// # Errors
    /// The address is none.
    pub fn client(&self) -> Result<Client, Error> {
        Client::new(&Config {
            address: self.consul.clone(),
            token_file: self.token_file.clone(),
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
