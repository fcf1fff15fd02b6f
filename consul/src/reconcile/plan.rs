//! What must be done so that the agent holds what is desired: pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Desired;
use crate::client::{AgentCheck, AgentService};
use crate::register::{OWNER, Registration};

/// Prefix of the reason of every maintenance that we set: only those do we end.
pub const MAINTENANCE_MARK: &str = "rackcast: ";

/// What the agent holds.
#[derive(Debug, Clone, Default)]
pub struct Actual {
    /// Services by ID, everybody's.
    pub services: BTreeMap<String, AgentService>,
    /// Checks by ID.
    pub checks: BTreeMap<String, AgentCheck>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Register, or register anew.
    Register(Registration),
    /// Remove one of ours.
    Deregister(String),
    /// Begin maintenance with a reason, or end it.
    Maintain {
        /// Service ID.
        id: String,
        /// The reason as Consul shall show it; `None` ends it.
        reason: Option<String>,
    },
    /// Give another reason for a maintenance that goes on.
    Renew {
        /// Service ID.
        id: String,
        /// The reason as Consul shall show it.
        reason: String,
    },
}

/// What to do, and what we may not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In order.
    pub actions: Vec<Action>,
    /// Desired IDs that somebody else has registered: left alone.
    pub conflicts: Vec<String>,
}

/// Compares what is desired with what the agent holds.
///
/// `registered` is what this process has registered before, by ID: a change of those is
/// drift, even one that removed our mark, and they are removed as soon as they are not
/// desired. What it has not registered is registered once even if the agent holds the like,
/// since the agent does not show every field (intervals, limits). Others with our mark stem
/// from an earlier life and are removed only if `remove_unknown`.
pub fn plan(
    desired: &[Desired],
    actual: &Actual,
    owner: &str,
    registered: &BTreeMap<String, Registration>,
    remove_unknown: bool,
) -> Plan {
    let mut plan = Plan::default();
    for want in desired {
        let id = &want.registration.service.id;
        match actual.services.get(id) {
            Some(have) if !may_touch(have, owner, registered) => {
                plan.conflicts.push(id.clone());
                continue;
            }
            Some(have)
                if registered.get(id) == Some(&want.registration)
                    && matches(&want.registration, have, &actual.checks) =>
            {
                plan.actions.extend(maintenance(want, &actual.checks));
            }
            _ => plan.actions.extend(register(want, &actual.checks)),
        }
    }
    let wanted: BTreeSet<&str> = desired
        .iter()
        .map(|want| want.registration.service.id.as_str())
        .collect();
    for (id, have) in &actual.services {
        let ours = have.meta.get(OWNER).is_some_and(|mark| mark == owner);
        if ours && !wanted.contains(id.as_str()) && (remove_unknown || registered.contains_key(id))
        {
            plan.actions.push(Action::Deregister(id.clone()));
        }
    }
    plan
}

impl Plan {
    /// Registers everything that may be touched once more. Consul keeps the token that a service
    /// was registered with, and tells its servers nothing of the service once that is revoked.
    pub(super) fn register_all(&mut self, desired: &[Desired], actual: &Actual) {
        for want in desired {
            let action = Action::Register(want.registration.clone());
            let id = &want.registration.service.id;
            if !self.conflicts.contains(id) && !self.actions.contains(&action) {
                self.actions.extend(register(want, &actual.checks));
            }
        }
    }

    /// Whether a service is in maintenance once all is done that the plan does to it.
    pub(super) fn maintains(&self, service: &str) -> bool {
        self.actions.iter().any(
            |action| matches!(action, Action::Maintain { id, reason: Some(_) } if id == service),
        )
    }
}

/// Ours by its mark, or ours until somebody removed the mark.
fn may_touch(
    have: &AgentService,
    owner: &str,
    registered: &BTreeMap<String, Registration>,
) -> bool {
    match have.meta.get(OWNER) {
        Some(mark) => mark == owner,
        None => registered.contains_key(&have.id),
    }
}

/// Whether the agent holds the registration: only fields that we set are compared, since
/// the agent adds others.
fn matches(
    want: &Registration,
    have: &AgentService,
    checks: &BTreeMap<String, AgentCheck>,
) -> bool {
    let service = &want.service;
    let same_service = have.name == service.name
        && have.tags == service.tags
        && have.address == service.address
        && have.port == service.port
        && have.meta == service.meta
        && have.weights == service.weights;
    let held: BTreeMap<&str, &AgentCheck> = checks
        .values()
        .filter(|check| check.service_id == service.id && !is_maintenance(check))
        .map(|check| (check.id.as_str(), check))
        .collect();
    let same_checks = held.len() == want.checks.len()
        && want.checks.iter().all(|check| {
            held.get(check.id.as_str()).is_some_and(|held| {
                held.name == check.name && (held.kind.is_empty() || held.kind == check.kind.name())
            })
        });
    same_service && same_checks
}

fn is_maintenance(check: &AgentCheck) -> bool {
    check.id.starts_with("_service_maintenance:")
}

/// Registering replaces all checks of a service, and with them ends a maintenance: what is to go on, be it
/// an operator's own, begins anew.
fn register(
    want: &Desired,
    checks: &BTreeMap<String, AgentCheck>,
) -> impl Iterator<Item = Action> + use<> {
    let id = want.registration.service.id.clone();
    let held = checks.get(&format!("_service_maintenance:{id}"));
    let reason = match held {
        Some(held) if !held.notes.starts_with(MAINTENANCE_MARK) => Some(held.notes.clone()),
        _ => reason(want),
    };
    let goes_on = reason.is_some() || held.is_some();
    let register = Action::Register(want.registration.clone());
    [register]
        .into_iter()
        .chain(goes_on.then_some(Action::Maintain { id, reason }))
}

/// Of the desired maintenance, as Consul shall show it.
fn reason(want: &Desired) -> Option<String> {
    let wanted = want.maintenance.as_ref();
    wanted.map(|reason| format!("{MAINTENANCE_MARK}{reason}"))
}

/// Begins the desired maintenance, or ends one that is ours and no longer desired. Somebody else's is
/// an operator's decision and stays.
fn maintenance(want: &Desired, checks: &BTreeMap<String, AgentCheck>) -> Option<Action> {
    let id = want.registration.service.id.clone();
    let held = checks.get(&format!("_service_maintenance:{id}"));
    match (reason(want), held) {
        (None, None) => None,
        (_, Some(held)) if !held.notes.starts_with(MAINTENANCE_MARK) => None,
        (Some(reason), Some(held)) if reason == held.notes => None,
        (Some(reason), Some(_)) => Some(Action::Renew { id, reason }),
        (reason, _) => Some(Action::Maintain { id, reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::{Check, CheckKind, Service, Status, Weights};
    use std::time::Duration;

    const US: &str = "agent-n1";

    fn desired(id: &str) -> Desired {
        Desired {
            registration: Registration {
                service: Service {
                    id: id.to_owned(),
                    name: "rackcast-ingest".to_owned(),
                    tags: vec!["rtmp".to_owned()],
                    address: "10.0.0.1".to_owned(),
                    port: 1935,
                    meta: [(OWNER.to_owned(), US.to_owned())].into(),
                    weights: Weights {
                        passing: 3,
                        warning: 1,
                    },
                },
                checks: vec![Check {
                    id: format!("{id}:devices"),
                    name: "devices".to_owned(),
                    kind: CheckKind::Ttl {
                        ttl: Duration::from_secs(15),
                    },
                    status: Status::Critical,
                    deregister_after: None,
                }],
            },
            reports: Vec::new(),
            maintenance: None,
        }
    }

    /// What the agent holds after it was told what is desired.
    fn held(desired: &[Desired]) -> Actual {
        let mut actual = Actual::default();
        for want in desired {
            let service = &want.registration.service;
            actual.services.insert(
                service.id.clone(),
                AgentService {
                    id: service.id.clone(),
                    name: service.name.clone(),
                    tags: service.tags.clone(),
                    address: service.address.clone(),
                    port: service.port,
                    meta: service.meta.clone(),
                    weights: service.weights,
                },
            );
            for check in &want.registration.checks {
                actual.checks.insert(
                    check.id.clone(),
                    AgentCheck {
                        id: check.id.clone(),
                        name: check.name.clone(),
                        service_id: service.id.clone(),
                        kind: check.kind.name().to_owned(),
                        ..AgentCheck::default()
                    },
                );
            }
        }
        actual
    }

    fn known(desired: &[Desired]) -> BTreeMap<String, Registration> {
        let registrations = desired.iter().map(|want| want.registration.clone());
        registrations.map(|r| (r.service.id.clone(), r)).collect()
    }

    fn planned(desired: &[Desired], actual: &Actual) -> Plan {
        plan(desired, actual, US, &known(desired), true)
    }

    fn register(want: &Desired) -> Vec<Action> {
        vec![Action::Register(want.registration.clone())]
    }

    #[test]
    fn nothing_to_do_when_it_is_held() {
        let want = [desired("a"), desired("b")];
        assert_eq!(planned(&want, &held(&want)), Plan::default());
    }

    #[test]
    fn what_is_missing_is_registered() {
        let want = [desired("a")];
        assert_eq!(
            planned(&want, &Actual::default()).actions,
            register(&want[0])
        );
    }

    #[test]
    fn what_was_not_registered_in_this_form_is_registered_once() {
        let mut want = [desired("a")];
        let actual = held(&want);
        let before = known(&want);
        assert_eq!(
            plan(&want, &actual, US, &BTreeMap::new(), true).actions,
            register(&want[0])
        );
        want[0].registration.checks[0].kind = CheckKind::Ttl {
            ttl: Duration::from_secs(20),
        };
        assert_eq!(
            plan(&want, &actual, US, &before, true).actions,
            register(&want[0])
        );
    }

    #[test]
    fn each_changed_field_is_drift() {
        let want = [desired("a")];
        let changes: [fn(&mut Actual); 9] = [
            |a| service(a).name.push('x'),
            |a| service(a).tags.clear(),
            |a| service(a).address.clear(),
            |a| service(a).port = 1,
            |a| service(a).weights.passing = 1,
            |a| drop(service(a).meta.insert("x".into(), "y".into())),
            |a| a.checks.clear(),
            |a| check(a).name.push('x'),
            |a| check(a).kind = "http".into(),
        ];
        for change in changes {
            let mut actual = held(&want);
            change(&mut actual);
            assert_eq!(planned(&want, &actual).actions, register(&want[0]));
        }
    }

    #[test]
    fn a_foreign_check_on_our_service_is_drift() {
        let want = [desired("a")];
        let mut actual = held(&want);
        let mut foreign = check(&mut actual).clone();
        foreign.id = "foreign".to_owned();
        actual.checks.insert(foreign.id.clone(), foreign);
        assert_eq!(planned(&want, &actual).actions, register(&want[0]));
    }

    #[test]
    fn a_version_that_does_not_name_the_kind_of_a_check_is_no_drift() {
        let want = [desired("a")];
        let mut actual = held(&want);
        check(&mut actual).kind.clear();
        assert_eq!(planned(&want, &actual), Plan::default());
    }

    #[test]
    fn others_are_left_alone() {
        let want = [desired("a")];
        let mut actual = held(&[desired("a"), desired("b")]);
        for have in actual.services.values_mut() {
            have.meta.insert(OWNER.to_owned(), "agent-n2".to_owned());
        }
        let plan = planned(&want, &actual);
        assert_eq!(
            plan,
            Plan {
                actions: vec![],
                conflicts: vec!["a".to_owned()]
            }
        );
    }

    #[test]
    fn a_lost_mark_is_drift_only_for_what_we_registered() {
        let want = [desired("a")];
        let mut actual = held(&want);
        service(&mut actual).meta.clear();
        assert_eq!(
            plan(&want, &actual, US, &BTreeMap::new(), true).conflicts,
            ["a"]
        );
        assert_eq!(planned(&want, &actual).actions, register(&want[0]));
    }

    #[test]
    fn what_is_not_desired_any_more_is_removed_but_not_in_the_first_minute() {
        let actual = held(&[desired("old")]);
        let removal = vec![Action::Deregister("old".to_owned())];
        let nothing = BTreeMap::new();
        let known = known(&[desired("old")]);
        assert_eq!(plan(&[], &actual, US, &nothing, false), Plan::default());
        assert_eq!(plan(&[], &actual, US, &nothing, true).actions, removal);
        assert_eq!(plan(&[], &actual, US, &known, false).actions, removal);
    }

    #[test]
    fn another_token_registers_all_but_what_is_not_ours() {
        let want = [desired("a"), desired("b"), desired("c")];
        let mut actual = held(&want);
        service(&mut actual).port = 1;
        let theirs = ("rackcast-owner".to_owned(), "agent-n2".to_owned());
        actual.services.get_mut("b").unwrap().meta.extend([theirs]);
        let mut plan = planned(&want, &actual);
        plan.register_all(&want, &actual);
        let register = |want: &Desired| Action::Register(want.registration.clone());
        assert_eq!(plan.actions, [register(&want[0]), register(&want[2])]);
        assert_eq!(plan.conflicts, ["b"]);
    }

    #[test]
    fn maintenance_begins_and_ends_by_our_reason_only() {
        let mut want = desired("a");
        let idle = held(std::slice::from_ref(&want));
        let during = |notes: &str| {
            let mut actual = idle.clone();
            let id = "_service_maintenance:a".to_owned();
            let check = AgentCheck {
                id: id.clone(),
                notes: notes.to_owned(),
                service_id: "a".to_owned(),
                ..AgentCheck::default()
            };
            actual.checks.insert(id, check);
            actual
        };
        let ours = during("rackcast: drain");
        let operators = during("disk swap");
        let end = Action::Maintain {
            id: "a".to_owned(),
            reason: None,
        };
        assert_eq!(planned(&[want.clone()], &ours).actions, [end]);
        assert_eq!(planned(&[want.clone()], &operators), Plan::default());

        want.maintenance = Some("drain".to_owned());
        let begin = Action::Maintain {
            id: "a".to_owned(),
            reason: Some("rackcast: drain".to_owned()),
        };
        assert_eq!(planned(&[want.clone()], &idle).actions, [begin]);
        let before = during("rackcast: another drain");
        let renew = Action::Renew {
            id: "a".to_owned(),
            reason: "rackcast: drain".to_owned(),
        };
        assert_eq!(planned(&[want.clone()], &before).actions, [renew]);
        assert_eq!(planned(&[want.clone()], &ours), Plan::default());
        assert_eq!(planned(&[want.clone()], &operators), Plan::default());

        // Whatever is registered anew is in maintenance at once, as it was.
        want.registration.service.port = 81;
        let register = Action::Register(want.registration.clone());
        for actual in [&idle, &ours, &before] {
            let actions = planned(&[want.clone()], actual).actions;
            assert_eq!(actions, [register.clone(), begin_with("rackcast: drain")]);
        }
        let kept = [register, begin_with("disk swap")];
        let plan = planned(&[want.clone()], &operators);
        assert_eq!(plan.actions, kept);
        assert!(plan.maintains("a") && !plan.maintains("b"));
        want.maintenance = None;
        assert_eq!(planned(&[want.clone()], &operators).actions, kept);
        let mut renewed = Plan::default();
        renewed.register_all(std::slice::from_ref(&want), &operators);
        assert_eq!(renewed.actions, kept);
    }

    fn begin_with(reason: &str) -> Action {
        Action::Maintain {
            id: "a".to_owned(),
            reason: Some(reason.to_owned()),
        }
    }

    fn service(actual: &mut Actual) -> &mut AgentService {
        actual.services.get_mut("a").unwrap()
    }

    fn check(actual: &mut Actual) -> &mut AgentCheck {
        actual.checks.get_mut("a:devices").unwrap()
    }
}
