//! How connections to the nodes are secured, and which nodes that leaves.
//!
//! What the catalog says of a node is a claim: that it speaks TLS, and as whom. It is believed as
//! far as it makes the ingest stricter. A node that names an identity is sent nothing unless
//! whoever answers proves it; one that names none is spoken to in cleartext only where the
//! configuration allows that.

use std::io;

use rackcast_route::Endpoint;
use rackcast_service::tls::{Dialler, Identity, Stream};
use tokio::net::TcpStream;

/// TLS to the nodes, or none.
#[derive(Debug, Default)]
pub struct Security {
    /// TLS, and whether nodes without it are spoken to all the same.
    tls: Option<(Dialler, bool)>,
}

/// Why a node cannot be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Insecure {
    /// It speaks no TLS.
    #[error(
        "it speaks no TLS, which [tls.nodes] requires; tls.cleartext_nodes = true lets such nodes \
         in while a fleet changes over"
    )]
    Cleartext,
    /// It speaks TLS, and here is no certificate.
    #[error("it speaks TLS, and this ingest has no certificate: set [tls.nodes]")]
    NoCertificate,
    /// It is of another fleet.
    #[error("its identity is of another trust domain than this ingest's")]
    Domain,
}

impl Security {
    /// Cleartext to all: the network is trusted.
    pub fn none() -> Self {
        Self::default()
    }

    /// TLS; with `cleartext` also nodes that speak none.
    pub fn tls(dialler: Dialler, cleartext: bool) -> Self {
        Self {
            tls: Some((dialler, cleartext)),
        }
    }

    /// Whether the node at this endpoint may be sent anything, as far as that is known before it
    /// is called.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, identity: Option<&Identity>) -> Result<(), Insecure> {
        match (&self.tls, identity) {
            (None, None) | (Some((_, true)), None) => Ok(()),
            (Some((_, false)), None) => Err(Insecure::Cleartext),
            (None, Some(_)) => Err(Insecure::NoCertificate),
            (Some((dialler, _)), Some(identity)) => {
                let own = dialler.credentials().identity();
                match own.is_some_and(|own| own.domain == identity.domain) {
                    true => Ok(()),
                    false => Err(Insecure::Domain),
                }
            }
        }
    }

    /// Does with a fresh connection what the endpoint asks for.
    pub(super) async fn secure(
        &self,
        socket: TcpStream,
        endpoint: &Endpoint,
    ) -> io::Result<Stream> {
        let identity: Option<Identity> = match endpoint.identity() {
            Some(identity) => Some(identity.parse().map_err(io::Error::other)?),
            None => None,
        };
        self.admits(identity.as_ref()).map_err(io::Error::other)?;
        match (&self.tls, identity) {
            (Some((dialler, _)), Some(identity)) => {
                Ok(dialler.call_member(socket, &identity).await?)
            }
            _ => Ok(Stream::from(socket)),
        }
    }
}
