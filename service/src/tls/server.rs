//! The answering side of handshakes.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig as RustlsConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::config::ServerConfig;
use super::credentials::Credentials;
use super::metrics::Metrics;
use super::provider;
use super::quiet::Quiet;
use super::refusal::{Reason, Refusal};
use super::stream::{H2, HTTP_1_1, Stream};
use super::verify::Callers;
use crate::status::Role;

/// Lets peers in after a handshake.
///
/// Handshakes cost processor time before anybody is known, so they are bounded in number, and in
/// time together with the wait for their turn.
pub struct Door {
    /// What metrics and the log call it.
    name: &'static str,
    acceptor: TlsAcceptor,
    limit: Duration,
    turns: Semaphore,
    metrics: Metrics,
    quiet: Mutex<Quiet>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Door").field(&self.name).finish()
    }
}

/// What is spoken behind a public door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 or HTTP/1.1.
    Http,
    /// RTMP, which has no name in handshakes.
    Rtmp,
}

impl Door {
    /// A door for members of this fleet in a role: TLS 1.3, and no session is resumed, so that
    /// every connection proves anew who calls.
    ///
    /// # Errors
    /// The cryptography does not offer what is needed: a defect.
    pub fn for_members(
        name: &'static str,
        credentials: Arc<Credentials>,
        role: Role,
        config: &ServerConfig,
        metrics: Metrics,
    ) -> Result<Self, rustls::Error> {
        let callers = Callers {
            credentials: Arc::clone(&credentials),
            role,
        };
        let mut tls = RustlsConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(callers))
            .with_cert_resolver(credentials);
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        Ok(Self::new(name, tls, config, metrics))
    }

    /// A door for anybody: TLS 1.2 or 1.3, and no certificate is asked for.
    ///
    /// # Errors
    /// The cryptography does not offer what is needed: a defect.
    pub fn public(
        name: &'static str,
        credentials: Arc<Credentials>,
        protocol: Protocol,
        config: &ServerConfig,
        metrics: Metrics,
    ) -> Result<Self, rustls::Error> {
        let mut tls = RustlsConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(credentials);
        if protocol == Protocol::Http {
            tls.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        }
        Ok(Self::new(name, tls, config, metrics))
    }

    fn new(name: &'static str, tls: RustlsConfig, config: &ServerConfig, metrics: Metrics) -> Self {
        Self {
            name,
            acceptor: TlsAcceptor::from(Arc::new(tls)),
            limit: config.handshake_timeout,
            turns: Semaphore::new(config.max_handshakes),
            metrics,
            quiet: Mutex::default(),
        }
    }

    /// The handshake with a peer that has connected. Dropping the future ends it.
    ///
    /// # Errors
    /// Why the peer was refused; it was counted and, within limits, logged.
    pub async fn accept(&self, socket: TcpStream, peer: SocketAddr) -> Result<Stream, Refusal> {
        self.metrics.began(self.name);
        let mut open = Open {
            door: self,
            refused: Some(Reason::Closed),
        };
        let shaken = timeout(self.limit, async {
            // Never closed.
            let _turn = self.turns.acquire().await;
            self.acceptor.accept(socket).await
        });
        let refusal = match shaken.await {
            Ok(Ok(tls)) => {
                open.refused = None;
                let stream = Stream::Server(Box::new(tls));
                log::debug!(
                    rackcast_peer = peer.to_string();
                    "{} is let in ({})",
                    stream.peer().map_or_else(|| "somebody".to_owned(), |i| i.to_string()),
                    self.name
                );
                return Ok(stream);
            }
            Ok(Err(e)) => Refusal::from_io(&e),
            Err(_) => Refusal::new(Reason::Timeout, "the handshake took too long"),
        };
        open.refused = Some(refusal.reason);
        self.tell(peer, &refusal);
        Err(refusal)
    }

    fn tell(&self, peer: SocketAddr, refusal: &Refusal) {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(swallowed) = quiet.admit(Instant::now()) else {
            return;
        };
        drop(quiet);
        let more = match swallowed {
            0 => String::new(),
            n => format!("; {n} more were only counted"),
        };
        log::warn!(
            rackcast_peer = peer.to_string(), rackcast_reason = refusal.reason.as_str();
            "a peer was refused ({}): {refusal}{more}", self.name
        );
    }
}

/// A handshake that is counted however it ends.
struct Open<'a> {
    door: &'a Door,
    refused: Option<Reason>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.door.metrics.ended(self.door.name, self.refused);
    }
}
