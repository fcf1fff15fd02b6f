//! Authorities and certificates, good and bad.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rackcast_service::status::Role;
use rackcast_service::tls::{ClientConfig, Identity, ServerConfig, Tier};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use tempfile::TempDir;

/// The fleet that the tests' members belong to.
pub const DOMAIN: &str = "fleet.example";
const HOUR: Duration = Duration::from_secs(3600);

/// Who gives out certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// What is to stand in a certificate.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Subject alternative names: URIs, host names, addresses.
    pub names: Vec<String>,
    /// From when.
    pub from: SystemTime,
    /// Until when.
    pub until: SystemTime,
}

impl Wish {
    /// For these names, now.
    pub fn of(names: &[&str]) -> Self {
        let now = SystemTime::now();
        Self {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            from: now - 2 * HOUR,
            until: now + 24 * HOUR,
        }
    }

    /// The same, an hour after it has expired.
    pub fn expired(self) -> Self {
        Self {
            until: SystemTime::now() - HOUR,
            ..self
        }
    }
}

/// A member of the tests' fleet.
pub fn member(role: Role, node: &str) -> Identity {
    Identity {
        domain: DOMAIN.to_owned(),
        role,
        tier: Tier::Trusted,
        node: node.to_owned(),
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// Certificates cannot be made.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn issue(&self, wish: &Wish) -> Leaf {
        let mut params = CertificateParams::default();
        params.not_before = wish.from.into();
        params.not_after = wish.until.into();
        let name = |name: &String| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if name.contains("://") => SanType::URI(name.as_str().try_into().unwrap()),
            Err(_) => SanType::DnsName(name.as_str().try_into().unwrap()),
        };
        params.subject_alt_names = wish.names.iter().map(name).collect();
        let key = KeyPair::generate().unwrap();
        Leaf {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A member's certificate.
    pub fn member(&self, identity: &Identity) -> Leaf {
        self.issue(&Wish::of(&[&identity.to_string()]))
    }
}

/// Certificates on disk, as a daemon's configuration names them.
#[derive(Debug)]
pub struct Files {
    dir: TempDir,
}

impl Files {
    /// Writes them; without authorities if that text is empty.
    ///
    /// # Panics
    /// They cannot be written.
    pub fn new(leaf: &Leaf, authorities: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let this = Self { dir };
        this.replace(leaf);
        if !authorities.is_empty() {
            std::fs::write(this.authorities(), authorities).unwrap();
        }
        this
    }

    /// Puts others in their place.
    ///
    /// # Panics
    /// They cannot be written.
    pub fn replace(&self, leaf: &Leaf) {
        put(&self.certificate(), &leaf.certificate);
        put(&self.key(), &leaf.key);
    }

    /// Where the certificate lies.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("own.crt")
    }

    /// Where its key lies.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("own.key")
    }

    /// Where the authorities lie.
    pub fn authorities(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// The lines of a daemon's table.
    pub fn toml(&self) -> String {
        let mut lines = format!(
            "certificate = {:?}\nkey = {:?}\nreload_interval = \"100ms\"\n",
            self.certificate(),
            self.key()
        );
        if self.authorities().exists() {
            lines += &format!("authorities = {:?}\n", self.authorities());
        }
        lines
    }

    /// The same as a caller's configuration.
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            certificate: Some(self.certificate()),
            key: Some(self.key()),
            authorities: Some(self.authorities()),
            ..ClientConfig::default()
        }
    }

    /// The same as a server's configuration.
    pub fn server(&self) -> ServerConfig {
        ServerConfig {
            certificate: Some(self.certificate()),
            key: Some(self.key()),
            authorities: Some(self.authorities()),
            ..ServerConfig::default()
        }
    }
}

/// Replaces a file as a whole, and keeps the key to its owner.
///
/// # Panics
/// It cannot be written.
pub fn put(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&beside, path).unwrap();
}
