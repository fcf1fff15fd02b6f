//! Orders to a machine's agent to drain or to resume, in KV under [`PREFIX`], one key a machine.
//!
//! An operator writes them from wherever; the agent of that machine follows its own. The last order
//! stands, so that a machine that is down, or an agent that is restarted, finds it. Of this order and
//! those that are given on the machine itself the later one holds. That a key is removed is no order:
//! who may not read it any more sees the same.

use std::time::{Duration, SystemTime};

use rackcast_service::vital;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Entry, Error, Write};
use crate::folder::Folder;

/// Keys of orders begin with this; the machine's name follows.
pub const PREFIX: &str = "rackcast/drain/";
/// How often a write begins anew because somebody else wrote meanwhile.
const TRIES: usize = 10;

/// An order to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who gave it, as `user@machine`.
    pub by: String,
    /// When.
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// How long work that is under way may take.
    #[serde(
        default,
        with = "humantime_serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<Duration>,
    /// To work again, rather than to drain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
}

/// What is known of the order to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing yet: Consul has not answered.
    #[default]
    Unknown,
    /// There is none.
    None,
    /// This one.
    Given(Order),
}

/// Why an order could not be given.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Consul did not take it.
    #[error(transparent)]
    Consul(#[from] Error),
    /// No machine can have this name.
    #[error("{0:?} is no name of a machine: letters, digits, '-', '_' and '.'")]
    Name(String),
    /// Others kept writing.
    #[error("the order to {0} is being changed by others all the time; try again")]
    Contended(String),
}

/// Gives an order to a machine, in the place of one that it may have.
///
/// # Errors
/// Consul does not take it, or no machine can have that name.
pub async fn give(client: &Client, node: &str, order: &Order) -> Result<(), OrderError> {
    let key = key(node)?;
    let json = serde_json::to_vec(order).map_err(|e| Error::Malformed(e.to_string()))?;
    for _ in 0..TRIES {
        let found = client
            .kv_get(&key)
            .await?
            .map_or(0, |entry| entry.modify_index);
        if client
            .kv_put(&key, json.clone(), Write::IfAt(found))
            .await?
        {
            return Ok(());
        }
    }
    Err(OrderError::Contended(node.to_owned()))
}

/// All orders that stand, by machine. What cannot be read is left out.
///
/// # Errors
/// Consul does not answer.
pub async fn list(client: &Client) -> Result<Vec<(String, Order)>, Error> {
    let entries = client.kv_list(PREFIX, 0, Duration::ZERO).await?.value;
    let read = |entry: &Entry| {
        let node = entry.key.strip_prefix(PREFIX)?.to_owned();
        Some((node, serde_json::from_slice(&entry.value).ok()?))
    };
    Ok(entries.iter().filter_map(read).collect())
}

/// Follows the order to one machine until `shutdown`. While Consul is away, what it said last
/// stands.
pub fn follow(
    client: Client,
    node: &str,
    shutdown: CancellationToken,
) -> watch::Receiver<Standing> {
    let (standing, receiver) = watch::channel(Standing::default());
    let Ok(key) = key(node) else {
        log::error!("no order can reach this machine through Consul: its name is {node:?}");
        return receiver;
    };
    let mut folder = Folder::new(client, key.clone());
    let until = shutdown.clone();
    vital::spawn("the watch of orders in Consul", &until, async move {
        let mut known = true;
        while let Some(heard) = shutdown.run_until_cancelled(folder.next()).await {
            match heard {
                Ok(entries) => {
                    known = true;
                    // Names that begin with this one stand in the same answer.
                    let order = entries.iter().find(|entry| entry.key == key);
                    hear(&standing, order);
                }
                Err(error) if known => {
                    known = false;
                    log::warn!(rackcast_reason = error.to_string();
                        "orders from Consul cannot be heard: {error}");
                }
                Err(_) => {}
            }
        }
    });
    receiver
}

fn hear(standing: &watch::Sender<Standing>, order: Option<&Entry>) {
    let heard = match order.map(|entry| serde_json::from_slice::<Order>(&entry.value)) {
        None => Standing::None,
        Some(Ok(order)) => Standing::Given(order),
        Some(Err(error)) => {
            log::error!("an order in Consul cannot be read and is not followed: {error}");
            return;
        }
    };
    standing.send_if_modified(|before| {
        let modified = *before != heard;
        *before = heard;
        modified
    });
}

fn key(node: &str) -> Result<String, OrderError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if node.is_empty() || node.len() > 255 || !node.chars().all(good) {
        return Err(OrderError::Name(node.to_owned()));
    }
    Ok(format!("{PREFIX}{node}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_as_an_operator_would_write_it() {
        let text =
            r#"{"by":"ann@rack-1","at":"2027-01-15T08:00:00Z","reason":"disk","deadline":"5m"}"#;
        let order: Order = serde_json::from_str(text).unwrap();
        assert_eq!(order.deadline, Some(Duration::from_secs(300)));
        assert_eq!(serde_json::to_string(&order).unwrap(), text);
        let least = r#"{"by":"ann","at":"2027-01-15T08:00:00Z"}"#;
        let order = serde_json::from_str::<Order>(least).unwrap();
        assert!(order.deadline.is_none() && !order.resume);
    }

    #[test]
    fn only_names_of_machines_become_keys() {
        assert_eq!(key("rack-1.lan").unwrap(), "rackcast/drain/rack-1.lan");
        for name in ["", "a/b", "../x", "a b", "ü"] {
            assert!(matches!(key(name), Err(OrderError::Name(_))), "{name}");
        }
    }
}
