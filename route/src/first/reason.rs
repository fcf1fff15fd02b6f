use std::fmt;
use std::time::Instant;

/// Why this node was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The least predicted finish of several.
    Fastest,
    /// The only node that came into question.
    OnlyOne,
    /// Nothing is known of it yet; one segment tells.
    Unmeasured,
    /// Its ejection is over; one segment tells whether it is well again.
    Trial,
    /// Every node that is left is ejected or on trial; this one is the likeliest.
    LastResort,
}

impl Reason {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fastest => "fastest",
            Self::OnlyOne => "only-one",
            Self::Unmeasured => "unmeasured",
            Self::Trial => "trial",
            Self::LastResort => "last-resort",
        }
    }

    /// Nothing that an operator would want to read about.
    pub fn is_ordinary(self) -> bool {
        matches!(self, Self::Fastest | Self::OnlyOne)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No node can be picked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoNode {
    /// Why not.
    pub reason: NoNodeReason,
    /// When the first node's push-back ends, where waiting for that can help.
    pub retry_at: Option<Instant>,
}

/// Why no node can be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoNodeReason {
    /// The catalog has no transcode node.
    NoMembers,
    /// Every node was tried for this segment.
    AllTried,
    /// Every node that is left pushes back.
    AllBusy,
    /// Every node that is left has as many of our segments in flight as it may.
    AllFull,
}

impl NoNodeReason {
    /// The reason as a metric's label and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoMembers => "no-members",
            Self::AllTried => "all-tried",
            Self::AllBusy => "all-busy",
            Self::AllFull => "all-full",
        }
    }

    /// The same question may have another answer before long.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::AllBusy | Self::AllFull)
    }
}

impl fmt::Display for NoNodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMembers => "the catalog has no transcode node that is fit",
            Self::AllTried => "every transcode node was tried",
            Self::AllBusy => "every transcode node pushes back",
            Self::AllFull => "every transcode node has as many segments in flight as it may",
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
    /// It blamed a segment that another node then transcoded.
    FalseClaim,
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
        }
    }

    /// One is enough: the next request would certainly fail too.
    pub fn ejects_at_once(self) -> bool {
        self == Self::Connect
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
