use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::time::Time;

/// What is to happen, earliest first; what is due at the same time, in the order it was put in,
/// so that a run is the same every time.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    next: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Time,
    order: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            next: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Time, event: E) {
        let order = self.next;
        self.next += 1;
        self.heap.push(Entry { at, order, event });
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        self.heap.pop().map(|e| (e.at, e.event))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The heap gives out its greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn earliest_first_and_equals_in_order() {
        let mut q = Queue::new();
        let at = |ms| Time::after(Duration::from_millis(ms));
        for (ms, name) in [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')] {
            q.push(at(ms), name);
        }
        let order: String = std::iter::from_fn(|| q.pop().map(|(_, name)| name)).collect();
        assert_eq!(order, "abcd");
    }
}
