use std::time::{Duration, Instant};

use super::attempt::AttemptId;
use crate::member::NodeId;
use crate::renditions::Renditions;
use crate::table::{NodeRef, Ticket};

/// A submission that is out.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) attempt: AttemptId,
    pub(super) node: NodeRef,
    /// Its name, also when it has left the catalog.
    pub(super) name: NodeId,
    pub(super) ticket: Ticket,
    pub(super) sent: Instant,
    pub(super) predicted: Duration,
    /// What was asked of it.
    pub(super) renditions: Renditions,
    /// What came of that.
    pub(super) got: Renditions,
    /// When the last of it came.
    pub(super) last: Instant,
    /// The second one beside another.
    pub(super) hedge: bool,
    /// It was paid for as a retry.
    pub(super) paid: bool,
    /// It tells whether its node is well again: it is not cancelled for having lost.
    pub(super) trial: bool,
    /// Until when its node may refuse it.
    pub(super) refusable_until: Instant,
    /// From when on another node may take over.
    pub(super) hung_at: Instant,
}

impl Flight {
    /// What is still to come from it.
    pub(super) fn outstanding(&self) -> Renditions {
        self.renditions.minus(self.got)
    }

    /// Only its summary is still to come.
    pub(super) fn is_complete(&self) -> bool {
        self.outstanding().is_empty()
    }

    /// When it should be through.
    pub(super) fn expected_at(&self) -> Instant {
        self.sent
            .checked_add(self.predicted)
            .unwrap_or(self.hung_at)
    }

    /// How long it has been out.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.sent)
    }

    /// From sending it to the last rendition that came.
    pub(super) fn took(&self) -> Duration {
        self.last.saturating_duration_since(self.sent)
    }

    /// It had so much more time than it should have needed that the node is to blame.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.elapsed(now) >= self.predicted.saturating_mul(2)
    }
}
