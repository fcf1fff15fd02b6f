//! The sockets that a generation is born with: its supervisor's.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;

use rackcast_service::frame::Framed;
use rackcast_service::process::{inherited, inherited_stream};
use rackcast_service::tls::Door;
use tokio::net::{TcpListener, UnixListener};

use super::error::Error;
use crate::entrance::Entrance;
use crate::supervisor::Listeners;
use crate::supervisor::control::{CONTROL_FD, INSIDE_FD, PUBLISH_FD};

/// All of them.
pub(super) struct Sockets {
    /// To the supervisor.
    pub(super) control: Framed,
    /// For publishers, players and operators.
    pub(super) listeners: Listeners,
    /// Where other generations ask for what players want.
    pub(super) inside: UnixListener,
    /// Where other generations pass publishers on.
    pub(super) publish: UnixListener,
}

impl Sockets {
    /// Takes them over.
    ///
    /// # Errors
    /// No supervisor started this process.
    pub(super) fn inherit() -> Result<Self, Error> {
        Ok(Self {
            control: Framed::new(inherited_stream(CONTROL_FD)?),
            listeners: Listeners::inherit()?,
            inside: take_listener(INSIDE_FD)?,
            publish: take_listener(PUBLISH_FD)?,
        })
    }
}

fn take_listener(name: &str) -> Result<UnixListener, Error> {
    let listener = StdUnixListener::from(inherited(name)?);
    listener.set_nonblocking(true)?;
    Ok(UnixListener::from_std(listener)?)
}

/// A listener, and the one behind TLS if there is one.
pub(super) fn entrance(
    open: StdTcpListener,
    guarded: Option<StdTcpListener>,
    door: Option<Arc<Door>>,
) -> io::Result<Entrance> {
    let guarded = guarded.map(listen).transpose()?;
    Ok(Entrance::from(listen(open)?).beside(guarded.zip(door)))
}

pub(super) fn listen(listener: StdTcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
