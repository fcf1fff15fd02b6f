//! What the agent logs of its services: each change once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rackcast_service::status::FetchError;

use crate::board::Judged;

/// Remembers what was said, so that only changes are said.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    judgements: BTreeMap<String, String>,
    clashes: BTreeSet<PathBuf>,
    strangers: BTreeSet<PathBuf>,
    failures: BTreeMap<PathBuf, String>,
}

impl Journal {
    /// A service is judged so.
    pub(crate) fn judged(&mut self, id: &str, service: &Judged<'_>) {
        let verdict = &service.verdict;
        let draining = if service.status.draining {
            ", draining"
        } else {
            ""
        };
        let text = format!("{}{draining}: {}", verdict.state, verdict.reason);
        if self.judgements.get(id) != Some(&text) {
            log::info!(
                rackcast_node = service.status.node,
                rackcast_reason = verdict.reason;
                "{id} is {text}"
            );
            self.judgements.insert(id.to_owned(), text);
        }
    }

    /// Services other than those of `keep` are gone.
    pub(crate) fn keep(&mut self, keep: impl Fn(&str) -> bool) {
        self.judgements.retain(|id, _| {
            let kept = keep(id);
            if !kept {
                log::info!("{id} is gone: deregistered");
            }
            kept
        });
    }

    /// A socket was asked, and this went wrong.
    pub(crate) fn answered(&mut self, socket: &Path, error: Option<&FetchError>) {
        match error {
            Some(error @ FetchError::Stranger { .. }) => {
                if self.strangers.insert(socket.to_owned()) {
                    log::error!(
                        "{}: {error}: not registered. If it is the service, name its user in \
                         [check.users], or the socket in a [[service]]",
                        socket.display()
                    );
                }
                return;
            }
            Some(error) if !error.is_absent() => {
                let text = error.to_string();
                if self.failures.get(socket) != Some(&text) {
                    log::warn!("{}: {text}", socket.display());
                    self.failures.insert(socket.to_owned(), text);
                }
            }
            _ => {
                self.failures.remove(socket);
            }
        }
        self.strangers.remove(socket);
    }

    /// A second service claims an ID.
    pub(crate) fn clash(&mut self, socket: &Path, id: &str) {
        if self.clashes.insert(socket.to_owned()) {
            log::error!(
                "{} says that it is {id}, which another is: give one of them another `instance`",
                socket.display()
            );
        }
    }
}
