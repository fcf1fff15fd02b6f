//! What a reload changes in a generation, and what it cannot.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rackcast_service::reload::{Live, Rules, Takes, commit};

use crate::auth::{AuthError, Authoriser};
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::explain::Trails;
use crate::origin::Origin;
use crate::rtmp;
use crate::stream::Settings;

/// When each key takes effect. What a running generation cannot change, a new one begins with;
/// what the supervisor holds, or what the catalog knows this ingest by, needs a restart.
pub const RULES: Rules = Rules {
    keys: &[
        ("log_level", Takes::Now),
        ("supervisor", Takes::Now),
        ("rtmp", Takes::Next),
        ("auth", Takes::Now),
        ("stream", Takes::Now),
        ("stream.ladder", Takes::Next),
        ("segmenter", Takes::Next),
        ("origin", Takes::Now),
        ("origin.listed", Takes::Next),
        ("origin.kept", Takes::Next),
        ("origin.max_bytes_per_stream", Takes::Next),
        ("explain", Takes::Now),
        ("dispatch", Takes::Now),
        ("dispatch.link", Takes::Handover),
        ("dispatch.max_segments_in_flight", Takes::Handover),
        ("dispatch.precious.streams", Takes::Next),
        ("route", Takes::Now),
        ("degrade", Takes::Now),
        ("node", Takes::Restart),
        ("instance", Takes::Restart),
        ("zone", Takes::Restart),
        ("service_prefix", Takes::Restart),
        ("state_dir", Takes::Restart),
        ("status_socket", Takes::Restart),
        ("listen", Takes::Restart),
    ],
    rest: Takes::Handover,
};

/// The parts of a generation that can be configured anew.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Streams, and who may publish them.
    pub settings: Arc<ArcSwap<Settings>>,
    /// Publishers' connections.
    pub rtmp: Arc<ArcSwap<rtmp::Config>>,
    /// What is kept and served.
    pub origin: Arc<Origin>,
    /// What is remembered of decisions.
    pub trails: Arc<Trails>,
    /// Who gets segments, and what that may cost.
    pub dispatcher: Arc<Dispatcher>,
}

/// What `config` says of streams.
///
/// # Errors
/// Keys or the webhook of `[auth]` cannot be used.
pub fn settings(config: &Config) -> Result<Settings, AuthError> {
    Ok(Settings {
        config: config.stream.clone(),
        segmenter: config.segmenter.clone(),
        authoriser: Authoriser::new(&config.auth)?,
    })
}

/// Puts these parts under a configuration.
pub fn register(live: &mut Live<Config>, parts: Parts) {
    live.part(move |config: &Config| {
        let settings = settings(config).map_err(|e| e.to_string())?;
        let (parts, config) = (parts.clone(), config.clone());
        Ok(commit(move || {
            rackcast_service::log::set_level(config.log_level);
            parts.settings.store(Arc::new(settings));
            let router = config.router();
            parts.rtmp.store(Arc::new(config.rtmp));
            parts.origin.reconfigure(config.origin);
            parts.trails.reconfigure(config.explain);
            parts.dispatcher.reconfigure(config.dispatch, router);
        }))
    });
}
