//! Sockets with the source ports of the meters.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;

use bridge_load::net::udp_socket_on;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::Problem;

/// Size of the pool: enough for an even spread over the bridge's threads, which share a port.
const POOL: u32 = 256;

/// Maximum sockets: many systems limit a process to 1,024 file descriptors.
const MAX_SOCKETS: u32 = 512;

/// Sockets, one of which is current.
#[derive(Debug)]
pub(super) struct Sockets {
    all: Arc<[UdpSocket]>,
    poll: Epoll,
    groups: Groups,
    current: usize,
}

/// Which meter sends from which socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    /// From the current one: a carrier's network assigns a meter another address each time.
    Pool,
    /// Always from the same one of this many sockets, shared with other meters.
    Fixed(u32),
}

impl Groups {
    /// The groups of `meters` NB-IoT meters, of which `shared_nat` share an address; 0 for a pool.
    ///
    /// # Errors
    /// [`Problem::Wrong`] if that needs too many sockets.
    pub(super) fn new(meters: u32, shared_nat: u32) -> Result<Self, Problem> {
        if shared_nat == 0 {
            return Ok(Self::Pool);
        }
        let sockets = meters.div_ceil(shared_nat).max(1);
        if sockets > MAX_SOCKETS {
            return Err(Problem::Wrong(format!(
                "--shared-nat {shared_nat} needs {sockets} sockets for {meters} NB-IoT meters, but {MAX_SOCKETS} is the maximum; \
                 take at least --shared-nat {}",
                meters.div_ceil(MAX_SOCKETS)
            )));
        }
        Ok(Self::Fixed(sockets))
    }
}

impl Sockets {
    /// Opens the sockets on an address of this machine.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn open(groups: Groups, on: Ipv4Addr) -> io::Result<Self> {
        let count = match groups {
            Groups::Pool => POOL,
            Groups::Fixed(count) => count,
        };
        let all = (0..count).map(|_| udp_socket_on(on, 0, false)).collect::<io::Result<Arc<[_]>>>()?;
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (position, socket) in all.iter().enumerate() {
            poll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, position as u64))?;
        }
        Ok(Self { all, poll, groups, current: 0 })
    }

    /// All of them.
    pub(super) fn all(&self) -> Arc<[UdpSocket]> {
        Arc::clone(&self.all)
    }

    /// The current socket.
    pub(super) fn now(&self) -> &UdpSocket {
        &self.all[self.current]
    }

    /// Index of the current socket.
    pub(super) fn current(&self) -> u16 {
        u16::try_from(self.current).unwrap_or_default()
    }

    /// True if a meter may send from the current socket.
    pub(super) fn is_current(&self, meter: u32) -> bool {
        match self.groups {
            Groups::Pool => true,
            Groups::Fixed(count) => self.current == group(meter, count),
        }
    }

    /// Selects the socket of a meter.
    pub(super) fn turn_to(&mut self, meter: u32) {
        if let Groups::Fixed(count) = self.groups {
            self.current = group(meter, count);
        }
    }

    /// Selects the next socket of a pool.
    pub(super) fn turn(&mut self) {
        if self.groups == Groups::Pool {
            self.current = (self.current + 1) % self.all.len();
        }
    }

    /// Indexes of readable sockets.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn ready(&self) -> io::Result<Vec<usize>> {
        let mut events = [EpollEvent::empty(); MAX_SOCKETS as usize];
        let ready = self.poll.wait(&mut events, EpollTimeout::ZERO)?;
        Ok(events[..ready].iter().filter_map(|event| usize::try_from(event.data()).ok()).collect())
    }
}

/// Group of a meter. The number is hashed, because networks alternate over the numbers, and a modulus would leave
/// groups empty.
pub(super) fn group(meter: u32, count: u32) -> usize {
    let spread = u64::from(meter.wrapping_mul(0x9E37_79B9));
    usize::try_from((spread * u64::from(count)) >> u32::BITS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_of_the_same_size_though_every_second_meter_is_of_the_other_network() {
        let mut members = [0; 10];
        (0..20_000).step_by(2).for_each(|meter| members[group(meter, 10)] += 1);
        assert!(members.iter().all(|members| (900..1_100).contains(members)), "{members:?}");
    }

    #[test]
    fn too_many_addresses_are_refused_with_the_number_that_would_do() {
        assert_eq!(Groups::new(1_000, 0).unwrap(), Groups::Pool);
        assert_eq!(Groups::new(1_000, 100).unwrap(), Groups::Fixed(10));
        assert_eq!(Groups::new(1_000, 5_000).unwrap(), Groups::Fixed(1));
        let problem = Groups::new(1_800_000, 100).unwrap_err().in_full();
        assert!(problem.contains("at least --shared-nat 3516"), "{problem}");
        assert_eq!(Groups::new(1_800_000, 3_516).unwrap(), Groups::Fixed(512));
    }
}
