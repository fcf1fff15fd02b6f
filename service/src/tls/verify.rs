//! Which peers are believed: the chain first, then what the certificate says.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::credentials::Credentials;
use super::identity::Identity;
use super::provider;
use super::refusal::Stranger;
use crate::status::Role;

/// The half of each verifier that all have alike: signatures, by what the provider can check.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = provider().signature_verification_algorithms;
            verify_tls12_signature(message, cert, dss, &algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = provider().signature_verification_algorithms;
            verify_tls13_signature(message, cert, dss, &algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            let algorithms = provider().signature_verification_algorithms;
            algorithms.supported_schemes()
        }
    };
}

/// Members of this fleet who call in a role.
#[derive(Debug)]
pub(super) struct Callers {
    pub(super) credentials: Arc<Credentials>,
    pub(super) role: Role,
}

impl Callers {
    fn judge(&self, found: Identity, own: Option<&Identity>) -> Result<(), Stranger> {
        match own {
            Some(own) if found.domain != own.domain => Err(Stranger::Domain {
                found,
                wanted: own.domain.clone(),
            }),
            _ if found.role != self.role => Err(Stranger::Role {
                found,
                wanted: self.role,
            }),
            _ => Ok(()),
        }
    }
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let material = self.credentials.current();
        let Some(chains) = &material.clients else {
            return Err(Error::General("no authorities are known".to_owned()));
        };
        let verified = chains.verify_client_cert(end_entity, intermediates, now)?;
        let found = Identity::of(end_entity).map_err(Stranger::from)?;
        self.judge(found, material.identity())?;
        Ok(verified)
    }

    signatures!();
}

/// The one member that was called. Where it listens proves nothing, so its address is not looked
/// at.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) credentials: Arc<Credentials>,
    pub(super) wanted: Identity,
}

impl Called {
    fn judge(&self, found: Identity) -> Result<(), Stranger> {
        let wanted = self.wanted.clone();
        if found.domain != wanted.domain {
            let wanted = wanted.domain;
            Err(Stranger::Domain { found, wanted })
        } else if found.role != wanted.role {
            let wanted = wanted.role;
            Err(Stranger::Role { found, wanted })
        } else if found.node != wanted.node {
            Err(Stranger::Node { found, wanted })
        } else if found.tier != wanted.tier {
            Err(Stranger::Tier { found, wanted })
        } else {
            Ok(())
        }
    }
}

impl ServerCertVerifier for Called {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let material = self.credentials.current();
        verify_server_cert_signed_by_trust_anchor(
            &end_entity.try_into()?,
            &material.roots,
            intermediates,
            now,
            provider().signature_verification_algorithms.all,
        )?;
        let found = Identity::of(end_entity).map_err(Stranger::from)?;
        self.judge(found)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

/// A server by its host name, as browsers do it, with authorities that may be replaced.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) credentials: Arc<Credentials>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = Arc::clone(&self.credentials.current().roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    signatures!();
}
