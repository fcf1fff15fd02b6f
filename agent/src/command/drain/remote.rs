//! Another machine is told through Consul, and Consul shows whether it took the order.

use std::time::{Duration, Instant, SystemTime};

use rackcast_consul::client::{Client, Error, Instance};
use rackcast_consul::orders::{self, Order, OrderError};
use rackcast_consul::reconcile::MAINTENANCE_MARK;
use serde_json::json;

use super::Far;
use crate::command::fleet::{Fleet, machine};
use crate::command::{Exit, complain, say, say_json};
use crate::reach::operator;
use crate::remote;

/// How long to look whether the machine takes the order, unless told otherwise. One that is up does
/// so within a second.
pub(super) const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How often.
const LOOK: Duration = Duration::from_millis(200);

/// What the machine's services are seen to have done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// All of them have it.
    Taken,
    /// These have not.
    Not(Vec<String>),
    /// The machine has no service in Consul.
    Nobody,
}

/// An order of whoever runs this command, of now.
pub(super) fn order(reason: &str, deadline: Option<Duration>, resume: bool) -> Order {
    Order {
        by: operator(),
        at: SystemTime::now(),
        reason: reason.to_owned(),
        deadline,
        resume,
    }
}

/// Gives the order, and looks whether it is taken.
pub(super) async fn give(node: &str, order: &Order, far: &Far, wait: Duration, json: bool) -> Exit {
    let client = match far.reach.client() {
        Ok(client) => client,
        Err(error) => return complain(Exit::Unasked, &format!("--consul: {error}")),
    };
    if let Err(error) = orders::give(&client, node, order).await {
        let exit = match &error {
            OrderError::Consul(Error::Forbidden(_)) | OrderError::Contended(_) => Exit::No,
            OrderError::Consul(_) | OrderError::Name(_) => Exit::Unasked,
        };
        return complain(exit, &error);
    }
    let told = remote::order(order).to_string();
    let seen = until_taken(&client, node, order, &told, far, wait).await;
    match json {
        true => {
            let taken = seen == Ok(Seen::Taken);
            say_json(&json!({ "node": node, "order": order, "taken": taken }));
        }
        false => say(format_args!("{node}: {told}\n")),
    }
    let stands = "the order stands in Consul";
    let why = match seen {
        Ok(Seen::Taken) => return Exit::Yes,
        Ok(Seen::Nobody) => format!(
            "{stands}, but {node} has no service there that could be seen to take it: is it the name \
             that `rackcast nodes` has for the machine?"
        ),
        Ok(Seen::Not(services)) => format!(
            "{stands}, and was not taken within {wait:?} by {}: the agent there may be down, or have a \
             later order, which `rackcast status` on {node} shows",
            services.join(", ")
        ),
        Err(why) => format!("{stands}, but whether it is taken cannot be seen: {why}"),
    };
    complain(Exit::Incomplete, &why)
}

async fn until_taken(
    client: &Client,
    node: &str,
    order: &Order,
    told: &str,
    far: &Far,
    limit: Duration,
) -> Result<Seen, String> {
    let began = Instant::now();
    loop {
        let fleet = Fleet::of(client, &far.names, &[None]).await;
        let instances = fleet.instances.iter().map(|(_, instance)| instance);
        let seen = seen(instances, node, order, told);
        if seen == Seen::Taken || began.elapsed() >= limit {
            return match fleet.failures.into_iter().next() {
                Some(why) => Err(why),
                None => Ok(seen),
            };
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn seen<'a>(
    instances: impl Iterator<Item = &'a Instance>,
    node: &str,
    order: &Order,
    told: &str,
) -> Seen {
    let theirs: Vec<_> = instances.filter(|found| machine(found) == node).collect();
    let has_taken = |instance: &Instance| {
        let ours = instance.maintenance_reason.strip_prefix(MAINTENANCE_MARK);
        match order.resume {
            true => ours.is_none(),
            false => ours == Some(told),
        }
    };
    let not: Vec<_> = theirs.iter().filter(|found| !has_taken(found)).collect();
    match (theirs.is_empty(), not.is_empty()) {
        (true, _) => Seen::Nobody,
        (false, true) => Seen::Taken,
        (false, false) => Seen::Not(not.iter().map(|found| found.id.clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use rackcast_consul::client::Health;

    use super::*;
    use crate::registration::MACHINE;

    fn instance(machine: &str, reason: &str) -> Instance {
        Instance {
            id: format!("rackcast-ingest-{machine}-1"),
            service: "rackcast-ingest".to_owned(),
            node: "consul-node".to_owned(),
            address: "10.0.0.7".to_owned(),
            port: 1935,
            tags: Vec::new(),
            meta: [(MACHINE.to_owned(), machine.to_owned())].into(),
            weight_passing: 1,
            datacenter: "dc1".to_owned(),
            health: Health::Passing,
            maintenance: !reason.is_empty(),
            maintenance_reason: reason.to_owned(),
        }
    }

    #[test]
    fn an_order_is_taken_when_every_service_of_the_machine_says_just_that() {
        let drain = order("disk", None, false);
        let told = remote::order(&drain).to_string();
        let ours = format!("rackcast: {told}");
        let see =
            |order: &Order, instances: &[Instance]| seen(instances.iter(), "m2", order, &told);
        assert_eq!(see(&drain, &[]), Seen::Nobody);
        assert_eq!(see(&drain, &[instance("m22", &ours)]), Seen::Nobody);
        assert_eq!(see(&drain, &[instance("m2", &ours)]), Seen::Taken);
        let not = Seen::Not(vec!["rackcast-ingest-m2-1".to_owned()]);
        for reason in ["", "rackcast: draining since yesterday", "disk"] {
            assert_eq!(
                see(&drain, &[instance("m2", &ours), instance("m2", reason)]),
                not
            );
        }
        let resume = order("", None, true);
        assert_eq!(see(&resume, &[instance("m2", "")]), Seen::Taken);
        assert_eq!(see(&resume, &[instance("m2", &ours)]), not);
        assert_eq!(
            see(&resume, &[instance("m2", "an operator's own")]),
            Seen::Taken
        );
    }
}
