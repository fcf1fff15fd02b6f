//! The listening sockets: bound once, handed to every generation.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rackcast_service::process::{Command, InheritError, inherited};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Listen;

/// Connections that may wait while a generation is replaced.
const BACKLOG: i32 = 1024;

/// The listening sockets.
#[derive(Debug)]
pub struct Listeners {
    /// RTMP publishers.
    pub rtmp: TcpListener,
    /// HLS players.
    pub http: TcpListener,
    /// Publishers over TLS.
    pub rtmps: Option<TcpListener>,
    /// Players over TLS.
    pub https: Option<TcpListener>,
    /// Prometheus, Consul's health check.
    pub admin: TcpListener,
}

/// A listener cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("listen.{key}: cannot bind {address}: {source}")]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl Listeners {
    /// Binds all that are asked for, or none.
    ///
    /// # Errors
    /// The address that could not be bound, and why.
    pub fn bind(listen: &Listen) -> Result<Self, BindError> {
        let bind = |key, address| {
            bind(address).map_err(|source| BindError {
                key,
                address,
                source,
            })
        };
        Ok(Self {
            rtmp: bind("rtmp", listen.rtmp)?,
            http: bind("http", listen.http)?,
            rtmps: listen.rtmps.map(|at| bind("rtmps", at)).transpose()?,
            https: listen.https.map(|at| bind("https", at)).transpose()?,
            admin: bind("admin", listen.admin)?,
        })
    }

    /// Takes what was handed over: by the supervisor to a generation, or by an earlier program of
    /// this process.
    ///
    /// # Errors
    /// Nothing was handed over.
    pub fn inherit() -> Result<Self, InheritError> {
        Ok(Self {
            rtmp: inherited("rtmp")?.into(),
            http: inherited("http")?.into(),
            rtmps: optional("rtmps")?,
            https: optional("https")?,
            admin: inherited("admin")?.into(),
        })
    }

    /// In the supervisor: gives a generation its own copies.
    ///
    /// # Errors
    /// The system has no file descriptor left.
    pub fn give(&self, command: Command) -> io::Result<Command> {
        let fds = self.fds()?.into_iter();
        Ok(fds.fold(command, |command, (name, fd)| command.fd(&name, fd)))
    }

    /// Copies, by the names under which [`inherit`](Self::inherit) takes them.
    ///
    /// # Errors
    /// The system has no file descriptor left.
    pub fn fds(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        self.all()
            .map(|(name, listener)| Ok((name.to_owned(), listener.try_clone()?.into())))
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &TcpListener)> {
        let always = [
            ("rtmp", Some(&self.rtmp)),
            ("http", Some(&self.http)),
            ("admin", Some(&self.admin)),
        ];
        let asked = [
            ("rtmps", self.rtmps.as_ref()),
            ("https", self.https.as_ref()),
        ];
        let all = always.into_iter().chain(asked);
        all.filter_map(|(name, listener)| Some((name, listener?)))
    }

    /// The addresses that were really bound, by purpose.
    ///
    /// # Errors
    /// The system cannot say.
    pub fn endpoints(&self) -> io::Result<Vec<(&'static str, SocketAddr)>> {
        self.all()
            .map(|(name, listener)| Ok((name, listener.local_addr()?)))
            .collect()
    }
}

/// A listener that the supervisor need not have.
fn optional(name: &str) -> Result<Option<TcpListener>, InheritError> {
    match inherited(name) {
        Ok(listener) => Ok(Some(listener.into())),
        Err(InheritError::Missing(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
