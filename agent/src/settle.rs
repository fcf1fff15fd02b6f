//! Keeps registrations from changing too often. Pure.
//!
//! Each change of one instance sends the service's whole list to every watcher in the fleet, and
//! a service's capacity as it measures it wavers. So a change of what merely describes an instance
//! (tags, Meta, weights) is taken over when the last one is long enough ago; a change of where it
//! is found, or of its checks, and a loss of capacity, at once; and what a service says while it starts is not yet its last
//! word.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rackcast_consul::register::Registration;

/// Registrations as they were last let through, by service ID.
#[derive(Debug)]
pub struct Settled {
    interval: Duration,
    known: BTreeMap<String, (Registration, Instant)>,
}

impl Settled {
    /// Lets descriptions change every `interval` at most.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            known: BTreeMap::new(),
        }
    }

    /// Puts back what must not change yet. `ready`: the service has started.
    pub fn settle(&mut self, registration: &mut Registration, ready: bool, now: Instant) {
        let id = &registration.service.id;
        if !ready {
            self.known.remove(id);
            return;
        }
        match self.known.get(id) {
            Some((known, _)) if known == registration => {}
            Some((known, since))
                if now.saturating_duration_since(*since) < self.interval
                    && is_found_alike(known, registration)
                    && !is_less(known, registration) =>
            {
                registration.clone_from(known);
            }
            _ => {
                self.known.insert(id.clone(), (registration.clone(), now));
            }
        }
    }

    /// Forgets the services other than those of `keep`.
    pub fn keep(&mut self, keep: impl Fn(&str) -> bool) {
        self.known.retain(|id, _| keep(id));
    }
}

/// A device was lost: the fleet must not go on sending it work.
fn is_less(known: &Registration, now: &Registration) -> bool {
    now.service.weights.passing < known.service.weights.passing
}

fn is_found_alike(one: &Registration, other: &Registration) -> bool {
    let place = |registration: &Registration| {
        let service = &registration.service;
        (service.name.clone(), service.address.clone(), service.port)
    };
    place(one) == place(other) && one.checks == other.checks
}

#[cfg(test)]
mod tests {
    use rackcast_consul::register::{Service, Weights};

    use super::*;

    fn registration(port: u16, slots: &str) -> Registration {
        let service = Service {
            id: "id".into(),
            name: "name".into(),
            tags: Vec::new(),
            address: String::new(),
            port,
            meta: [("slots".to_owned(), slots.to_owned())].into(),
            weights: Weights::default(),
        };
        Registration {
            service,
            checks: Vec::new(),
        }
    }

    #[test]
    fn descriptions_change_seldom_and_places_at_once() {
        let start = Instant::now();
        let mut settled = Settled::new(Duration::from_secs(60));
        let mut at = |second, port, slots| {
            let mut registration = registration(port, slots);
            settled.settle(&mut registration, true, start + Duration::from_secs(second));
            (
                registration.service.port,
                registration.service.meta["slots"].clone(),
            )
        };
        assert_eq!(at(0, 1, "2"), (1, "2".into()));
        assert_eq!(at(1, 1, "3"), (1, "2".into()));
        assert_eq!(at(59, 1, "4"), (1, "2".into()));
        assert_eq!(
            at(60, 1, "4"),
            (1, "4".into()),
            "the newest, once it is time"
        );
        assert_eq!(at(119, 1, "2"), (1, "4".into()));
        assert_eq!(at(119, 7, "2"), (7, "2".into()), "elsewhere, so at once");
        assert_eq!(at(120, 7, "3"), (7, "2".into()));
    }

    #[test]
    fn less_capacity_is_told_at_once_and_more_when_it_is_time() {
        let start = Instant::now();
        let mut settled = Settled::new(Duration::from_secs(60));
        let mut at = |second, weight| {
            let mut registration = registration(1, "x");
            registration.service.weights.passing = weight;
            settled.settle(&mut registration, true, start + Duration::from_secs(second));
            registration.service.weights.passing
        };
        assert_eq!([at(0, 4), at(1, 3), at(2, 2)], [4, 3, 2]);
        assert_eq!([at(3, 4), at(61, 4), at(62, 4)], [2, 2, 4]);
    }

    #[test]
    fn a_service_that_went_begins_anew() {
        let (now, mut settled) = (Instant::now(), Settled::new(Duration::from_secs(60)));
        settled.settle(&mut registration(1, "2"), true, now);
        settled.keep(|_| false);
        let mut starting = registration(1, "0");
        settled.settle(&mut starting, false, now);
        assert_eq!(starting, registration(1, "0"));
        let mut again = registration(1, "3");
        settled.settle(&mut again, true, now);
        assert_eq!(again, registration(1, "3"));
    }
}
