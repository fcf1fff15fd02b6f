//! Carries the outcomes of one segment to the origin.
//!
//! Whatever happens, every rendition of the segment is settled once: with media, or with a
//! gap. A dispatch that broke off without a word is a gap too.

use std::sync::Arc;

use rackcast_segment::id::{RenditionName, Sequence};
use tokio::sync::mpsc;

use super::rates::Rates;
use crate::dispatch::Outcome;
use crate::origin::{OriginStream, Rendered};

/// Settles the renditions `names` of a segment; without `outcomes` all are gaps at once.
pub(super) async fn settle(
    stream: Arc<OriginStream>,
    sequence: Sequence,
    mut names: Vec<RenditionName>,
    outcomes: Option<mpsc::Receiver<Outcome>>,
    rates: Rates,
) {
    if let Some(mut outcomes) = outcomes {
        while let Some(outcome) = outcomes.recv().await {
            let (rendition, rendered, made) = match outcome {
                Outcome::Ready {
                    rendition,
                    media,
                    made,
                } => (rendition, Rendered::Media(media), Some(made)),
                Outcome::Missing { rendition, .. } => (rendition, Rendered::Gap, None),
            };
            if let Some(at) = names.iter().position(|name| *name == rendition) {
                names.swap_remove(at);
                let taken = stream.rendition(sequence, &rendition, rendered);
                match made.filter(|_| taken) {
                    Some(made) => rates.came(sequence, &rendition, &made),
                    None => rates.lost(sequence, &rendition),
                }
            }
        }
    }
    for name in names {
        stream.rendition(sequence, &name, Rendered::Gap);
        rates.lost(sequence, &name);
    }
}
