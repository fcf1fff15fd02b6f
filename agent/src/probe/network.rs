//! Links that were up and are down.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Finding, Network, sum};
use crate::inventory::interfaces;

/// The interfaces that must be up.
pub(super) struct Watched {
    root: PathBuf,
    /// By configuration, not by experience.
    named: bool,
    names: BTreeSet<String>,
}

impl Watched {
    pub(super) fn new(config: &Network, root: PathBuf) -> Self {
        Self {
            root,
            named: !config.interfaces.is_empty(),
            names: config.interfaces.iter().cloned().collect(),
        }
    }

    pub(super) fn look(&mut self) -> Finding {
        let there = interfaces(&self.root);
        if !self.named {
            let up = there.iter().filter(|i| i.physical && i.up == Some(true));
            self.names.extend(up.map(|i| i.name.clone()));
        }
        let findings: Vec<_> = self
            .names
            .iter()
            .map(|name| match there.iter().find(|i| i.name == *name) {
                None => Finding::warning(format!("{name} is gone")),
                Some(interface) if interface.up == Some(false) => {
                    Finding::warning(format!("{name} is down"))
                }
                Some(_) => Finding::well(""),
            })
            .collect();
        sum(&findings).unwrap_or_else(|| Finding::well("the links are up"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_card_that_was_up_must_stay_up() {
        let root = tempfile::tempdir().unwrap();
        let state = |name: &str, state: &str| {
            let folder = root.path().join("sys/class/net").join(name);
            fs::create_dir_all(folder.join("device")).unwrap();
            fs::write(folder.join("operstate"), state).unwrap();
        };
        state("eno1", "up\n");
        state("eno2", "down\n");
        let mut watched = Watched::new(&Network::default(), root.path().to_owned());
        let well = Finding::well("the links are up");
        assert_eq!(watched.look(), well, "one that was never up is nobody's");
        state("eno1", "down\n");
        assert_eq!(watched.look(), Finding::warning("eno1 is down"));
        state("eno2", "up\n");
        fs::remove_dir_all(root.path().join("sys/class/net/eno1")).unwrap();
        assert_eq!(watched.look(), Finding::warning("eno1 is gone"));
        state("eno1", "up\n");
        assert_eq!(watched.look(), well);

        let named = Network {
            interfaces: vec!["eno3".to_owned()],
            ..Network::default()
        };
        let mut watched = Watched::new(&named, root.path().to_owned());
        assert_eq!(watched.look(), Finding::warning("eno3 is gone"));
    }
}
