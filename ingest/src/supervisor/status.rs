//! What an ingest says of itself before it has been heard from.

use std::net::SocketAddr;

use rackcast_service::status::{Health, Role, ServiceStatus};

use crate::config::Config;

/// The status of a service that has bound its listeners and nothing more.
pub fn first(config: &Config, endpoints: &[(&'static str, SocketAddr)]) -> ServiceStatus {
    let mut meta = std::collections::BTreeMap::new();
    if !config.zone.is_empty() {
        meta.insert("zone".to_owned(), config.zone.clone());
    }
    ServiceStatus {
        role: Role::Ingest,
        instance: config.instance.clone(),
        node: config.node_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        protocol: rackcast_segment::wire::PROTOCOL,
        ready: false,
        draining: false,
        health: Health::warning("starting"),
        endpoints: endpoints
            .iter()
            .map(|(name, at)| ((*name).to_owned(), *at))
            .collect(),
        tags: vec!["rtmp".to_owned(), "hls".to_owned()],
        meta,
        weight: 1,
        progress: 0,
        still_ms: None,
        beat_ms: 0,
        work: 0,
        devices: Vec::new(),
        gpu_driver: String::new(),
        generations: Vec::new(),
        waiting: Default::default(),
    }
}
