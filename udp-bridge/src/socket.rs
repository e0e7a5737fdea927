//! UDP sockets that receive and send in batches: one system call for up to [`BATCH`] datagrams, because system calls
//! are nearly the whole cost of a datagram.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrStorage, bind, recvmmsg, sendmmsg, setsockopt,
    socket, sockopt,
};

/// Maximum number of datagrams in one system call.
pub const BATCH: usize = 64;

/// The longest datagram accepted, in bytes. NB-IoT carries at most 1,600 bytes in one packet.
pub const MAX_DATAGRAM: usize = 2048;

/// Requested size of a socket's receive buffer: a tenth of a second of a whole fleet that sends at once. The kernel
/// counts about 800 bytes for a short datagram.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// A bound UDP socket.
#[derive(Debug)]
pub struct Socket(UdpSocket);

impl Socket {
    /// Binds `count` sockets to one address. The kernel spreads the senders over them; all datagrams of one sender go
    /// to the same socket (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// Errors of the system; usually the address is in use.
    pub fn bind(addr: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        // The first socket is bound exclusively: it must not share the address, and the meters, with another program.
        let first = open(addr, false)?;
        setsockopt(&first.0, sockopt::ReusePort, &true)?;
        let addr = first.local_addr()?;
        let others = (1..count).map(|_| open(addr, true)).collect::<io::Result<Vec<_>>>()?;
        Ok(std::iter::once(first).chain(others).collect())
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Size of the receive buffer, in bytes. The kernel doubles the requested size for its own use; this returns half.
    pub fn receive_buffer(&self) -> usize {
        nix::sys::socket::getsockopt(&self.0, sockopt::RcvBuf).unwrap_or_default() / 2
    }

    /// The inode under which the kernel lists the socket.
    pub fn inode(&self) -> Option<u64> {
        Some(nix::sys::stat::fstat(&self.0).ok()?.st_ino)
    }

    /// Receives waiting datagrams into `batch`, without blocking. `batch` is empty if there are none.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn receive(&self, batch: &mut ReceiveBuffers) -> io::Result<()> {
        batch.received.clear();
        let ReceiveBuffers { buffers, headers, received } = batch;
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [io::IoSliceMut::new(buffer)]).collect();
        match recvmmsg(self.0.as_raw_fd(), headers, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                received.extend(messages.map(|message| (message.bytes, message.address.and_then(to_std))));
                Ok(())
            }
            Err(Errno::EAGAIN) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits until the socket is readable, or until the time-out.
    pub fn wait(&self, timeout: Duration) {
        self.poll(PollFlags::POLLIN, timeout);
    }

    /// Sends as [`Socket::send`], from buffers that are owned.
    pub fn send_all(&self, datagrams: &[(SocketAddr, Vec<u8>)], timeout: Duration) -> usize {
        let borrowed: Vec<_> = datagrams.iter().map(|(peer, bytes)| (*peer, bytes.as_slice())).collect();
        self.send(&borrowed, timeout)
    }

    /// Sends each datagram to its address, and returns the number sent. Each time the kernel's buffer is full, it waits
    /// for space up to `timeout`, and then drops the rest, as the network might. A datagram that cannot be sent (to an
    /// unreachable address) does not delay the others.
    pub fn send(&self, datagrams: &[(SocketAddr, &[u8])], timeout: Duration) -> usize {
        let mut headers = MultiHeaders::preallocate(datagrams.len().min(BATCH), None);
        let mut rest = datagrams;
        let mut total = 0;
        while !rest.is_empty() {
            let batch = &rest[..rest.len().min(BATCH)];
            let slices: Vec<_> = batch.iter().map(|(_, bytes)| [io::IoSlice::new(bytes)]).collect();
            let addresses: Vec<_> = batch.iter().map(|(addr, _)| Some(SockaddrStorage::from(*addr))).collect();
            let result = sendmmsg(self.0.as_raw_fd(), &mut headers, &slices, &addresses, [], MsgFlags::MSG_DONTWAIT);
            match result.map(Iterator::count) {
                Ok(sent) => {
                    total += sent;
                    rest = &rest[sent..];
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if self.poll(PollFlags::POLLOUT, timeout) => {}
                Err(Errno::EAGAIN) => return total,
                Err(_) => rest = &rest[1..],
            }
        }
        total
    }

    /// Waits for the flags. Returns `false` on a time-out.
    fn poll(&self, flags: PollFlags, timeout: Duration) -> bool {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(self.0.as_fd(), flags)], timeout).is_ok_and(|ready| ready > 0)
    }
}

fn open(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let family = if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket: OwnedFd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    // The first needs a privilege; the second is limited by the machine (net.core.rmem_max).
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER))?;
    setsockopt(&socket, sockopt::ReusePort, &shared)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(addr))?;
    Ok(Socket(UdpSocket::from(socket)))
}

fn to_std(addr: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = addr.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| addr.as_sockaddr_in6().map(|&v6| SocketAddr::V6(v6.into())))
}

/// Buffers for one batch of datagrams.
pub struct ReceiveBuffers {
    buffers: Vec<[u8; MAX_DATAGRAM + 1]>,
    headers: MultiHeaders<SockaddrStorage>,
    received: Vec<(usize, Option<SocketAddr>)>,
}

impl ReceiveBuffers {
    /// Allocates empty buffers.
    pub fn new() -> Self {
        Self {
            // One byte more than accepted, so that a truncated datagram differs from one of the maximum length.
            buffers: vec![[0; MAX_DATAGRAM + 1]; BATCH],
            headers: MultiHeaders::preallocate(BATCH, None),
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Datagrams of the last batch, each with its sender.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<SocketAddr>)> {
        self.buffers
            .iter()
            .zip(&self.received)
            .map(|(buffer, &(len, sender))| (&buffer[..len], sender))
            .take(self.len())
    }

    /// Number of datagrams in the last batch.
    pub fn len(&self) -> usize {
        self.received.len()
    }

    /// True if the last batch is empty.
    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any of these tests takes.
    const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

    const LOCAL: &str = "127.0.0.1:0";

    fn bound(count: usize) -> Vec<Socket> {
        Socket::bind(LOCAL.parse().unwrap(), count).unwrap()
    }

    #[test]
    fn an_address_that_somebody_else_has_is_not_shared_with_him() {
        let sockets = bound(2);
        let taken = sockets[0].local_addr().unwrap();
        assert_eq!(Socket::bind(taken, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn more_than_a_batch_is_sent_and_received_whole_and_in_order() {
        let (from, to) = (&bound(1)[0], &bound(1)[0]);
        let bytes: Vec<[u8; 2]> = (0..200_u16).map(u16::to_be_bytes).collect();
        let peer = to.local_addr().unwrap();
        assert_eq!(from.send(&bytes.iter().map(|b| (peer, b.as_slice())).collect::<Vec<_>>(), RECEIVE_TIMEOUT), 200);
        let mut inbox = ReceiveBuffers::new();
        let mut received = Vec::new();
        while received.len() < 200 {
            to.wait(RECEIVE_TIMEOUT);
            to.receive(&mut inbox).unwrap();
            assert!(!inbox.is_empty(), "after {}", received.len());
            for (datagram, sender) in inbox.datagrams() {
                assert_eq!(sender, from.local_addr().ok());
                received.push(datagram.to_vec());
            }
        }
        assert_eq!(received, bytes);
        to.receive(&mut inbox).unwrap();
        assert!(inbox.is_empty());
    }

    #[test]
    fn one_that_cannot_be_sent_does_not_hold_up_the_others() {
        let (from, to) = (&bound(1)[0], &bound(1)[0]);
        let peer = to.local_addr().unwrap();
        let nowhere = "127.0.0.1:0".parse().unwrap();
        assert_eq!(from.send(&[(peer, b"1"), (nowhere, b"2"), (peer, b"3")], RECEIVE_TIMEOUT), 2);
    }

    #[test]
    fn a_datagram_that_is_too_long_can_be_told_from_one_that_just_fits() {
        let (from, to) = (&bound(1)[0], &bound(1)[0]);
        let peer = to.local_addr().unwrap();
        from.send(&[(peer, &[0; MAX_DATAGRAM]), (peer, &vec![0; 60_000])], RECEIVE_TIMEOUT);
        let mut inbox = ReceiveBuffers::new();
        to.wait(RECEIVE_TIMEOUT);
        to.receive(&mut inbox).unwrap();
        let lengths: Vec<_> = inbox.datagrams().map(|(datagram, _)| datagram.len()).collect();
        assert_eq!(lengths, [MAX_DATAGRAM, MAX_DATAGRAM + 1]);
    }
}
