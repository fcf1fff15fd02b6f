//! What runs, and where it is found.

use std::net::SocketAddr;

/// Where the services really listen.
#[derive(Debug)]
pub(super) struct Services {
    /// Publishers.
    pub(super) rtmp: SocketAddr,
    /// Players.
    pub(super) http: SocketAddr,
    /// ID in the catalog and address for segments of each transcode node, in order.
    pub(super) transcoders: Vec<(String, SocketAddr)>,
}
