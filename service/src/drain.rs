//! What an operator wants of this machine: to work, or to take nothing new.
//!
//! The machine's agent keeps the last [`Order`] and lays it beside the status sockets, in a file
//! named [`FILE`]. A service [`follow`]s that file. It is a level and not a message: a service that
//! starts learns it before it takes any work, one that missed a change has the next look, and all
//! of them go on holding to it while the agent is away.
//!
//! While the order is to drain, a service refuses what is new, finishes what it has, and says in
//! its status that it drains ([`shown`]). What happens at the order's deadline is the service's
//! own affair: see [`overdue`].

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::status::ServiceStatus;
use crate::vital;

/// The file's name, beside the status sockets.
pub const FILE: &str = "drain.json";
/// How often a service looks at it.
const LOOK: Duration = Duration::from_millis(100);
/// The longest file that is read, in bytes; a reason has [`MAX_TEXT`].
const MAX_FILE: u64 = 16 * 1024;
/// The most bytes of a reason, and of a name: both go into Consul's check output.
pub const MAX_TEXT: usize = 512;

/// The last word about a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Order {
    /// Who gave it, for people; empty if nobody ever did.
    pub by: String,
    /// When, in milliseconds since the Unix epoch. Of two orders the later one holds.
    pub at_ms: u64,
    /// To take nothing new, on these terms; `None`: to work.
    pub drain: Option<Terms>,
}

/// How to drain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// Why, for people; may be empty.
    pub reason: String,
    /// When patience with what is still there ends, in milliseconds since the Unix epoch.
    pub deadline_ms: Option<u64>,
}

impl Order {
    /// An order of now, its texts cut to [`MAX_TEXT`] and to one line.
    pub fn new(by: &str, drain: Option<Terms>, now: SystemTime) -> Self {
        Self {
            by: one_line(by),
            at_ms: unix_ms(now),
            drain: drain.map(|terms| Terms {
                reason: one_line(&terms.reason),
                ..terms
            }),
        }
    }

    /// Nothing new is to be taken.
    pub fn is_drain(&self) -> bool {
        self.drain.is_some()
    }

    /// When patience ends, if it does.
    pub fn deadline(&self) -> Option<SystemTime> {
        let ms = self.drain.as_ref()?.deadline_ms?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms))
    }

    /// Patience has ended.
    pub fn is_overdue(&self, now: SystemTime) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

/// Who drains the machine, since when, why and until when; stays the same while the order does.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ms| {
            let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
            at.map_or_else(String::new, |at| {
                humantime::format_rfc3339_seconds(at).to_string()
            })
        };
        let by = if self.by.is_empty() {
            "nobody"
        } else {
            &self.by
        };
        let Some(terms) = &self.drain else {
            return write!(f, "at work since {} by {by}", time(self.at_ms));
        };
        write!(f, "draining since {} by {by}", time(self.at_ms))?;
        if let Some(deadline) = terms.deadline_ms {
            write!(f, ", until {}", time(deadline))?;
        }
        match terms.reason.as_str() {
            "" => Ok(()),
            reason => write!(f, ": {reason}"),
        }
    }
}

/// Where the order lies for the service with this status socket.
pub fn file_beside(status_socket: &Path) -> PathBuf {
    status_socket.with_file_name(FILE)
}

/// Reads an order; without a file nobody has given one.
///
/// # Errors
/// The file cannot be read or is no order.
pub fn read(file: &Path) -> io::Result<Order> {
    let length = match fs::metadata(file) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Order::default()),
        Err(error) => return Err(error),
    };
    if length > MAX_FILE {
        return Err(io::Error::other(format!(
            "{length} bytes are no order; at most {MAX_FILE} are"
        )));
    }
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

/// Replaces the order in a file, whole or not at all, readable by everyone.
///
/// # Errors
/// The folder cannot be written to.
pub fn write(file: &Path, order: &Order) -> io::Result<()> {
    let draft = file.with_extension("json.new");
    let mut out = fs::File::create(&draft)?;
    out.write_all(&serde_json::to_vec_pretty(order)?)?;
    out.write_all(b"\n")?;
    out.sync_all()?;
    fs::rename(&draft, file)
}

/// Follows the order in a file until `shutdown`. The receiver holds what stands there now. A file
/// that cannot be read changes nothing, and is complained of once.
///
/// A look is one small read of a memory file system, ten times a second.
pub fn follow(file: PathBuf, shutdown: CancellationToken) -> watch::Receiver<Order> {
    let mut complained = false;
    let mut look = move || match read(&file) {
        Ok(order) => {
            complained = false;
            Some(order)
        }
        Err(error) => {
            if !std::mem::replace(&mut complained, true) {
                log::warn!("{}: what it held before goes on: {error}", file.display());
            }
            None
        }
    };
    let (orders, receiver) = watch::channel(look().unwrap_or_default());
    told(&receiver.borrow());
    let until = shutdown.clone();
    vital::spawn("the look at orders to drain", &until, async move {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(now) = look() else { continue };
            orders.send_if_modified(|order| {
                let changed = *order != now;
                if changed {
                    told(&now);
                    *order = now;
                }
                changed
            });
        }
    });
    receiver
}

/// Waits until patience with what is left has ended; for ever while there is no deadline.
pub async fn overdue(orders: &mut watch::Receiver<Order>) {
    loop {
        let deadline = orders.borrow_and_update().deadline();
        let left = deadline.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
        match left {
            Some(Duration::ZERO) => return,
            Some(left) => tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = changed(orders) => {}
            },
            None => changed(orders).await,
        }
    }
}

/// The status of a service that holds to an order: not ready and draining while it is to drain.
pub fn shown(
    mut status: watch::Receiver<ServiceStatus>,
    mut orders: watch::Receiver<Order>,
) -> watch::Receiver<ServiceStatus> {
    let show = |status: &ServiceStatus, order: &Order| {
        let mut status = status.clone();
        if order.is_drain() {
            status.draining = true;
        }
        status.ready &= !status.draining;
        status
    };
    let (shown, receiver) = watch::channel(show(&status.borrow(), &orders.borrow()));
    let over = CancellationToken::new();
    vital::spawn("the status under an order", &over.clone(), async move {
        loop {
            tokio::select! {
                alive = status.changed() => if alive.is_err() { break },
                () = changed(&mut orders) => {}
                () = shown.closed() => break,
            }
            let now = show(&status.borrow_and_update(), &orders.borrow_and_update());
            shown.send_replace(now);
        }
        over.cancel();
    });
    receiver
}

/// An order that nobody gives any more changes no more.
async fn changed(orders: &mut watch::Receiver<Order>) {
    if orders.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn told(order: &Order) {
    if order.is_drain() {
        log::warn!(rackcast_reason = "drain"; "this machine is {order}");
    } else if order.at_ms > 0 {
        log::info!(rackcast_reason = "resume"; "this machine is {order}");
    }
}

/// Milliseconds since the Unix epoch; 0 before it.
pub fn unix_ms(at: SystemTime) -> u64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Without line breaks and other control characters, and no longer than [`MAX_TEXT`].
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_control() || c == ' ') {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let end = (0..=MAX_TEXT.min(line.len()))
        .rev()
        .find(|at| line.is_char_boundary(*at));
    line.truncate(end.unwrap_or(0));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Health, Role};

    fn drain(deadline_ms: Option<u64>) -> Order {
        Order {
            by: "alice".to_owned(),
            at_ms: 1_000_000_000_000,
            drain: Some(Terms {
                reason: "new disks".to_owned(),
                deadline_ms,
            }),
        }
    }

    #[test]
    fn an_order_is_told_in_one_line() {
        assert_eq!(
            drain(Some(1_000_000_060_000)).to_string(),
            "draining since 2001-09-09T01:46:40Z by alice, until 2001-09-09T01:47:40Z: new disks"
        );
        let long = Order::new(&"é".repeat(2_000), None, SystemTime::now());
        assert_eq!(long.by.len(), MAX_TEXT);
        let terms = Terms {
            reason: " two\nlines\t and\u{7} more ".to_owned(),
            deadline_ms: None,
        };
        let order = Order::new("a", Some(terms), SystemTime::now());
        assert_eq!(order.drain.unwrap().reason, "two lines and more");
    }

    #[tokio::test]
    async fn a_service_learns_the_order_at_once_and_keeps_it_over_nonsense() {
        let folder = tempfile::tempdir().unwrap();
        let file = file_beside(&folder.path().join("x.sock"));
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let mut orders = follow(file.clone(), stop.clone());
        assert_eq!(*orders.borrow(), Order::default());
        write(&file, &drain(None)).unwrap();
        let told = orders.wait_for(Order::is_drain);
        let told = tokio::time::timeout(Duration::from_secs(10), told).await;
        assert_eq!(told.unwrap().unwrap().by, "alice");
        assert!(follow(file.clone(), stop).borrow().is_drain(), "at once");

        fs::write(&file, "{").unwrap();
        assert!(read(&file).is_err());
        tokio::time::sleep(3 * LOOK).await;
        assert!(orders.borrow().is_drain());
        write(&file, &Order::new("bob", None, SystemTime::now())).unwrap();
        let resumed = orders.wait_for(|order| !order.is_drain());
        let resumed = tokio::time::timeout(Duration::from_secs(10), resumed).await;
        assert_eq!(resumed.unwrap().unwrap().by, "bob");
    }

    #[tokio::test]
    async fn patience_ends_at_the_deadline_of_the_order_that_holds() {
        let soon = |ms| unix_ms(SystemTime::now()) + ms;
        let (give, mut orders) = watch::channel(drain(None));
        let waiting = tokio::spawn(async move {
            overdue(&mut orders).await;
            SystemTime::now()
        });
        give.send_replace(drain(Some(soon(3_600_000))));
        tokio::task::yield_now().await;
        let deadline = soon(50);
        give.send_replace(drain(Some(deadline)));
        let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(unix_ms(ended.unwrap().unwrap()) >= deadline);
    }

    #[tokio::test]
    async fn a_status_shows_the_order() {
        let own = ServiceStatus {
            ready: true,
            ..ServiceStatus::new(Role::Ingest, "n", "1", "0")
        };
        let (say, status) = watch::channel(own);
        let (give, orders) = watch::channel(Order::default());
        let mut shown = shown(status, orders);
        let now = |s: &ServiceStatus| (s.ready, s.draining);
        assert_eq!(now(&shown.borrow()), (true, false));
        give.send_replace(drain(None));
        shown.wait_for(|s| s.draining).await.unwrap();
        say.send_modify(|s| s.health = Health::passing("still here"));
        let after = shown.wait_for(|s| s.health.summary == "still here").await;
        assert_eq!(now(&after.unwrap()), (false, true));
        give.send_replace(Order::default());
        shown.wait_for(|s| s.ready && !s.draining).await.unwrap();
    }
}
