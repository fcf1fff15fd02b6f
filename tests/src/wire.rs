//! A stretch of network between two processes: TCP with a latency, and a rate if wanted.
//!
//! The kernels that tests run on have no netem, and a proxy that merely sleeps before it passes
//! bytes on would divide the bandwidth too. Here every chunk that is read gets the time at which
//! it is due at the other end; a queue keeps the order, and reading goes on meanwhile, so that as
//! much is under way as the two ends allow. What is under way is measured: a sender that waits
//! for a window shows.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// The most that is read at once.
const CHUNK: usize = 256 << 10;
/// Chunks under way in one direction of one connection; beyond it the sender feels back-pressure.
const QUEUE: usize = 1024;
/// What the kernel may take on beyond what is under way: little, or it would hide the rate.
const BUFFER: u32 = 128 << 10;
/// Connections that may wait to be taken.
const BACKLOG: u32 = 128;

/// A listener whose connections all lead to one address.
#[derive(Debug)]
pub struct Wire {
    /// Where to connect.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<AbortOnDropHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    /// Microseconds, each way.
    latency: AtomicU64,
    /// Bytes a second of each connection, each way; 0 for as fast as it goes.
    rate: AtomicU64,
    there: Traffic,
    back: Traffic,
}

/// What went in one direction, over all connections.
#[derive(Debug, Default)]
struct Traffic {
    bytes: AtomicUsize,
    /// On any one connection.
    most_under_way: AtomicUsize,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From those who connect.
    There,
    /// To those who connect.
    Back,
}

impl Wire {
    /// A wire to this address, on a free one of loopback, without latency.
    ///
    /// # Panics
    /// There is no free address.
    pub fn start(to: SocketAddr) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into());
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            to,
            latency: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            there: Traffic::default(),
            back: Traffic::default(),
        });
        let accepting = accept(listener, Arc::clone(&shared));
        Self {
            address,
            shared,
            accepting: Mutex::new(Some(accepting)),
        }
    }

    /// From now on every byte takes this long, each way.
    pub fn set_latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap();
        self.shared.latency.store(micros, Ordering::Relaxed);
    }

    /// From now on each connection carries so many bytes a second each way; 0 for no limit.
    pub fn set_rate(&self, bytes: u64) {
        self.shared.rate.store(bytes, Ordering::Relaxed);
    }

    /// Breaks off all connections and refuses new ones, as a machine does whose process died.
    pub fn cut(&self) {
        self.accepting.lock().unwrap().take();
    }

    /// Takes connections again, at the same address.
    ///
    /// # Panics
    /// Somebody else has taken it.
    pub fn mend(&self) {
        let accepting = accept(listen(self.address), Arc::clone(&self.shared));
        *self.accepting.lock().unwrap() = Some(accepting);
    }

    /// Bytes that were sent in this direction.
    pub fn bytes(&self, direction: Direction) -> usize {
        self.shared.traffic(direction).bytes.load(Ordering::Relaxed)
    }

    /// The most bytes that were ever under way at once in this direction on one connection, which
    /// is what its two ends had let each other send.
    pub fn most_under_way(&self, direction: Direction) -> usize {
        let traffic = self.shared.traffic(direction);
        traffic.most_under_way.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn traffic(&self, direction: Direction) -> &Traffic {
        match direction {
            Direction::There => &self.there,
            Direction::Back => &self.back,
        }
    }
}

/// A listener whose address can be taken again at once.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_recv_buffer_size(BUFFER).unwrap();
    socket.bind(address).unwrap();
    socket.listen(BACKLOG).unwrap()
}

/// Takes connections until it is dropped, which ends them too.
fn accept(listener: TcpListener, shared: Arc<Shared>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((near, _)) = accepted {
                        connections.spawn(carry(near, Arc::clone(&shared)));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }))
}

async fn carry(near: TcpStream, shared: Arc<Shared>) {
    let Ok(far) = TcpStream::connect(shared.to).await else {
        return;
    };
    if near.set_nodelay(true).is_err() || far.set_nodelay(true).is_err() {
        return;
    }
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    // Each direction has an end of its own, but one that breaks breaks the other.
    let _broken = tokio::try_join!(
        pump(near_in, far_out, &shared, Direction::There),
        pump(far_in, near_out, &shared, Direction::Back)
    );
}

/// Carries one direction to its end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    direction: Direction,
) -> io::Result<()> {
    let traffic = shared.traffic(direction);
    let under_way = AtomicUsize::new(0);
    let (tx, mut rx) = mpsc::channel::<(Instant, Bytes)>(QUEUE);
    let line = &under_way;
    let read = async move {
        let tx = tx;
        // Until then the line is busy with what was sent before.
        let mut free = Instant::now();
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if from.read_buf(&mut chunk).await? == 0 {
                return Ok(());
            }
            let rate = shared.rate.load(Ordering::Relaxed);
            if rate > 0 {
                let takes = Duration::from_secs_f64(chunk.len() as f64 / rate as f64);
                free = free.max(Instant::now()) + takes;
                sleep_until(free).await;
            }
            traffic.bytes.fetch_add(chunk.len(), Ordering::Relaxed);
            let now = line.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
            traffic.most_under_way.fetch_max(now, Ordering::Relaxed);
            let latency = Duration::from_micros(shared.latency.load(Ordering::Relaxed));
            let due = Instant::now() + latency;
            if tx.send((due, chunk.freeze())).await.is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    };
    let write = async {
        while let Some((due, chunk)) = rx.recv().await {
            sleep_until(due).await;
            to.write_all(&chunk).await?;
            under_way.fetch_sub(chunk.len(), Ordering::Relaxed);
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(100);

    /// A server that sends back what it gets.
    fn echo() -> (SocketAddr, AbortOnDropHandle<()>) {
        let listener = listen(([127, 0, 0, 1], 0).into());
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        (address, AbortOnDropHandle::new(serving))
    }

    #[tokio::test]
    async fn everything_arrives_in_order_after_the_latency_and_much_is_under_way() {
        let (address, _serving) = echo();
        let wire = Wire::start(address);
        wire.set_latency(LATENCY);
        let (mut from, mut to) = TcpStream::connect(wire.address).await.unwrap().into_split();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let began = Instant::now();
        let body = sent.clone();
        let sending = tokio::spawn(async move {
            to.write_all(&body).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        from.read_to_end(&mut got).await.unwrap();
        sending.await.unwrap();
        assert!(began.elapsed() >= 2 * LATENCY);
        assert!(got == sent, "{} bytes came", got.len());
        assert_eq!(wire.bytes(Direction::There), sent.len());
        assert_eq!(wire.bytes(Direction::Back), sent.len());
        assert!(wire.most_under_way(Direction::There) > 1_000_000);
    }

    #[tokio::test]
    async fn a_cut_wire_ends_its_connections_and_takes_none_until_it_is_mended() {
        let (address, _serving) = echo();
        let wire = Wire::start(address);
        let mut stream = TcpStream::connect(wire.address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 5];
        stream.read_exact(&mut buffer).await.unwrap();
        wire.cut();
        let ended = stream.read(&mut buffer).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        let refused = TcpStream::connect(wire.address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        wire.mend();
        let mut stream = TcpStream::connect(wire.address).await.unwrap();
        stream.write_all(b"again").await.unwrap();
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"again");
    }
}
