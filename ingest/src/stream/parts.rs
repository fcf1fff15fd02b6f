//! What a stream's task is given by the generation that it lives in.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rackcast_service::drain::Order;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Config, Elsewhere, Epochs, Metrics};
use crate::auth::Authoriser;
use crate::directory::Directory;
use crate::dispatch::Dispatcher;
use crate::origin::Origin;

/// What a reload replaces as a whole.
#[derive(Debug)]
pub struct Settings {
    /// `[stream]`.
    pub config: Config,
    /// `[segmenter]`: of streams that begin.
    pub segmenter: crate::segmenter::Config,
    /// Decides who may publish; who was let in stays.
    pub authoriser: Authoriser,
}

/// What every stream of this generation works with.
#[derive(Debug)]
pub struct Parts {
    /// What may change while they run.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Takes what is made.
    pub origin: Arc<Origin>,
    /// Gets segments transcoded.
    pub dispatcher: Arc<Dispatcher>,
    /// Gives out epochs.
    pub epochs: Epochs,
    /// Figures.
    pub metrics: Metrics,
    /// Told of every stream.
    pub directory: Directory,
    /// The other generations of this ingest.
    pub elsewhere: Elsewhere,
    /// Cancelled: publishers are to go to a newer generation.
    pub leaving: CancellationToken,
    /// Whether this machine is to take nothing new.
    pub orders: watch::Receiver<Order>,
    /// Ends all streams.
    pub shutdown: CancellationToken,
}
