//! Who transcodes: the nodes that the catalog knows, the table of what was measured of them, and
//! what sends segments there.

use std::sync::Arc;
use std::time::Instant;

use rackcast_consul::client::Client;
use rackcast_consul::watch::{View, Watch};
use rackcast_route::Router;
use rackcast_service::status::Role;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::Error;
use crate::config::Config;
use crate::discovery;
use crate::dispatch::{Dispatcher, Security};
use crate::explain::Trails;

/// The parts of it.
pub(super) struct Routing {
    /// What is remembered of decisions.
    pub(super) trails: Arc<Trails>,
    /// Takes segments.
    pub(super) dispatcher: Arc<Dispatcher>,
    /// True once the catalog was asked.
    pub(super) known: watch::Receiver<bool>,
}

impl Routing {
    /// Starts to follow the catalog.
    ///
    /// # Errors
    /// Two metrics have one name: a defect.
    pub(super) fn start(
        context: &Context,
        consul: &Client,
        security: Security,
    ) -> Result<Self, Error> {
        let (config, metrics) = (&context.config, &context.metrics);
        let trails = Arc::new(Trails::new(config.explain.clone(), metrics)?);
        let router = Router::new(config.router(), &config.identity(), Instant::now());
        let remembered = Arc::clone(&trails);
        let dispatcher = Dispatcher::new(config.dispatch.clone(), router, remembered, metrics)?
            .secured(security);
        let dispatcher = Arc::new(dispatcher);
        let known = discovery::start(
            config.discovery.clone(),
            Some(config.state_dir.clone()),
            catalog(config, consul, &context.shutdown()),
            Arc::clone(&dispatcher),
            metrics,
            context.shutdown(),
        )?;
        Ok(Self {
            trails,
            dispatcher,
            known,
        })
    }
}

/// One watch for each datacenter that nodes are taken from.
fn catalog(
    config: &Config,
    client: &Client,
    shutdown: &CancellationToken,
) -> Vec<watch::Receiver<View>> {
    let service = format!("{}-{}", config.service_prefix, Role::Transcode);
    let own = [None];
    let others = config.datacenters.iter().cloned().map(Some);
    let datacenters: Vec<_> = if config.datacenters.is_empty() {
        own.to_vec()
    } else {
        others.collect()
    };
    let follow = |datacenter| {
        let watch = Watch {
            datacenter,
            ..Watch::new(service.clone())
        };
        rackcast_consul::watch::watch(client.clone(), watch, shutdown.clone())
    };
    datacenters.into_iter().map(follow).collect()
}
