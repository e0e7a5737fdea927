//! Datagrams by the batch: one system call for up to [`BATCH`] of them, since the calls are nearly all of what a datagram
//! costs.

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

/// Datagrams in one system call.
pub const BATCH: usize = 64;

/// The longest datagram taken. NB-IoT carries at most 1,600 bytes in one packet.
pub const MAX_DATAGRAM: usize = 2048;

/// What the kernel is asked to hold for one socket while nobody reads: a tenth of a second of a whole fleet that sends at
/// once. It counts some 800 bytes for a short datagram.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// A bound UDP socket.
#[derive(Debug)]
pub struct Socket(UdpSocket);

impl Socket {
    /// As many sockets as `count` on one address. The kernel spreads the senders over them, and those of one sender always
    /// go to the same (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// Those of the system, above all that the address is in use.
    pub fn bind(addr: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        // The first one is bound alone, or it might share the address with another program, and half of the meters.
        let first = open(addr, false)?;
        setsockopt(&first.0, sockopt::ReusePort, &true)?;
        let addr = first.local_addr()?;
        let others = (1..count).map(|_| open(addr, true)).collect::<io::Result<Vec<_>>>()?;
        Ok(std::iter::once(first).chain(others).collect())
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// What the kernel holds for it, in bytes. The kernel doubles what it is asked for, for its own use.
    pub fn receive_buffer(&self) -> usize {
        nix::sys::socket::getsockopt(&self.0, sockopt::RcvBuf).unwrap_or_default() / 2
    }

    /// The number by which the kernel lists it.
    pub fn inode(&self) -> Option<u64> {
        Some(nix::sys::stat::fstat(&self.0).ok()?.st_ino)
    }

    /// Receives what is there into the inbox, without waiting. Nothing may be there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn receive(&self, inbox: &mut ReceiveBuffers) -> io::Result<()> {
        inbox.received.clear();
        let ReceiveBuffers { buffers, headers, received } = inbox;
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

    /// Waits until something may be received, at most so long.
    pub fn wait(&self, timeout: Duration) {
        self.poll(PollFlags::POLLIN, timeout);
    }

    /// Sends each datagram to its address, and tells how many have gone out. Waits for room in the kernel, so long each time;
    /// what finds none is as good as lost on the way. One that cannot be sent at all (an address that cannot be reached)
    /// does not hold up the others.
    pub fn send(&self, datagrams: &[(SocketAddr, &[u8])], patience: Duration) -> usize {
        let mut headers = MultiHeaders::preallocate(datagrams.len().min(BATCH), None);
        let mut rest = datagrams;
        let mut gone = 0;
        while !rest.is_empty() {
            let batch = &rest[..rest.len().min(BATCH)];
            let slices: Vec<_> = batch.iter().map(|(_, bytes)| [io::IoSlice::new(bytes)]).collect();
            let addresses: Vec<_> = batch.iter().map(|(addr, _)| Some(SockaddrStorage::from(*addr))).collect();
            let result = sendmmsg(self.0.as_raw_fd(), &mut headers, &slices, &addresses, [], MsgFlags::MSG_DONTWAIT);
            match result.map(Iterator::count) {
                Ok(sent) => {
                    gone += sent;
                    rest = &rest[sent..];
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if self.poll(PollFlags::POLLOUT, patience) => {}
                Err(Errno::EAGAIN) => return gone,
                Err(_) => rest = &rest[1..],
            }
        }
        gone
    }

    /// Whether it became so in time.
    fn poll(&self, flags: PollFlags, timeout: Duration) -> bool {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(self.0.as_fd(), flags)], timeout).is_ok_and(|ready| ready > 0)
    }
}

fn open(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let family = if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket: OwnedFd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    // The first is a privilege, the second is cut to what the machine allows (net.core.rmem_max).
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

/// Room for one batch of datagrams.
pub struct ReceiveBuffers {
    buffers: Vec<[u8; MAX_DATAGRAM + 1]>,
    headers: MultiHeaders<SockaddrStorage>,
    received: Vec<(usize, Option<SocketAddr>)>,
}

impl ReceiveBuffers {
    /// Empty.
    pub fn new() -> Self {
        Self {
            // One byte more than is taken, so that a datagram that was cut off can be told from one that just fits.
            buffers: vec![[0; MAX_DATAGRAM + 1]; BATCH],
            headers: MultiHeaders::preallocate(BATCH, None),
            received: Vec::with_capacity(BATCH),
        }
    }

    /// The datagrams of the last batch, each with its sender.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<SocketAddr>)> {
        self.buffers
            .iter()
            .zip(&self.received)
            .map(|(buffer, &(len, sender))| (&buffer[..len], sender))
            .take(self.len())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.received.len()
    }

    /// Whether there is none.
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

    /// Longer than anything here takes.
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
