//! `[tls]`: certificates towards the nodes, and towards players and publishers.

use rackcast_service::status::Role;
use rackcast_service::tls::{ClientConfig, ServerConfig, Use};
use serde::Deserialize;

use super::Config;

/// `[tls]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// With `nodes`: also send segments in cleartext to nodes that speak no TLS.
    pub cleartext_nodes: bool,
    /// What proves to transcode nodes who this ingest is, and whose nodes get segments. Cleartext
    /// without files.
    pub nodes: ClientConfig,
    /// For HTTPS (`listen.https`) and RTMPS (`listen.rtmps`).
    pub public: ServerConfig,
}

impl Tls {
    /// Reads the certificates as a start would.
    ///
    /// # Errors
    /// What is wrong, with the key.
    pub(super) fn check(&self, config: &Config) -> Result<(), String> {
        if self.cleartext_nodes && !self.nodes.is_set() {
            return Err(
                "tls.cleartext_nodes is set and [tls.nodes] is not: then all nodes are spoken to \
                 in cleartext"
                    .to_owned(),
            );
        }
        let nodes = self.nodes.check(nodes_use(config));
        nodes.map_err(|why| format!("[tls.nodes] {why}"))?;
        let asked = config.listen.https.is_some() || config.listen.rtmps.is_some();
        match (asked, self.public.is_set()) {
            (true, false) => {
                return Err(
                    "listen.https and listen.rtmps need the certificate and key of [tls.public]"
                        .to_owned(),
                );
            }
            (false, true) => {
                return Err(
                    "[tls.public] is set, and neither listen.https nor listen.rtmps: nothing \
                     would use it"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let public = self.public.check(Use::Public);
        public.map_err(|why| format!("[tls.public] {why}"))
    }
}

/// What the certificate for nodes is used for: to prove which ingest this is.
pub(crate) fn nodes_use(config: &Config) -> Use {
    Use::Member {
        role: Role::Ingest,
        node: config.node_name(),
    }
}
