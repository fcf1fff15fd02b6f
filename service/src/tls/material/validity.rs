//! From when until when a certificate is valid.

use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::super::provider;

/// webpki says so only of a certificate that is not valid: it is asked at both ends of time.
pub(super) fn validity(
    der: &CertificateDer<'_>,
) -> Result<(SystemTime, SystemTime), webpki::Error> {
    let certificate = EndEntityCert::try_from(der)?;
    let algorithms = provider().signature_verification_algorithms.all;
    let at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = KeyUsage::client_auth();
        let verified = certificate.verify_for_usage(algorithms, &[], &[], time, usage, None, None);
        verified.map(drop)
    };
    let from = match at(0) {
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => not_before,
        _ => UnixTime::since_unix_epoch(Duration::ZERO),
    };
    match at(u64::MAX) {
        Err(webpki::Error::CertExpired { not_after, .. }) => Ok((system(from), system(not_after))),
        Err(other) => Err(other),
        Ok(()) => Ok((system(from), system(UnixTime::since_unix_epoch(FOREVER)))),
    }
}

/// RFC 5280's date for what does not expire, the end of the year 9999.
const FOREVER: Duration = Duration::from_secs(253_402_300_799);

fn system(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()).min(FOREVER)
}
