use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Time;

/// What is to happen, earliest first; what is due at the same time, in the order it was put in,
/// so that a run is the same every time.
///
/// The heap moves its entries about a great deal, so they only name their events.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    next: u64,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            next: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Time, event: E) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            u32::try_from(self.events.len() - 1).unwrap_or(u32::MAX)
        });
        self.events[place as usize] = Some(event);
        self.heap.push(Reverse((at, self.next, place)));
        self.next += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        let event = self.events[place as usize].take()?;
        Some((at, event))
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
