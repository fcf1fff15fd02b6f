//! The options of `rackcast dev`.

use std::net::SocketAddr;

use rackcast_segment::ladder::Ladder;

/// More nodes than this on one machine measure nothing but each other.
const MAX_TRANSCODERS: i64 = 32;

/// Run a whole Rackcast on this machine: agent, ingest, transcode nodes, catalog and a test picture.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Transcode nodes; they share the CPU.
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(0..=MAX_TRANSCODERS))]
    pub transcoders: u32,
    /// Where publishers connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1935")]
    pub rtmp: SocketAddr,
    /// Where players connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Publish no test picture.
    #[arg(long)]
    pub no_publisher: bool,
    /// Leave a child that dies dead.
    #[arg(long)]
    pub no_restart: bool,
    /// Renditions, such as `720p@2800k,low:240@400k:baseline:half`.
    #[arg(long, value_name = "SPEC")]
    pub ladder: Option<Ladder>,
    /// A real Consul instead of the development catalog, under service names of its own
    /// (`rackcast-dev-*`); with --catalog-only, the address where the catalog listens.
    #[arg(long, value_name = "URL|ADDR")]
    pub consul: Option<String>,
    /// Run nothing but the development catalog.
    #[arg(long)]
    pub catalog_only: bool,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Just the catalog, at this address.
    CatalogOnly(SocketAddr),
    /// A rack on a catalog of its own.
    OwnCatalog,
    /// A rack on the Consul of this address.
    Consul(String),
}

impl Options {
    pub(super) fn mode(&self) -> Result<Mode, String> {
        let consul = self.consul.as_deref();
        if self.catalog_only {
            return match consul.unwrap_or("127.0.0.1:8500").parse() {
                Ok(address) => Ok(Mode::CatalogOnly(address)),
                Err(_) => Err(
                    "with --catalog-only, --consul is the address where the catalog \
                               listens: write IP:PORT"
                        .to_owned(),
                ),
            };
        }
        if self.transcoders == 0 && !self.no_publisher {
            return Err(
                "--transcoders 0 makes no renditions to wait for: add --no-publisher".into(),
            );
        }
        match consul {
            None => Ok(Mode::OwnCatalog),
            Some(url) if url.starts_with("http://") || url.starts_with("unix://") => {
                Ok(Mode::Consul(url.trim_end_matches('/').to_owned()))
            }
            Some(url) => Err(format!(
                "--consul {url}: write http://HOST:PORT or unix:///PATH"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn mode(args: &str) -> Result<Mode, String> {
        Command::parse_from(["dev"].into_iter().chain(args.split_whitespace()))
            .options
            .mode()
    }

    #[test]
    fn consul_is_a_url_to_use_or_an_address_to_listen_at() {
        assert_eq!(mode(""), Ok(Mode::OwnCatalog));
        let consul = Mode::Consul("http://127.0.0.1:8500".into());
        assert_eq!(mode("--consul http://127.0.0.1:8500/"), Ok(consul));
        let listen = "127.0.0.1:0".parse().unwrap();
        assert_eq!(
            mode("--catalog-only --consul 127.0.0.1:0"),
            Ok(Mode::CatalogOnly(listen))
        );
        assert!(mode("--consul 127.0.0.1:8500").is_err());
        assert!(mode("--catalog-only --consul http://127.0.0.1:8500").is_err());
        assert!(mode("--transcoders 0").is_err());
        assert!(mode("--transcoders 0 --no-publisher").is_ok());
    }
}
