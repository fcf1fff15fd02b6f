//! Where the node listens.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::StartError;
use crate::config::Listen;

/// A socket and its address, which the system may have chosen.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    pub(super) at: SocketAddr,
}

/// Both of them.
pub(super) struct Sockets {
    pub(super) segments: Bound,
    pub(super) admin: Bound,
}

impl Sockets {
    pub(super) async fn bind(listen: &Listen) -> Result<Self, StartError> {
        Ok(Self {
            segments: bind(listen.segments, "segments").await?,
            admin: bind(listen.admin, "admin").await?,
        })
    }
}

async fn bind(address: SocketAddr, key: &'static str) -> Result<Bound, StartError> {
    let failed = |e| StartError::Bind(address, key, e);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, at })
}
