use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rackcast_route::plan::{AttemptId, Renditions, Sent, Step, Trail};
use rackcast_route::table::Timing;
use rackcast_segment::id::{Epoch, RenditionName, Sequence, StreamId};

/// All that is remembered of one segment. Made once, at its end; never changed.
#[derive(Debug)]
pub struct Record {
    /// Whose segment.
    pub stream: StreamId,
    /// In which life of the stream.
    pub epoch: Epoch,
    /// Which.
    pub sequence: Sequence,
    /// When it was there to be sent; the trail counts from then.
    pub began: SystemTime,
    /// Duration of its media.
    pub media: Duration,
    /// Time from its begin in which its renditions had to be there.
    pub deadline: Duration,
    /// Bytes that were to be sent.
    pub input_bytes: u64,
    /// The ladder, top rung first: what the trail's positions mean.
    pub ladder: Arc<[Rung]>,
    /// Those of them that were asked for.
    pub asked: Renditions,
    /// What was decided and what came of it.
    pub trail: Trail,
    /// What the plan does not know.
    pub remarks: Vec<Remark>,
}

/// A rendition of the ladder.
#[derive(Debug, Clone)]
pub struct Rung {
    /// Its name.
    pub name: RenditionName,
    /// Its output pixels in this segment.
    pub pixels: u64,
}

/// What a submission's transport knows beyond what the plan was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// Of which submission.
    pub attempt: AttemptId,
    /// What.
    pub about: About,
}

/// See [`Remark`].
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// How the node says that it spent its time.
    Timing(Timing),
    /// What exactly went wrong; fit for a log.
    Detail(Box<str>),
}

impl Record {
    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let details = self.remarks.iter().map(|r| match &r.about {
            About::Timing(_) => 0,
            About::Detail(text) => text.len(),
        });
        size_of::<Self>()
            + size_of_val(self.trail.entries())
            + size_of_val(self.remarks.as_slice())
            + size_of_val(&*self.ladder)
            + self
                .ladder
                .iter()
                .map(|r| r.name.as_str().len())
                .sum::<usize>()
            + details.sum::<usize>()
    }

    /// Its submissions, in the order in which they were made.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.trail.entries().iter().filter_map(|e| match &e.step {
            Step::Sent(sent) => Some(sent),
            _ => None,
        })
    }
}
