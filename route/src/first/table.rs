use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use super::config::Config;
use super::job::{Change, Choice, Job, Outcome, Ticket};
use super::node::{Node, NodeView, Took};
use super::reason::{FailureKind, NoNode, NoNodeReason, Reason};
use crate::member::{Endpoint, Load, Member, NodeId};

/// All nodes of the catalog, as this ingest has measured them.
#[derive(Debug)]
pub struct Table {
    config: Config,
    /// Sorted by ID.
    nodes: Vec<Node>,
    lives: u64,
}

/// Candidates in this order; within a tier the least predicted finish decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    /// One segment tells what nothing else can: unmeasured, or back from ejection.
    Curious,
    Good,
    Doubtful,
}

impl Table {
    /// An empty table.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            nodes: Vec::new(),
            lives: 0,
        }
    }

    /// Takes over what the catalog says now. What was measured of a node that stays is kept;
    /// a node that listens elsewhere than before is a new one.
    pub fn update_members(&mut self, members: impl IntoIterator<Item = Member>, now: Instant) {
        let mut old: BTreeMap<NodeId, Node> = std::mem::take(&mut self.nodes)
            .into_iter()
            .map(|n| (n.member.id.clone(), n))
            .collect();
        for member in members {
            let known = old.remove(&member.id);
            let node = match known.filter(|n| n.member.endpoint == member.endpoint) {
                Some(mut node) => {
                    node.member = member;
                    node
                }
                None => {
                    self.lives += 1;
                    Node::new(member, self.lives, &self.config, now)
                }
            };
            self.nodes.push(node);
        }
        self.nodes.sort_by(|a, b| a.member.id.cmp(&b.member.id));
        self.nodes.dedup_by(|b, a| b.member.id == a.member.id);
    }

    /// The node with the least predicted finish for this job.
    ///
    /// # Errors
    /// No node may have it now; the reason says whether waiting can help.
    pub fn pick(&self, job: &Job<'_>, now: Instant, rng: &mut impl Rng) -> Result<Choice, NoNode> {
        let mut best: Option<(Tier, f64, &Node)> = None;
        let mut rivals = 0u32;
        let mut equal_weight = 0u32;
        let (mut busy, mut full) = (false, false);
        let mut retry_at: Option<Instant> = None;
        for node in &self.nodes {
            if job.tried.contains(&node.member.id) {
                continue;
            }
            if let Some(until) = node.blocked_until(now) {
                busy = true;
                retry_at = Some(retry_at.map_or(until, |at| at.min(until)));
                continue;
            }
            if node.is_draining(now, &self.config) {
                busy = true;
                continue;
            }
            if !node.has_room(&self.config) {
                full = true;
                continue;
            }
            let tier = tier(node, job, now);
            match best.as_ref().map(|b| tier.cmp(&b.0)) {
                None | Some(Ordering::Less) => rivals = 0,
                Some(Ordering::Equal) => rivals += 1,
                Some(Ordering::Greater) => continue,
            }
            let predicted = node.predict(job.work, now, &self.config);
            let weight = node.member.weight.max(1);
            let order = best.as_ref().map_or(Ordering::Less, |b| {
                tier.cmp(&b.0).then(predicted.total_cmp(&b.1))
            });
            let wins = match order {
                Ordering::Less => {
                    equal_weight = weight;
                    true
                }
                // Among equals each has a chance in proportion to its weight.
                Ordering::Equal => {
                    equal_weight = equal_weight.saturating_add(weight);
                    rng.random_range(0..equal_weight) < weight
                }
                Ordering::Greater => false,
            };
            if wins {
                best = Some((tier, predicted, node));
            }
        }
        let Some((tier, predicted, node)) = best else {
            let reason = match () {
                () if self.nodes.is_empty() => NoNodeReason::NoMembers,
                () if busy => NoNodeReason::AllBusy,
                () if full => NoNodeReason::AllFull,
                () => NoNodeReason::AllTried,
            };
            return Err(NoNode { reason, retry_at });
        };
        let reason = match tier {
            Tier::Doubtful => Reason::LastResort,
            Tier::Curious if node.health.ejected_until().is_some() => Reason::Trial,
            _ if !node.measured => Reason::Unmeasured,
            _ if rivals == 0 => Reason::OnlyOne,
            _ => Reason::Fastest,
        };
        Ok(Choice {
            node: node.member.id.clone(),
            endpoint: node.member.endpoint.clone(),
            reason,
            predicted: Duration::try_from_secs_f64(predicted).unwrap_or(Duration::MAX),
        })
    }

    /// A job of `work` pixels is about to be sent to `node`.
    pub fn start(&mut self, node: &NodeId, work: u64, now: Instant) -> Ticket {
        let (life, occupancy) = match self.position(node) {
            Some(i) => {
                let occupancy = self.nodes[i].occupancy(now, &self.config);
                self.nodes[i].in_flight += 1;
                (self.nodes[i].life, occupancy)
            }
            None => (0, 1.0),
        };
        Ticket {
            node: node.clone(),
            life,
            work,
            occupancy,
            sent: now,
        }
    }

    /// A job came to its end. What that changed in the node's standing, if anything.
    pub fn finish(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let Ticket {
            node,
            life,
            work,
            occupancy,
            sent,
        } = ticket;
        let i = self.position(&node)?;
        let (node, config) = (&mut self.nodes[i], &self.config);
        if node.life != life {
            return None;
        }
        node.in_flight = node.in_flight.saturating_sub(1);
        let took = |elapsed: Duration| Took {
            elapsed: elapsed.as_secs_f64(),
            work,
            occupancy,
        };
        match outcome {
            Outcome::Done { elapsed, load } => {
                node.took(took(elapsed), now, config);
                if let Some(load) = load {
                    node.report(load, node.in_flight, now);
                }
                if !node.health.success(sent, now) {
                    return None;
                }
                node.cleared();
                Some(Change::Returned)
            }
            Outcome::Failed(kind) => {
                if kind == FailureKind::TimedOut {
                    let elapsed = now.saturating_duration_since(sent);
                    node.took_at_least(took(elapsed), now, config);
                }
                node.failed(now);
                node.health
                    .failure(kind, sent, now, config, rng)
                    .map(Change::Ejected)
            }
            Outcome::Refused { retry_after, load } => {
                let length = retry_after.unwrap_or(config.block_default);
                node.block(length.min(config.block_max), now);
                if let Some(load) = load {
                    node.report(load, node.in_flight, now);
                }
                None
            }
            Outcome::Cancelled => None,
        }
    }

    /// Counts a failure that came to light only after the job was finished, or without one: a
    /// claim that another node contradicted, a probe that failed.
    pub fn blame(
        &mut self,
        node: &NodeId,
        kind: FailureKind,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Change> {
        let i = self.position(node)?;
        let node = &mut self.nodes[i];
        node.failed(now);
        node.health
            .failure(kind, now, now, &self.config, rng)
            .map(Change::Ejected)
    }

    /// A probe of the node's load was answered after `round_trip`.
    pub fn probed(&mut self, node: &NodeId, round_trip: Duration, load: Load, now: Instant) {
        if let Some(i) = self.position(node) {
            let node = &mut self.nodes[i];
            node.round_trip(round_trip, now, &self.config);
            node.report(load, node.in_flight, now);
            node.health.reached(now);
        }
    }

    /// The nodes whose load is about to be unknown and that a probe may ask.
    pub fn to_probe(&self, now: Instant) -> impl Iterator<Item = (&NodeId, &Endpoint)> {
        self.nodes
            .iter()
            .filter(move |n| n.is_silent(now, &self.config) && n.health.wants_probe(now))
            .map(|n| (&n.member.id, &n.member.endpoint))
    }

    /// Every node and what is known of it, by ID.
    pub fn nodes(&self, now: Instant) -> impl Iterator<Item = NodeView<'_>> {
        self.nodes.iter().map(move |n| n.view(now, &self.config))
    }

    fn position(&self, node: &NodeId) -> Option<usize> {
        self.nodes.binary_search_by(|n| n.member.id.cmp(node)).ok()
    }
}

/// A retry goes where success is likeliest; curiosity is for first attempts.
fn tier(node: &Node, job: &Job<'_>, now: Instant) -> Tier {
    let may_try = job.tried.is_empty() && node.in_flight == 0;
    match node.health.ejected_until() {
        Some(until) if now >= until && may_try => Tier::Curious,
        Some(_) => Tier::Doubtful,
        None if !node.measured && may_try => Tier::Curious,
        None => Tier::Good,
    }
}
