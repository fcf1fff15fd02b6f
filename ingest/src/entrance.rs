//! Where peers come in: a cleartext listener, and one behind TLS where there is one.
//!
//! Both lead to the same place, so that limits on connections hold for all of them together. The
//! handshake is not made here but by the task of the connection ([`Arrival::enter`]): a peer that
//! takes its time holds up nobody else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rackcast_service::tls::{Door, Stream};
use tokio::net::{TcpListener, TcpStream};

/// One or two listeners.
#[derive(Debug)]
pub struct Entrance {
    open: TcpListener,
    guarded: Option<(TcpListener, Arc<Door>)>,
}

impl From<TcpListener> for Entrance {
    fn from(open: TcpListener) -> Self {
        Self {
            open,
            guarded: None,
        }
    }
}

impl Entrance {
    /// The same, and a second listener behind a door.
    #[must_use]
    pub fn beside(self, guarded: Option<(TcpListener, Arc<Door>)>) -> Self {
        Self { guarded, ..self }
    }

    /// The next peer. Dropping the future loses nobody.
    ///
    /// # Errors
    /// The system could not accept it.
    pub async fn accept(&self) -> io::Result<Arrival> {
        let ((socket, peer), door) = match &self.guarded {
            None => (self.open.accept().await?, None),
            Some((guarded, door)) => tokio::select! {
                accepted = self.open.accept() => (accepted?, None),
                accepted = guarded.accept() => (accepted?, Some(Arc::clone(door))),
            },
        };
        // Answers are small and waited for.
        if let Err(e) = socket.set_nodelay(true) {
            log::debug!("TCP_NODELAY: {e}");
        }
        Ok(Arrival { socket, peer, door })
    }
}

/// A peer that has connected.
#[derive(Debug)]
pub struct Arrival {
    socket: TcpStream,
    /// Its address.
    pub peer: SocketAddr,
    door: Option<Arc<Door>>,
}

impl Arrival {
    /// Past the door, if it came by one and that opens; who was refused, and why, the door tells.
    pub async fn enter(self) -> Option<Stream> {
        match self.door {
            Some(door) => door.accept(self.socket, self.peer).await.ok(),
            None => Some(self.socket.into()),
        }
    }
}
