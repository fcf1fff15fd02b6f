//! Reasons and failures as values.

use std::fmt;
use std::time::Instant;

/// Why this node was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PickReason {
    /// The stream's home, and good enough.
    Kept,
    /// The stream had no home; this node is predicted to finish first, what that costs those that live
    /// there included.
    FirstPick,
    /// Better than the stream's home by so much, twice running or more.
    Better {
        /// The gain in percent of what was reckoned for the home: the segment's time there, and what it
        /// costs those that live there.
        percent: u8,
    },
    /// The home carries more than its share; this node is no slower, or is idle and not much slower.
    Balance,
    /// The only node that came into question.
    OnlyOne,
    /// Nothing is known of it yet; one segment tells.
    Unmeasured,
    /// It failed or was slow; one segment tells whether it is well again.
    Trial,
    /// The home cannot have it.
    Left(Left),
    /// Another try after a failure.
    Retry,
    /// A second copy of a late request.
    Hedge,
    /// A second node's word on a segment that was blamed.
    SecondOpinion,
    /// A copy for a precious stream.
    Copy,
    /// No good node is left; this one is the likeliest.
    LastResort,
    /// So many nodes are ejected that the ejections are not believed.
    Panic,
}

/// Why a stream's home cannot have a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Left {
    /// It is no longer in the catalog, or no longer in this ingest's share of it.
    Gone,
    /// It is ejected.
    Ejected(FailureKind),
    /// Its last request failed.
    Failed,
    /// A request that it has takes longer than most do.
    Suspect,
    /// A request that it has is overdue, or was until a moment ago.
    Overdue,
    /// Its zone as a whole is left.
    Zone,
    /// It asked to be left alone.
    Blocked,
    /// It drains.
    Draining,
    /// It has as many of our segments as it may.
    Full,
    /// The segment would wait there for a slot, and be over sooner elsewhere.
    Waiting,
    /// It was tried for this segment.
    Tried,
}

impl PickReason {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::FirstPick => "first-pick",
            Self::Better { .. } => "better",
            Self::Balance => "balance",
            Self::OnlyOne => "only-one",
            Self::Unmeasured => "unmeasured",
            Self::Trial => "trial",
            Self::Left(left) => left.as_str(),
            Self::Retry => "retry",
            Self::Hedge => "hedge",
            Self::SecondOpinion => "second-opinion",
            Self::Copy => "copy",
            Self::LastResort => "last-resort",
            Self::Panic => "panic",
        }
    }

    /// Nothing that an operator would want to read about.
    pub fn is_ordinary(self) -> bool {
        self == Self::Kept
    }
}

impl Left {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "left-gone",
            Self::Ejected(_) => "left-ejected",
            Self::Failed => "left-failed",
            Self::Suspect => "left-suspect",
            Self::Overdue => "left-overdue",
            Self::Zone => "left-zone",
            Self::Blocked => "left-blocked",
            Self::Draining => "left-draining",
            Self::Full => "left-full",
            Self::Waiting => "left-waiting",
            Self::Tried => "left-tried",
        }
    }
}

impl fmt::Display for PickReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::FirstPick => f.write_str("the stream's first pick"),
            Self::Better { percent } => write!(f, "better by {percent} %"),
            Self::Balance => f.write_str("the home carries more than its share"),
            Self::OnlyOne => f.write_str("the only one left"),
            Self::Unmeasured => f.write_str("not measured yet"),
            Self::Trial => f.write_str("on trial"),
            Self::Left(left) => left.fmt(f),
            Self::Retry => f.write_str("retry"),
            Self::Hedge => f.write_str("hedge"),
            Self::SecondOpinion => f.write_str("second opinion"),
            Self::Copy => f.write_str("copy"),
            Self::LastResort => f.write_str("last resort: no good node is left"),
            Self::Panic => f.write_str("so many nodes are ejected that it is not believed"),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the home is gone"),
            Self::Ejected(kind) => write!(f, "the home is ejected: {kind}"),
            Self::Failed => f.write_str("the home's last request failed"),
            Self::Suspect => f.write_str("a request to the home takes longer than most"),
            Self::Overdue => f.write_str("a request to the home is overdue"),
            Self::Zone => f.write_str("the home's zone is left"),
            Self::Blocked => f.write_str("the home asked to be left alone"),
            Self::Draining => f.write_str("the home drains"),
            Self::Full => f.write_str("the home is full"),
            Self::Waiting => f.write_str("the segment would wait for a slot of the home"),
            Self::Tried => f.write_str("the home was tried"),
        }
    }
}

/// No node can be picked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoNode {
    /// Why not.
    pub reason: NoNodeReason,
    /// When the first node may come into question again, where time alone can tell.
    pub retry_at: Option<Instant>,
}

/// Why no node can be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoNodeReason {
    /// The catalog has no transcode node.
    NoMembers,
    /// Every node was tried for this segment.
    AllTried,
    /// Every node that is left is ejected or its zone is left.
    AllEjected,
    /// No good node is left: some push back or drain.
    AllBusy,
    /// No good node is left: some have as many segments as they may.
    AllFull,
    /// No good node has a free slot: not worth a second copy.
    NoneFree,
}

impl NoNodeReason {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoMembers => "no-members",
            Self::AllTried => "all-tried",
            Self::AllEjected => "all-ejected",
            Self::AllBusy => "all-busy",
            Self::AllFull => "all-full",
            Self::NoneFree => "none-free",
        }
    }

    /// The same question may have another answer before long.
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::AllEjected | Self::AllBusy | Self::AllFull | Self::NoneFree
        )
    }
}

impl fmt::Display for NoNodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMembers => "the catalog has no transcode node that is fit",
            Self::AllTried => "every transcode node was tried",
            Self::AllEjected => "every transcode node that is left is ejected",
            Self::AllBusy => "no good transcode node is left: some push back or drain",
            Self::AllFull => {
                "no good transcode node is left: some have as many segments as they may"
            }
            Self::NoneFree => "no transcode node has a free slot",
        })
    }
}

/// What a node did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// No connection could be made.
    Connect,
    /// The connection or the request broke off.
    Broken,
    /// It took longer than it was given.
    TimedOut,
    /// It answered with media that is not the answer to the question.
    WrongMedia,
    /// It answered with something that is not the protocol.
    Protocol,
    /// It said that it failed.
    Internal,
    /// It blames segments that others transcode.
    FalseClaim,
    /// It blames far more segments than others do, whatever comes of it.
    ManyClaims,
    /// It answers, but far slower than it did and than others do.
    Slow,
}

impl FailureKind {
    /// The kind as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::TimedOut => "timed-out",
            Self::WrongMedia => "wrong-media",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
            Self::FalseClaim => "false-claim",
            Self::ManyClaims => "many-claims",
            Self::Slow => "slow",
        }
    }

    /// The node answered, if badly: what lies between is well.
    pub(super) fn is_answer(self) -> bool {
        matches!(
            self,
            Self::WrongMedia
                | Self::Protocol
                | Self::Internal
                | Self::FalseClaim
                | Self::ManyClaims
        )
    }

    /// No doubt is possible, so that neither the cap on ejections nor the panic threshold
    /// protects the node: nothing it was given could come out well.
    pub fn is_hard(self) -> bool {
        matches!(self, Self::Connect | Self::WrongMedia)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
