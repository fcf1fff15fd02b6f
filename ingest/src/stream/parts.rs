//! What a stream's task is given by the generation that it lives in.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Config, Epochs, Metrics};
use crate::auth::Authoriser;
use crate::dispatch::Dispatcher;
use crate::origin::Origin;

/// What every stream of this generation works with.
#[derive(Debug)]
pub struct Parts {
    /// `[stream]`.
    pub config: Config,
    /// `[segmenter]`.
    pub segmenter: crate::segmenter::Config,
    /// Decides who may publish.
    pub authoriser: Authoriser,
    /// Takes what is made.
    pub origin: Arc<Origin>,
    /// Gets segments transcoded.
    pub dispatcher: Arc<Dispatcher>,
    /// Gives out epochs.
    pub epochs: Epochs,
    /// Figures.
    pub metrics: Metrics,
    /// Ends all streams.
    pub shutdown: CancellationToken,
}
