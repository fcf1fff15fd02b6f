//! The calling side of handshakes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustls::ClientConfig as RustlsConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::credentials::Credentials;
use super::identity::Identity;
use super::metrics::Metrics;
use super::provider;
use super::quiet::Quiet;
use super::refusal::{Reason, Refusal};
use super::stream::{H2, Stream};
use super::verify::{Called, Named};

/// What is read ahead at the end of a handshake, in bytes. Larger reads go past the buffer.
const AHEAD: usize = 1024;

/// Calls peers and holds them to who they should be.
///
/// It bounds no handshake in time: whoever calls has a limit for connecting as a whole.
pub struct Dialler {
    /// What metrics and the log call it.
    name: &'static str,
    credentials: Arc<Credentials>,
    metrics: Metrics,
    quiet: Mutex<Quiet>,
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialler").field(&self.name).finish()
    }
}

impl Dialler {
    /// One that uses these certificates.
    pub fn new(name: &'static str, credentials: Arc<Credentials>, metrics: Metrics) -> Self {
        Self {
            name,
            credentials,
            metrics,
            quiet: Mutex::default(),
        }
    }

    /// Its certificates.
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// The handshake with a member of this fleet, over TLS 1.3, for HTTP/2. It succeeds when the
    /// peer has shown to be `wanted` **and** has begun to speak, which it does only after it has
    /// accepted this side's certificate: in TLS 1.3 this side's handshake is over before that.
    ///
    /// # Errors
    /// Why the peer was refused, or refused us; it was counted and, within limits, logged.
    pub async fn call_member(
        &self,
        socket: TcpStream,
        wanted: &Identity,
    ) -> Result<Stream, Refusal> {
        let verifier = Called {
            credentials: Arc::clone(&self.credentials),
            wanted: wanted.clone(),
        };
        let peer = socket.peer_addr();
        let handshake = async {
            let mut tls = self.config(&[&TLS13], Arc::new(verifier))?;
            tls.alpn_protocols = vec![H2.to_vec()];
            tls.enable_sni = false;
            let name = peer.as_ref().map_or_else(|_| unnamed(), |at| at.ip());
            let connector = TlsConnector::from(Arc::new(tls));
            let tls = connector.connect(ServerName::from(name), socket).await?;
            let mut stream = BufReader::with_capacity(AHEAD, tls);
            if stream.fill_buf().await?.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Stream::Client(Box::new(stream)))
        };
        self.metrics.began(self.name);
        let mut open = Open::new(self);
        let result = handshake.await.map_err(|e| Refusal::from_io(&e)).and_then(
            |stream: Stream| match stream.is_h2() {
                true => Ok(stream),
                false => Err(Refusal::new(
                    Reason::Incompatible,
                    "it does not speak HTTP/2",
                )),
            },
        );
        open.refused = result.as_ref().err().map(|refusal| refusal.reason);
        if let Err(refusal) = &result {
            self.tell(&peer, wanted, refusal);
        }
        result
    }

    /// The handshake with a server by its name, over TLS 1.2 or 1.3.
    ///
    /// # Errors
    /// Why the peer was refused, or refused us; it was counted.
    pub async fn call_server(
        &self,
        socket: TcpStream,
        name: ServerName<'static>,
    ) -> Result<Stream, Refusal> {
        let verifier = Named {
            credentials: Arc::clone(&self.credentials),
        };
        let handshake = async {
            let tls = self.config(&[&TLS13, &TLS12], Arc::new(verifier))?;
            let connector = TlsConnector::from(Arc::new(tls));
            let tls = connector.connect(name, socket).await?;
            Ok(Stream::Client(Box::new(BufReader::with_capacity(
                AHEAD, tls,
            ))))
        };
        self.metrics.began(self.name);
        let mut open = Open::new(self);
        let result = handshake.await.map_err(|e: io::Error| Refusal::from_io(&e));
        open.refused = result.as_ref().err().map(|refusal| refusal.reason);
        result
    }

    /// No session is resumed: every connection proves anew who is there.
    fn config(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> io::Result<RustlsConfig> {
        let credentials: Arc<Credentials> = Arc::clone(&self.credentials);
        let mut tls = RustlsConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(credentials);
        tls.resumption = Resumption::disabled();
        Ok(tls)
    }

    fn tell(&self, peer: &io::Result<SocketAddr>, wanted: &Identity, refusal: &Refusal) {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(swallowed) = quiet.admit(Instant::now()) else {
            return;
        };
        drop(quiet);
        let more = match swallowed {
            0 => String::new(),
            n => format!("; {n} more were only counted"),
        };
        let peer = peer
            .as_ref()
            .map_or_else(ToString::to_string, ToString::to_string);
        log::warn!(
            rackcast_peer = peer, rackcast_node = wanted.node, rackcast_reason = refusal.reason.as_str();
            "no TLS connection to {wanted} ({}): {refusal}{more}", self.name
        );
    }
}

/// A handshake that is counted however it ends.
struct Open<'a> {
    dialler: &'a Dialler,
    refused: Option<Reason>,
}

impl<'a> Open<'a> {
    /// Until it says otherwise, it was dropped: the time to connect is over.
    fn new(dialler: &'a Dialler) -> Self {
        Self {
            dialler,
            refused: Some(Reason::Timeout),
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Dialler { name, metrics, .. } = self.dialler;
        metrics.ended(name, self.refused);
    }
}

fn unnamed() -> std::net::IpAddr {
    std::net::Ipv4Addr::UNSPECIFIED.into()
}
