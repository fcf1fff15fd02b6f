//! PEM files, read whole and bounded.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::FileError;
use crate::config::credential;

/// The longest file, in bytes: a bundle of hundreds of authorities takes a tenth of it.
const MAX_FILE: u64 = 4 << 20;

/// The certificates in a file, one at least.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(path)?;
    let content = |what: String| FileError::Content {
        path: credential(path),
        what,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|e| content(format!("is no PEM: {e}")))?;
    match all.is_empty() {
        true => Err(content("holds no certificate in PEM".to_owned())),
        false => Ok(all),
    }
}

/// A file's bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let path = credential(path);
    let read = || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path)?;
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| FileError::Read {
        path: path.clone(),
        source,
    })
}

/// A key that others on the machine can read is everybody's.
pub(super) fn warn_if_open(key: &Path) {
    let path = credential(key);
    let open = std::fs::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o007 != 0);
    if open {
        log::warn!(
            "{} can be read by every user of this machine: chmod o= {0}",
            path.display()
        );
    }
}
