//! Where nodes live, and handles that cannot be mistaken.

/// A node in the table. Cheap to copy; stale once the node has left the catalog or listens
/// elsewhere, even if another node took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeRef {
    pub(super) index: u32,
    pub(super) life: u32,
}

/// Values in places that are used again, with a new life each time.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

fn place(node: NodeRef) -> usize {
    usize::try_from(node.index).unwrap_or(usize::MAX)
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> NodeRef {
        if let Some(index) = self.free.pop()
            && let Some((life, empty)) = usize::try_from(index)
                .ok()
                .and_then(|i| self.places.get_mut(i))
        {
            *empty = Some(value);
            return NodeRef { index, life: *life };
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push((0, Some(value)));
        NodeRef { index, life: 0 }
    }

    pub(super) fn remove(&mut self, node: NodeRef) -> Option<T> {
        let (life, value) = self.places.get_mut(place(node))?;
        if *life != node.life {
            return None;
        }
        let value = value.take()?;
        *life = life.wrapping_add(1);
        self.free.push(node.index);
        Some(value)
    }

    pub(super) fn get(&self, node: NodeRef) -> Option<&T> {
        let (life, value) = self.places.get(place(node))?;
        (*life == node.life).then_some(value.as_ref()).flatten()
    }

    pub(super) fn get_mut(&mut self, node: NodeRef) -> Option<&mut T> {
        let (life, value) = self.places.get_mut(place(node))?;
        (*life == node.life).then_some(value.as_mut()).flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|(_, value)| value.as_ref())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places
            .iter_mut()
            .filter_map(|(_, value)| value.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_dies_with_its_value() {
        let mut slab = Slab::default();
        let a = slab.insert("a");
        let b = slab.insert("b");
        assert_eq!(slab.remove(a), Some("a"));
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.remove(a), None);
        let c = slab.insert("c");
        assert_eq!(c.index, a.index, "the place is used again");
        assert_eq!(
            (slab.get(a), slab.get(b), slab.get(c)),
            (None, Some(&"b"), Some(&"c"))
        );
        assert_eq!(slab.iter().count(), 2);
    }
}
