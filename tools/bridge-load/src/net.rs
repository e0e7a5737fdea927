//! Receives and sends datagrams in batches. IPv4 only.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn, bind, recvmmsg, sendmmsg,
    setsockopt, socket, sockopt,
};

/// Datagrams in one system call.
pub const BATCH: usize = 64;

/// The receive buffer that is requested of the kernel, which grants at most `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// A socket on loopback; port 0 asks for a free one. With `port_is_shared` the kernel spreads the senders over all
/// sockets of that port.
///
/// # Errors
/// Those of the kernel.
pub fn udp_socket(port: u16, port_is_shared: bool) -> io::Result<UdpSocket> {
    udp_socket_on(Ipv4Addr::LOCALHOST, port, port_is_shared)
}

/// The same on any address of this machine. A socket on loopback reaches loopback only.
///
/// # Errors
/// Those of the kernel.
pub fn udp_socket_on(address: Ipv4Addr, port: u16, port_is_shared: bool) -> io::Result<UdpSocket> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReusePort, &port_is_shared)?;
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, port)))?;
    Ok(socket.into())
}

/// Receives datagrams of up to `LEN` bytes and truncates longer ones.
pub struct ReceiveBatch<const LEN: usize> {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Box<[[u8; LEN]; BATCH]>,
}

impl<const LEN: usize> Default for ReceiveBatch<LEN> {
    fn default() -> Self {
        Self { headers: MultiHeaders::preallocate(BATCH, None), buffers: Box::new([[0; LEN]; BATCH]) }
    }
}

impl<const LEN: usize> ReceiveBatch<LEN> {
    /// Waits for a datagram, and receives those queued behind it too.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn wait(&mut self, socket: &UdpSocket, each: impl FnMut(&[u8], SocketAddrV4)) -> io::Result<usize> {
        self.receive(socket, MsgFlags::MSG_WAITFORONE, each)
    }

    /// Receives all queued datagrams.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn drain(&mut self, socket: &UdpSocket, mut each: impl FnMut(&[u8], SocketAddrV4)) -> io::Result<()> {
        while self.receive(socket, MsgFlags::MSG_DONTWAIT, &mut each)? == BATCH {}
        Ok(())
    }

    fn receive(
        &mut self,
        socket: &UdpSocket,
        flags: MsgFlags,
        mut each: impl FnMut(&[u8], SocketAddrV4),
    ) -> io::Result<usize> {
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let messages = match recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(messages) => messages,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(e) => return Err(e.into()),
        };
        let mut count = 0;
        for message in messages {
            count += 1;
            if let Some(from) = message.address {
                each(message.iovs().next().unwrap_or_default(), from.into());
            }
        }
        Ok(count)
    }
}

/// Collects datagrams and sends them together.
pub struct SendBatch {
    headers: MultiHeaders<SockaddrIn>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    to: Vec<Option<SockaddrIn>>,
}

impl Default for SendBatch {
    fn default() -> Self {
        Self { headers: MultiHeaders::preallocate(BATCH, None), bytes: Vec::new(), ends: Vec::new(), to: Vec::new() }
    }
}

impl SendBatch {
    /// True if it has as many datagrams as one system call sends.
    pub fn is_full(&self) -> bool {
        self.ends.len() == BATCH
    }

    /// Adds a datagram.
    pub fn push(&mut self, datagram: &[u8], to: SocketAddrV4) {
        self.bytes.extend_from_slice(datagram);
        self.ends.push(self.bytes.len());
        self.to.push(Some(to.into()));
    }

    /// Sends its datagrams. One that the kernel rejects is lost, as any datagram may be.
    ///
    /// # Errors
    /// Those of the kernel that are not about a single datagram.
    pub fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let mut start = 0;
        let slices: Vec<_> = self
            .ends
            .iter()
            .map(|&end| {
                let slice = [IoSlice::new(&self.bytes[start..end])];
                start = end;
                slice
            })
            .collect();
        let mut sent = 0;
        while sent < slices.len() {
            const NO_CONTROL: [ControlMessage<'_>; 0] = [];
            let (slices, to, fd) = (&slices[sent..], &self.to[sent..], socket.as_raw_fd());
            match sendmmsg(fd, &mut self.headers, slices, to, NO_CONTROL, MsgFlags::empty()) {
                Ok(messages) => sent += messages.count().max(1),
                Err(Errno::EINTR) => {}
                Err(e) if is_of_one_datagram(e) => sent += 1,
                Err(e) => return Err(e.into()),
            }
        }
        self.bytes.clear();
        self.ends.clear();
        self.to.clear();
        Ok(())
    }
}

/// True if an error is about a datagram and not about the socket: no buffer space, an ICMP error of an earlier datagram, or no
/// route while an interface is down or a firewall blocks it. The datagram counts as lost, and its meter repeats it.
fn is_of_one_datagram(e: Errno) -> bool {
    matches!(
        e,
        Errno::EAGAIN
            | Errno::ENOBUFS
            | Errno::ECONNREFUSED
            | Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::EPERM
    )
}
