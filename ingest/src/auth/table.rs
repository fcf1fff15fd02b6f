//! Keys from the configuration.

use std::path::Path;

use rackcast_segment::id::{AppName, StreamName};
use rackcast_segment::ladder::Ladder;
use rackcast_service::config::credential;

use super::{AuthError, AuthRequest, Denied, Entry, Grant, Key};
use crate::glob::glob;

#[derive(Debug)]
pub(super) struct Table(Vec<Row>);

#[derive(Debug)]
struct Row {
    app: AppName,
    pattern: String,
    key: Key,
    ladder: Option<Ladder>,
}

impl Table {
    pub(super) fn new(entries: &[Entry]) -> Result<Self, AuthError> {
        entries
            .iter()
            .map(|entry| {
                let key = match (&entry.key, &entry.key_file) {
                    (Some(key), _) => key.clone(),
                    (None, Some(file)) => read_key(file)?,
                    (None, None) => return Err(AuthError::Config("a stream without key".into())),
                };
                Ok(Row {
                    app: entry.app.clone(),
                    pattern: entry.stream.clone(),
                    key,
                    ladder: entry.ladder.clone(),
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn authorise(&self, request: &AuthRequest<'_>) -> Result<Grant, Denied> {
        let granted = match request.key() {
            Some(key) => {
                let name: StreamName = request.path().parse()?;
                self.find(request.app, &key, |row| glob(&row.pattern, name.as_str()))
                    .map(|row| (name, row))
            }
            None => {
                let key = Key::new(request.path());
                self.find(request.app, &key, |row| !row.pattern.contains('*'))
                    .and_then(|row| Some((row.pattern.parse().ok()?, row)))
            }
        };
        let (name, row) = granted.ok_or_else(|| {
            Denied::Refused("no such stream key; publish NAME?key=KEY or the key alone".to_owned())
        })?;
        Ok(Grant {
            name,
            ladder: row.ladder.clone(),
        })
    }

    /// Looks at every row, so that the time taken does not tell which one matched.
    fn find(&self, app: &AppName, key: &Key, fits: impl Fn(&Row) -> bool) -> Option<&Row> {
        self.0.iter().fold(None, |found, row| {
            let hit = row.key.matches(key) && row.app == *app && fits(row);
            found.or(hit.then_some(row))
        })
    }
}

fn read_key(file: &Path) -> Result<Key, AuthError> {
    let path = credential(file);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim_end().is_empty() => Err(AuthError::EmptyKey(path)),
        Ok(text) => Ok(Key::new(text.trim_end())),
        Err(error) => Err(AuthError::KeyFile { path, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_holds_a_key() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("show"), "s3cret\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let read = |name: &str| read_key(&folder.path().join(name));
        assert!(read("show").unwrap().matches(&Key::new("s3cret")));
        assert!(matches!(read("empty"), Err(AuthError::EmptyKey(_))));
        assert!(matches!(read("none"), Err(AuthError::KeyFile { .. })));
    }
}
