//! The life of one segment, from its order to an answer for every rendition.

use tokio::sync::mpsc;

use super::attempts::Attempts;
use super::outstanding::Outstanding;
use super::{Dispatcher, Order, Outcome, Reason, now};

/// Answers every rendition of an order that is not taken on.
pub(super) fn refuse(dispatcher: &Dispatcher, order: &Order, outcomes: mpsc::Sender<Outcome>) {
    let mut outstanding = Outstanding::new(order.spec.renditions.clone(), outcomes);
    give_up(dispatcher, order, &mut outstanding, Reason::TooManyInFlight);
}

/// Sees an order through.
pub(super) async fn run(dispatcher: &Dispatcher, order: Order, outcomes: mpsc::Sender<Outcome>) {
    let began = now();
    let asked = order.spec.renditions.len();
    let mut outstanding = Outstanding::new(order.spec.renditions.clone(), outcomes);
    let abandoned = outstanding.abandoned();
    dispatcher.begin(began);
    let end = tokio::select! {
        end = Attempts::new(dispatcher, &order).run(&mut outstanding) => end,
        () = abandoned => return,
    };
    let missing = match end {
        Ok(()) => 0,
        Err(reason) => give_up(dispatcher, &order, &mut outstanding, reason),
    };
    let outcome = match missing {
        0 => "complete",
        n if n < asked => "partial",
        _ => "none",
    };
    let took = now().saturating_duration_since(began);
    log::debug!(
        rackcast_stream = order.id.to_string(), rackcast_segment = order.sequence.0,
        rackcast_reason = outcome; "the segment is done after {} ms", took.as_millis());
    let turnaround = &dispatcher.metrics.turnaround;
    turnaround
        .with_label_values(&[outcome])
        .observe(took.as_secs_f64());
}

/// Answers what is left of an order; how many renditions that were.
fn give_up(
    dispatcher: &Dispatcher,
    order: &Order,
    outstanding: &mut Outstanding,
    reason: Reason,
) -> usize {
    let count = outstanding.give_up(reason);
    if count == 0 {
        return 0;
    }
    log::info!(
        rackcast_stream = order.id.to_string(), rackcast_segment = order.sequence.0,
        rackcast_reason = reason.as_str(); "{count} renditions of the segment will not come");
    let metrics = &dispatcher.metrics;
    let missing = metrics.missing.with_label_values(&[reason.as_str()]);
    missing.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    if reason == Reason::Deadline {
        metrics.deadline_misses.inc();
    }
    count
}
