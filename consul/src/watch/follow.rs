//! What an answer or a failure means for the list: pure, on the caller's time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Instance, State, View};
use crate::client::{Error, Indexed};

/// A question that waits for less than this would only be asked again.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// The index to wait on after an answer.
///
/// An index that went backwards is that of servers which lost their state, or of others:
/// to wait on the old one would be blind until they pass it. 0 would not wait at all, so an
/// answered 0 is waited on as 1.
pub fn next_index(asked: u64, answered: u64) -> u64 {
    match answered < asked {
        true => 0,
        false => answered.max(1),
    }
}

/// What to ask next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) index: u64,
    pub(super) wait: Duration,
}

/// Follows one service.
#[derive(Debug)]
pub(super) struct Follower {
    empty_grace: Duration,
    index: u64,
    failures: u32,
    /// Since when Consul says that nothing is left, while that is not believed.
    emptied: Option<Instant>,
    view: View,
}

impl Follower {
    pub(super) fn new(empty_grace: Duration) -> Self {
        Self {
            empty_grace,
            index: 0,
            failures: 0,
            emptied: None,
            view: View::default(),
        }
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// What to ask now. While emptiness is in doubt it is asked again when the doubt ends.
    pub(super) fn ask(&self, now: Instant, wait: Duration) -> Ask {
        let wait = match self.emptied {
            Some(since) => {
                let doubted = now.saturating_duration_since(since);
                wait.min(self.empty_grace.saturating_sub(doubted))
                    .max(SHORTEST_WAIT)
            }
            None => wait,
        };
        Ask {
            index: self.index,
            wait,
        }
    }

    /// Takes an answer in.
    pub(super) fn answered(&mut self, now: Instant, answer: Indexed<Vec<Instance>>) {
        self.failures = 0;
        self.index = next_index(self.index, answer.index);
        let mut nodes = answer.value;
        if nodes.is_empty() && !self.view.nodes.is_empty() {
            let since = *self.emptied.get_or_insert(now);
            if now.saturating_duration_since(since) < self.empty_grace {
                self.doubt(since, "the catalog suddenly names no instance".to_owned());
                return;
            }
        }
        self.emptied = None;
        nodes.sort_unstable_by(|a, b| (&a.node, &a.id).cmp(&(&b.node, &b.id)));
        if *self.view.nodes != nodes {
            self.view.nodes = Arc::new(nodes);
        }
        self.view.state = State::Fresh;
    }

    /// Takes a failure in. After it nothing is waited on: what was missed is asked for.
    pub(super) fn failed(&mut self, now: Instant, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        self.index = 0;
        // Servers that come back from a failure may be empty for a while: doubt anew.
        self.emptied = None;
        if self.view.state != State::Unknown {
            self.doubt(now, error.to_string());
        }
    }

    fn doubt(&mut self, from: Instant, reason: String) {
        let since = match &self.view.state {
            State::LastKnownGood { since, .. } => *since,
            State::Unknown | State::Fresh => from,
        };
        self.view.state = State::LastKnownGood { since, reason };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Health;

    const GRACE: Duration = Duration::from_secs(30);
    const WAIT: Duration = Duration::from_secs(60);

    fn instance(id: &str) -> Instance {
        Instance {
            id: id.to_owned(),
            service: "web".to_owned(),
            node: "n1".to_owned(),
            address: "10.0.0.1".to_owned(),
            port: 80,
            tags: Vec::new(),
            meta: Default::default(),
            weight_passing: 1,
            datacenter: "dc1".to_owned(),
            health: Health::Passing,
            maintenance: false,
            maintenance_reason: String::new(),
        }
    }

    fn answer(index: u64, ids: &[&str]) -> Indexed<Vec<Instance>> {
        Indexed {
            index,
            value: ids.iter().map(|id| instance(id)).collect(),
        }
    }

    fn ids(follower: &Follower) -> Vec<&str> {
        follower
            .view()
            .nodes
            .iter()
            .map(|node| node.id.as_str())
            .collect()
    }

    fn unreachable() -> Error {
        Error::Unreachable("refused".to_owned())
    }

    #[test]
    fn the_next_index() {
        assert_eq!(next_index(0, 0), 1);
        assert_eq!(next_index(0, 17), 17);
        assert_eq!(next_index(17, 17), 17);
        assert_eq!(next_index(17, 18), 18);
        assert_eq!(next_index(17, 16), 0);
        assert_eq!(next_index(1, 0), 0);
    }

    #[test]
    fn nothing_is_known_before_an_answer() {
        let now = Instant::now();
        let mut follower = Follower::new(GRACE);
        assert_eq!(
            follower.ask(now, WAIT),
            Ask {
                index: 0,
                wait: WAIT
            }
        );
        follower.failed(now, &unreachable());
        assert_eq!(follower.view().state, State::Unknown);
        follower.answered(now, answer(9, &[]));
        assert_eq!(follower.view().state, State::Fresh);
        assert_eq!(follower.ask(now, WAIT).index, 9);
    }

    #[test]
    fn a_failure_keeps_the_list_and_forgets_the_index() {
        let start = Instant::now();
        let mut follower = Follower::new(GRACE);
        follower.answered(start, answer(9, &["b", "a"]));
        assert_eq!(ids(&follower), ["a", "b"]);
        let first = start + Duration::from_secs(1);
        follower.failed(first, &unreachable());
        follower.failed(first + WAIT, &unreachable());
        assert_eq!(follower.failures(), 2);
        assert_eq!(follower.ask(first, WAIT).index, 0);
        assert_eq!(ids(&follower), ["a", "b"]);
        assert!(matches!(&follower.view().state,
            State::LastKnownGood { since, reason } if *since == first && reason.contains("refused")));
        follower.answered(first + WAIT, answer(3, &["a"]));
        assert_eq!((ids(&follower), follower.failures()), (vec!["a"], 0));
        assert_eq!(follower.view().state, State::Fresh);
    }

    #[test]
    fn emptiness_is_believed_when_it_lasts() {
        let start = Instant::now();
        let mut follower = Follower::new(GRACE);
        follower.answered(start, answer(9, &["a"]));
        follower.answered(start, answer(10, &[]));
        assert_eq!(ids(&follower), ["a"]);
        assert!(matches!(follower.view().state, State::LastKnownGood { .. }));

        let later = start + Duration::from_secs(20);
        assert_eq!(follower.ask(later, WAIT).wait, Duration::from_secs(10));
        follower.answered(later, answer(11, &[]));
        assert_eq!(ids(&follower), ["a"]);

        follower.answered(start + GRACE, answer(11, &[]));
        assert!(ids(&follower).is_empty());
        assert_eq!(follower.view().state, State::Fresh);
        assert_eq!(follower.ask(later, WAIT).wait, WAIT);
    }

    #[test]
    fn an_instance_ends_the_doubt_and_a_failure_renews_it() {
        let start = Instant::now();
        let mut follower = Follower::new(GRACE);
        follower.answered(start, answer(9, &["a"]));
        follower.answered(start, answer(10, &[]));
        follower.answered(start + GRACE / 2, answer(11, &["b"]));
        assert_eq!(ids(&follower), ["b"]);
        follower.answered(start + GRACE, answer(12, &[]));
        follower.failed(start + GRACE * 3, &unreachable());
        follower.answered(start + GRACE * 3, answer(1, &[]));
        assert_eq!(ids(&follower), ["b"]);
        assert_eq!(follower.ask(start + GRACE * 3, WAIT).wait, GRACE);
    }

    #[test]
    fn an_unchanged_list_is_not_copied() {
        let now = Instant::now();
        let mut follower = Follower::new(GRACE);
        follower.answered(now, answer(9, &["a", "b"]));
        let before = Arc::clone(&follower.view().nodes);
        follower.answered(now, answer(10, &["b", "a"]));
        assert!(Arc::ptr_eq(&before, &follower.view().nodes));
    }
}
