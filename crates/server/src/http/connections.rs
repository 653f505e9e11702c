//! Connections: how many one address may hold, and how long each may stand still.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use latchkey_domain::{Source, SourcePrefix};
use latchkey_service::protect::RateLimits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::address::TrustedProxies;

/// How long a client may take to read `LEAST_READ` bytes of its answer.
const UNREAD_TIME: Duration = Duration::from_secs(60);

/// Fewer bytes than these do not count as reading. It is seen in steps: a socket takes more once a third of what it
/// holds is read.
const LEAST_READ: usize = 16 * 1024;

/// Bound for an IPv6 /48, as a multiple of the bound for one prefix.
const SITE_SHARE: usize = 10;

/// Open connections per address prefix, and per /48. Loopback is not counted unless a proxy is declared, so that trying
/// the server out on one machine needs no settings.
#[derive(Clone)]
pub(crate) struct Connections {
    open: Arc<Mutex<HashMap<Holder, usize>>>,
    most: usize,
    rates: Option<Arc<RateLimits>>,
    proxies: TrustedProxies,
}

/// Key of a connection counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Prefix(SourcePrefix),
    Site(SourcePrefix),
}

/// A connection's place among those of its prefix and its site, given back when it closes.
pub(crate) struct ConnectionPermit {
    connections: Connections,
    holders: Vec<Holder>,
    is_granted: bool,
}

impl Connections {
    /// Bounds connections; loopback is exempt while `rates` exempt it.
    pub(crate) fn new(most: usize, proxies: TrustedProxies, rates: Option<Arc<RateLimits>>) -> Self {
        Self { open: Arc::default(), most, rates, proxies }
    }

    fn exempts_loopback(&self) -> bool {
        match &self.rates {
            Some(rates) => rates.exempts_loopback(),
            None => self.proxies.is_empty(),
        }
    }

    /// Counts a connection. The first request above the limit is refused; above twice the limit, the connection is.
    pub(crate) fn take_seat(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        let source = Source::at(peer);
        let site = source.site().map(|site| (Holder::Site(site), self.most.saturating_mul(SITE_SHARE)));
        let bounds: Vec<_> = site.into_iter().chain([(Holder::Prefix(source.prefix()), self.most)]).collect();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // A declared proxy bounds its clients itself: all of them come from its address.
        let is_exempt =
            (self.exempts_loopback() && peer.to_canonical().is_loopback()) || self.proxies.contains(peer);
        let is_below = |times: usize| {
            let is_below = |(holder, most): &(Holder, usize)| {
                open.get(holder).copied().unwrap_or_default() < most.saturating_mul(times)
            };
            is_exempt || bounds.iter().all(is_below)
        };
        let (is_granted, is_taken) = (is_below(1), is_below(2));
        if !is_taken {
            return None;
        }
        let holders: Vec<_> = bounds.into_iter().map(|(holder, _)| holder).collect();
        for holder in &holders {
            *open.entry(*holder).or_default() += 1;
        }
        Some(ConnectionPermit { connections: self.clone(), holders, is_granted })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        for holder in &self.holders {
            if let Some(count) = open.get_mut(holder) {
                *count -= 1;
                if *count == 0 {
                    open.remove(holder);
                }
            }
        }
    }
}

/// State shared by a connection's requests and its stream.
pub(crate) struct Pace {
    /// Whether the connection is within the bound of its address.
    pub(crate) is_granted: bool,
    under_way: Cell<usize>,
    /// When the last answer ended or moved. None before the first one: until then the time for a head counts.
    rests_since: Cell<Option<Instant>>,
    reader: RefCell<Option<Waker>>,
}

impl Pace {
    /// Begins a request, which ends when the guard is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> UnderWay {
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(Rc::clone(self))
    }
}

/// A request under way. Meanwhile its own time limits count, not those between requests.
pub(crate) struct UnderWay(Rc<Pace>);

impl UnderWay {
    /// Holds a request open until its answer has ended, if that comes in pieces.
    pub(crate) fn until_end_of(self, body: BoxBody) -> BoxBody {
        match body.size() {
            BodySize::Stream => BoxBody::new(Streamed { body, _under_way: self }),
            BodySize::None | BodySize::Sized(_) => body,
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.rests_since.set(Some(Instant::now()));
        // The stream has to set its clock.
        if let Some(reader) = self.0.reader.take() {
            reader.wake();
        }
    }
}

/// A body that keeps its request under way.
struct Streamed {
    body: BoxBody,
    _under_way: UnderWay,
}

impl MessageBody for Streamed {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// A client's stream that ends when the client stands still (SEC-117): when the next request is not there some time
/// after the last answer, whatever else arrives, and when an answer is not read. actix-web bounds the head of the first
/// request and whole silence alone.
pub(crate) struct Paced<T> {
    io: T,
    idle: Duration,
    pace: Rc<Pace>,
    next_request: Alarm,
    unread: Alarm,
    /// Bytes taken since `unread` was set.
    taken: usize,
    _seat: ConnectionPermit,
}

impl<T> Paced<T> {
    /// Bounds a stream: `idle` is the time from one answer to the next request.
    pub(crate) fn new(io: T, idle: Duration, seat: ConnectionPermit) -> Self {
        let pace = Pace {
            is_granted: seat.is_granted,
            under_way: Cell::default(),
            rests_since: Cell::default(),
            reader: RefCell::default(),
        };
        let (next_request, unread) = (Alarm::default(), Alarm::default());
        Self { io, idle, pace: Rc::new(pace), next_request, unread, taken: 0, _seat: seat }
    }

    /// A connection's data for its requests.
    pub(crate) fn pace(&self) -> Rc<Pace> {
        Rc::clone(&self.pace)
    }

    /// Whether the next request has been waited for long enough. Wakes when it will be.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.pace.reader.replace(Some(context.waker().clone()));
        let since = self.pace.rests_since.get().filter(|_| self.pace.under_way.get() == 0);
        since.is_some_and(|since| self.next_request.rings(since + self.idle, context))
    }

    /// Passes on what a write came to, within the time for it.
    fn noted(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => {
                if self.pace.rests_since.get().is_some() {
                    self.pace.rests_since.set(Some(Instant::now()));
                }
                self.taken += bytes;
                if self.taken >= LEAST_READ {
                    self.unread.clear();
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if !self.unread.is_set() {
                    self.taken = 0;
                }
                if self.unread.rings_after(UNREAD_TIME, context) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            // As if the client had closed its side: what is left of an answer is still sent.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.noted(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.noted(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        // All that there was is written.
        self.unread.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// A timer that is made when it is first needed: most connections never wait.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn is_set(&self) -> bool {
        self.0.is_some()
    }

    fn clear(&mut self) {
        self.0 = None;
    }

    /// Whether the time has come. Wakes when it comes.
    fn rings(&mut self, at: Instant, context: &mut Context<'_>) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(context).is_ready()
    }

    /// Whether the time since the first call has passed.
    fn rings_after(&mut self, time: Duration, context: &mut Context<'_>) -> bool {
        let at = self.0.as_ref().map_or_else(|| Instant::now() + time, |sleep| sleep.deadline());
        self.rings(at, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(5);

    fn connection() -> (Paced<DuplexStream>, DuplexStream) {
        let seat =
            Connections::new(1, TrustedProxies::default(), None).take_seat("192.0.2.1".parse().unwrap());
        let (ours, clients) = duplex(64 * 1024);
        (Paced::new(ours, IDLE, seat.unwrap()), clients)
    }

    #[tokio::test(start_paused = true)]
    async fn sec_117_bytes_that_are_no_request_keep_no_connection() {
        let (mut stream, mut client) = connection();
        let mut byte = [0];
        // The first head has its own clock.
        client.write_all(b"G").await.unwrap();
        tokio::time::advance(IDLE * 2).await;
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1);
        let request = stream.pace().begin();
        client.write_all(b"G").await.unwrap();
        tokio::time::advance(IDLE * 2).await;
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "a request under way has its own clocks");
        drop(request);
        for second in 0..5 {
            client.write_all(b"G").await.unwrap();
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{second}");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        client.write_all(b"G").await.unwrap();
        assert_eq!(stream.read(&mut byte).await.unwrap(), 0, "the connection is over");
    }

    #[tokio::test(start_paused = true)]
    async fn sec_117_a_silent_connection_ends_although_nothing_was_read_after_its_answer() {
        let (mut stream, _client) = connection();
        let pace = stream.pace();
        let request = pace.begin();
        let reading = tokio::task::LocalSet::new();
        let ended = reading.run_until(async {
            let reader = tokio::task::spawn_local(async move { stream.read(&mut [0]).await });
            tokio::task::yield_now().await;
            drop(request);
            reader.await.unwrap().unwrap()
        });
        assert_eq!(tokio::time::timeout(IDLE * 2, ended).await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn sec_117_an_answer_that_nobody_reads_ends_the_connection() {
        let (mut stream, _client) = connection();
        let began = Instant::now();
        let failed = stream.write_all(&vec![0; 1024 * 1024]).await.unwrap_err();
        assert_eq!((failed.kind(), began.elapsed()), (io::ErrorKind::TimedOut, UNREAD_TIME));
    }

    #[tokio::test(start_paused = true)]
    async fn sec_117_a_few_bytes_now_and_then_are_not_reading_and_a_slow_client_is_served() {
        for (piece, is_served) in [(LEAST_READ / 64, false), (LEAST_READ, true)] {
            let (mut stream, mut client) = connection();
            let reader = async {
                let mut buffer = vec![0; piece];
                while client.read_exact(&mut buffer).await.is_ok() {
                    tokio::time::sleep(UNREAD_TIME - Duration::from_secs(1)).await;
                }
            };
            let bytes = vec![0; 512 * 1024];
            let writer = async {
                let written = stream.write_all(&bytes).await;
                drop(stream);
                written
            };
            let (written, ()) = tokio::join!(writer, reader);
            assert_eq!(written.is_ok(), is_served, "{piece}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_ended_does_not_count_for_the_next_answer() {
        let (mut stream, mut client) = connection();
        let mut buffer = vec![0; 65 * 1024];
        let answer = async {
            stream.write_all(&vec![0; 65 * 1024]).await.unwrap();
            stream.flush().await.unwrap();
        };
        tokio::join!(answer, async { client.read_exact(&mut buffer).await.unwrap() });
        tokio::time::advance(UNREAD_TIME * 2).await;
        let answer = async { stream.write_all(&vec![0; 65 * 1024]).await.unwrap() };
        tokio::join!(answer, async { client.read_exact(&mut buffer).await.unwrap() });
    }

    #[test]
    fn sec_117_connections_of_a_prefix_are_bounded_and_given_back() {
        let connections = Connections::new(2, TrustedProxies::default(), None);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let is_granted = |seat: &Option<ConnectionPermit>| seat.as_ref().map(|seat| seat.is_granted);
        let mut seats: Vec<_> = (0..5).map(|_| connections.take_seat(address)).collect();
        let granted: Vec<_> = seats.iter().map(is_granted).collect();
        assert_eq!(granted, [Some(true), Some(true), Some(false), Some(false), None]);
        assert_eq!(is_granted(&connections.take_seat("192.0.2.2".parse().unwrap())), Some(true));
        seats.drain(..3);
        assert_eq!(is_granted(&connections.take_seat(address)), Some(true));
        drop(seats);
        assert!(connections.open.lock().unwrap().is_empty());
        let site = |subnet: u32| format!("2001:db8:1:{subnet:x}::1").parse().unwrap();
        let seats: Vec<_> = (0..50).map(|subnet| connections.take_seat(site(subnet))).collect();
        let granted = |wanted| seats.iter().filter(|seat| is_granted(seat) == wanted).count();
        assert_eq!((granted(Some(true)), granted(Some(false)), granted(None)), (20, 20, 10));
        assert_eq!(is_granted(&connections.take_seat("2001:db8:2::1".parse().unwrap())), Some(true));
        drop(seats);
        assert!(connections.open.lock().unwrap().is_empty());
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let seats: Vec<_> = (0..10).map(|_| connections.take_seat(loopback)).collect();
        assert!(seats.iter().all(|seat| is_granted(seat) == Some(true)));
        let proxies = TrustedProxies::parse(&["10.0.0.1".to_owned()]).unwrap();
        let behind_a_proxy = Connections::new(1, proxies, None);
        let seats: Vec<_> = (0..2).map(|_| behind_a_proxy.take_seat(loopback)).collect();
        assert_eq!(is_granted(&seats[1]), Some(false));
        assert_eq!(is_granted(&behind_a_proxy.take_seat("10.0.0.1".parse().unwrap())), Some(true));
    }
}
