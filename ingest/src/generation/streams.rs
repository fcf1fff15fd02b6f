//! The streams that this generation has, where they are played, and who else is told of them.

use std::net::SocketAddr;
use std::sync::Arc;

use rackcast_consul::client::Client;
use rackcast_service::drain::Order;
use rackcast_service::status::Role;
use rackcast_service::vital;
use tokio::net::UnixListener;
use tokio::sync::watch;

use super::context::Context;
use super::error::Error;
use super::others::Others;
use super::site::Site;
use crate::config::Config;
use crate::directory::{self, Directory, Finder, Look, Peers, Who, Writer};
use crate::reload;
use crate::stream::{self, Epochs, Parts, Registry, Streams as Door};

/// Publishers that may wait at the door at once; more wait in their connections.
const DOOR_CAPACITY: usize = 64;

/// The parts of it.
pub(super) struct Streams {
    /// Those that are published here.
    pub(super) registry: Arc<Registry>,
    /// Where publishers come in.
    pub(super) door: Door,
    /// What players are answered from: this generation, the others, other ingests.
    pub(super) site: Arc<Site>,
}

impl Streams {
    /// Starts to take publishers that come to `door` or by `passed_on` from other generations.
    ///
    /// # Errors
    /// The state directory does not hold what it should; two metrics have one name.
    pub(super) fn start(
        context: &Context,
        consul: &Client,
        parts: &reload::Parts,
        others: &Others,
        orders: watch::Receiver<Order>,
        passed_on: UnixListener,
        endpoints: &[(&'static str, SocketAddr)],
    ) -> Result<Self, Error> {
        let (config, turn) = (&context.config, &context.turn);
        let directory_metrics = directory::Metrics::register(&context.metrics)?;
        let table = &config.directory;
        let finder = table.enabled.then(|| {
            let (table, metrics) = (table.clone(), directory_metrics.clone());
            Arc::new(Finder::new(
                consul.clone(),
                config.identity(),
                table,
                metrics,
            ))
        });
        let directory = match &finder {
            Some(finder) => Directory::new(Arc::clone(finder) as Arc<dyn Look>),
            None => Directory::default(),
        };
        let registry = Registry::new(Parts {
            settings: Arc::clone(&parts.settings),
            origin: Arc::clone(&parts.origin),
            dispatcher: Arc::clone(&parts.dispatcher),
            epochs: Epochs::open(&config.state_dir).map_err(Error::State)?,
            metrics: stream::Metrics::register(&context.metrics)?,
            directory: directory.clone(),
            elsewhere: others.doors(),
            leaving: turn.staying().clone(),
            orders,
            shutdown: context.shutdown(),
        });
        let (door, knocks) = Door::door(DOOR_CAPACITY);
        // One that has retired ends with its last publisher.
        let (admitting, until) = (Arc::clone(&registry).run(knocks), turn.accepting());
        let admitting = vital::vital("the registry of streams", until, admitting);
        context.tasks.spawn(admitting);
        let taking = stream::elsewhere::serve(
            passed_on,
            Arc::clone(&registry),
            config.stream.max_streams,
            context.shutdown(),
        );
        context.spawn("the door for other generations", taking);
        let peers = finder.map(|finder| {
            let (client, who) = (consul.clone(), who(config, endpoints));
            let writer = Writer::new(directory, client, who, table.clone(), directory_metrics);
            let writing = writer.run(context.shutdown());
            context.spawn("the writer of the directory", writing);
            Peers::new(finder, config.relay.clone(), others.metrics())
        });
        let origin = Arc::clone(&parts.origin);
        let site = Arc::new(Site::new(origin, others.relays(), peers, turn.clone()));
        Ok(Self {
            registry,
            door,
            site,
        })
    }
}

/// This ingest as other ingests are told of it.
fn who(config: &Config, endpoints: &[(&'static str, SocketAddr)]) -> Who {
    let http = endpoints.iter().find(|(name, _)| *name == "http");
    Who {
        ingest: config.identity(),
        service: format!("{}-{}", config.service_prefix, Role::Ingest),
        node: config.node_name(),
        zone: config.zone.clone(),
        http: http.map_or(config.listen.http, |(_, address)| *address),
    }
}
