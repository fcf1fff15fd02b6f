//! The settings that were in force last, kept on disk: a daemon that starts while Consul is away
//! begins with them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::layer::Values;
use super::list::find;

/// The file's name in the state directory.
const FILE: &str = "settings.json";
/// The longest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// The last settings; none if the directory holds no file. What is no longer a setting, or no
/// longer a value of one, is left out.
///
/// # Errors
/// The file is there and cannot be read. It is a cache: go on without it.
pub fn load(dir: &Path) -> io::Result<Values> {
    let file = match File::open(dir.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Values::new()),
        Err(error) => return Err(error),
    };
    let mut json = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut json)?;
    let saved: std::collections::BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&json)?;
    let good = saved.into_iter().filter_map(|(name, value)| {
        let setting = find(&name)?;
        setting.kind.check(&value).ok()?;
        Some((setting.name, value))
    });
    Ok(good.collect())
}

/// Replaces the file as a whole: a reader finds the old one or the new one.
///
/// # Errors
/// The directory cannot be written to.
pub fn store(dir: &Path, values: &Values) -> io::Result<()> {
    let path = dir.join(FILE);
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        fs::create_dir_all(dir)?;
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(values)?)?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // Whatever is left of it is of no use.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_stored_is_loaded_and_what_is_no_setting_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), Values::new());
        let values = Values::from([("ingest.stream.ladder", json!("720p@2800k"))]);
        store(dir.path(), &values).unwrap();
        assert_eq!(load(dir.path()).unwrap(), values);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let other = r#"{"ingest.stream.ladder":"x","ingest.gone":1,"ingest.log_level":"debug"}"#;
        fs::write(dir.path().join(FILE), other).unwrap();
        let good = Values::from([("ingest.log_level", json!("debug"))]);
        assert_eq!(load(dir.path()).unwrap(), good);
        fs::write(dir.path().join(FILE), "rubbish").unwrap();
        assert!(load(dir.path()).is_err());
    }
}
