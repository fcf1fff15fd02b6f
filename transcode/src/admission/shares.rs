//! Who may have how many of the node's places when there are not enough for all.
//!
//! Max-min fairness (Bertsekas and Gallager, *Data Networks*, 6.5.2): nobody gets more while one
//! that got less wants more; first among callers, then among the sizes of jobs of each, so that
//! large jobs do not keep small ones out. What each wants is what it holds, and one more while it
//! was lately refused. So one place is kept free for whoever gets less than its share, which is
//! enough to get it in (trunk reservation); who is content leaves the rest to the others, alone it
//! may have everything, and to ask for more than one's share gains nothing.
//!
//! A place is held for as long as a job takes: what is shared is the machine's time, whatever
//! the size of jobs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::request::Caller;

/// So long after a refusal it is known that someone wants more: the length of two segments, so that
/// the stream has asked again.
const CLAIM: Duration = Duration::from_secs(4);
/// Callers that are remembered for their claims alone.
const MAX_CALLERS: usize = 1024;

/// A class of jobs that cost about the same.
pub(super) type Size = u32;

/// The places of a node as callers hold and want them, each for jobs of some sizes.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    callers: BTreeMap<Caller, BTreeMap<Size, Party>>,
}

#[derive(Debug, Clone, Default)]
struct Party {
    held: usize,
    /// When it is forgotten that it wants more.
    claim: Option<Instant>,
}

impl Party {
    fn wants(&self) -> usize {
        self.held + usize::from(self.claim.is_some())
    }
}

impl Shares {
    /// Whether one more of `places` is within the caller's share, and within this size's share of
    /// that.
    pub(super) fn may_take(
        &mut self,
        now: Instant,
        caller: &Caller,
        size: Size,
        places: usize,
    ) -> bool {
        self.expire(now);
        let others = self.callers.iter().filter(|(other, _)| *other != caller);
        let wants = others.map(|(_, sizes)| sizes.values().map(Party::wants).sum());
        let share = level(wants.collect(), places);
        let Some(sizes) = self.callers.get(caller) else {
            return share > 0;
        };
        let held = |party: &Party| party.held;
        let others = sizes.iter().filter(|(other, _)| **other != size);
        let of_this = level(others.map(|(_, p)| p.wants()).collect(), share);
        let mine = sizes.get(&size).map_or(0, held);
        sizes.values().map(held).sum::<usize>() < share && mine < of_this
    }

    /// The caller has one more.
    pub(super) fn take(&mut self, caller: &Caller, size: Size) {
        let sizes = self.callers.entry(caller.clone()).or_default();
        let party = sizes.entry(size).or_default();
        party.held += 1;
    }

    /// The caller has one less.
    pub(super) fn give_back(&mut self, caller: &Caller, size: Size) {
        let sizes = self.callers.get_mut(caller);
        if let Some(party) = sizes.and_then(|sizes| sizes.get_mut(&size)) {
            party.held = party.held.saturating_sub(1);
        }
    }

    /// The caller was refused one.
    pub(super) fn claim(&mut self, now: Instant, caller: &Caller, size: Size) {
        if self.callers.len() >= MAX_CALLERS && !self.callers.contains_key(caller) {
            return;
        }
        let sizes = self.callers.entry(caller.clone()).or_default();
        sizes.entry(size).or_default().claim = Some(now + CLAIM);
    }

    fn expire(&mut self, now: Instant) {
        self.callers.retain(|_, sizes| {
            sizes.retain(|_, party| {
                party.claim = party.claim.filter(|until| *until > now);
                party.wants() > 0
            });
            !sizes.is_empty()
        });
    }
}

/// What one that wants everything gets of `places` beside others that want so much: the others are
/// filled up from the least on, each to what it wants or to what is left for each.
fn level(mut wants: Vec<usize>, places: usize) -> usize {
    wants.sort_unstable();
    let (mut left, mut parties) = (places, wants.len() + 1);
    for want in wants {
        if want > left / parties {
            break;
        }
        left -= want;
        parties -= 1;
    }
    // Rounded up: a place that does not divide evenly goes to who asks first.
    left.div_ceil(parties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_are_filled_first() {
        for (wants, places, expected) in [
            (vec![], 8, 8),
            (vec![1], 8, 7),
            (vec![9], 8, 4),
            (vec![1, 9], 8, 4),
            (vec![9, 9], 8, 3),
            (vec![1, 2, 9, 9], 12, 3),
            (vec![9, 9, 9], 2, 1),
        ] {
            assert_eq!(
                level(wants.clone(), places),
                expected,
                "{wants:?} of {places}"
            );
        }
    }

    #[test]
    fn callers_are_forgotten_when_they_hold_and_want_nothing() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        for caller in 0..2 * MAX_CALLERS {
            shares.claim(now, &caller.to_string().into(), 0);
        }
        assert_eq!(shares.callers.len(), MAX_CALLERS);
        shares.take(&"0".into(), 0);
        shares.give_back(&"0".into(), 0);
        assert!(shares.may_take(now + CLAIM, &"0".into(), 0, 1));
        assert!(shares.callers.is_empty());
    }

    #[test]
    fn who_has_less_comes_up_to_its_share_and_no_further() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        let (old, new) = ("old".into(), "new".into());
        let mut held = [8, 0];
        (0..8).for_each(|_| shares.take(&old, 0));
        // Jobs of the old one end, and both ask for each place that is free.
        for _ in 0..20 {
            shares.give_back(&old, 0);
            held[0] -= 1;
            for (who, caller) in [&old, &new].into_iter().enumerate() {
                let free = held[0] + held[1] < 8;
                if free && shares.may_take(now, caller, 0, 8) {
                    shares.take(caller, 0);
                    held[who] += 1;
                } else {
                    shares.claim(now, caller, 0);
                }
            }
        }
        assert_eq!(held, [4, 4]);
    }
}
