//! Who gets the next segment.
//!
//! One [`Table`] of node states is shared by all streams of an ingest and fed by results,
//! load reports and probes. [`Table::pick`] answers with a node and the reason for it.
//!
//! | Part | Says |
//! |---|---|
//! | `subset` | which nodes of a large fleet this ingest works with |
//! | `node`, `estimate`, `usual`, `limit` | how long a segment takes there |
//! | `late`, `flights` | that a job in flight is late, before it ends |
//! | `residents` | what the streams that live on a node will want of it |
//! | `health`, `claims` | when a node is doubted, ejected, tried and taken back |
//! | `zone` | when a whole zone is left |
//! | `home`, `follow` | when a stream changes its node |
//! | `grade`, `field` | what each node is good for, for one job |
//! | `pick`, `tournament` | the choice among all these |
//!
//! What makes it act: every start and every end of a job, every probe, and every change of
//! the catalog. What time alone changes (an ejection that ends, a job that becomes late) is
//! seen at the next pick. It recovers by itself: every verdict has an end, and what comes
//! after it is one segment on trial.

mod ask;
mod claims;
mod clock;
mod config;
mod estimate;
mod field;
mod fleet;
mod flights;
mod follow;
mod grade;
mod health;
mod home;
mod late;
mod limit;
mod members;
mod node;
mod pick;
mod probe;
mod reason;
mod residents;
mod results;
mod slab;
mod subset;
mod tokens;
mod tournament;
mod upkeep;
mod usual;
mod utilisation;
mod view;
mod window;
mod zone;

use std::collections::BTreeMap;

pub use ask::{Alternative, Ask, Change, Choice, Outcome, Purpose, Ticket, Timing};
pub use config::Config;
pub use health::Config as EjectConfig;
pub use home::{Config as HomeConfig, Home};
pub use late::Config as LateConfig;
pub use reason::{FailureKind, Left, NoNode, NoNodeReason, PickReason};
pub use residents::Residence;
pub use slab::NodeRef;
pub use subset::Config as SubsetConfig;
pub use view::{Capacity, NodeView, Standing, ZoneChange, ZoneView};
pub use zone::Config as ZoneConfig;

use self::claims::Claims;
use self::clock::Clock;
use self::config::Pace;
use self::fleet::Fleet;
use self::late::Surprise;
use self::node::Node;
use self::slab::Slab;
use self::subset::{Ranked, Size};
use self::tokens::Tokens;
use self::tournament::Tournament;
use self::zone::Zone;
use crate::member::{Member, NodeId};

/// Up to so many nodes a pick looks at each; of more it looks at the best few.
const SCAN: usize = 32;

/// All nodes of the catalog, as this ingest has measured them.
#[derive(Debug)]
pub struct Table {
    config: Config,
    pace: Pace,
    identity: String,
    clock: Clock,
    nodes: Slab<Node>,
    by_id: BTreeMap<NodeId, NodeRef>,
    /// All nodes in this ingest's order; the subset is its beginning.
    order: Vec<Ranked>,
    subset: Vec<NodeRef>,
    size: Size,
    zones: Vec<Zone>,
    surprise: Surprise,
    fleet: Fleet,
    claims: Claims,
    /// What may be spent on trials, and on nodes that are not measured.
    trials: Tokens,
    curiosity: Tokens,
    /// In a large subset: its keys, and the nodes that wait for a trial.
    tournament: Tournament,
    waiting: Vec<NodeRef>,
    typical_work: f64,
    next_flight: u64,
    next_due: u64,
    dice: u64,
    swept_at: f64,
    sized_at: f64,
    /// Nodes of the subset that are ejected for soft reasons.
    softly_ejected: usize,
    /// So many are ejected that soft ejections are not believed.
    panic: bool,
    /// The largest share that any node of the subset gets.
    full_share: f64,
    /// Share of the subset's slots whose nodes are well and take what is sent.
    ready: f64,
    zone_changes: Vec<ZoneChange>,
}

impl Table {
    /// An empty table. `identity` names this ingest: its share of a large fleet follows from it.
    pub fn new(config: Config, identity: &str) -> Self {
        Self {
            pace: Pace::from(&config),
            identity: identity.to_owned(),
            clock: Clock::default(),
            nodes: Slab::default(),
            by_id: BTreeMap::new(),
            order: Vec::new(),
            subset: Vec::new(),
            size: Size::new(&config.subset),
            zones: Vec::new(),
            surprise: Surprise::new(config.late),
            fleet: Fleet::default(),
            claims: Claims::new(0.0),
            trials: Tokens::new(config.eject.trials, 0.05),
            curiosity: Tokens::new(config.curiosity, 0.01),
            tournament: Tournament::default(),
            waiting: Vec::new(),
            typical_work: 0.0,
            next_flight: 0,
            next_due: 0,
            dice: subset::hash(identity, "dice"),
            swept_at: f64::NEG_INFINITY,
            sized_at: f64::NEG_INFINITY,
            softly_ejected: 0,
            panic: false,
            full_share: 1.0,
            ready: 0.0,
            zone_changes: Vec::new(),
            config,
        }
    }

    /// Goes by other constants from now on; what was measured stays.
    pub fn reconfigure(&mut self, config: Config) {
        self.pace = Pace::from(&config);
        self.trials.set_rate(config.eject.trials);
        self.curiosity.set_rate(config.curiosity);
        self.surprise.reconfigure(config.late);
        self.pace.rest = self.surprise.rest();
        self.config = config;
        self.rank();
    }

    /// What the catalog says of a node; `None` once it has left.
    pub fn member(&self, node: NodeRef) -> Option<&Member> {
        self.nodes.get(node).map(|n| &n.member)
    }

    /// The node with this ID.
    pub fn find(&self, id: &NodeId) -> Option<NodeRef> {
        self.by_id.get(id).copied()
    }

    /// How many nodes the catalog has.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether the catalog has none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// A number from 0 to 1 that nobody else's table draws. Only for what is not part of an
    /// answer: the caller's randomness is not at hand everywhere.
    fn draw(&mut self) -> f64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        subset::unit(subset::mix(self.dice))
    }
}
