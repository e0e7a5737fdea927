//! What the kernel has dropped: datagrams that came while its buffer for the socket was full. It tells in
//! `/proc/net/udp`, also when no datagram comes any more to carry the news (as `SO_RXQ_OVFL` would need).

use std::collections::BTreeSet;

/// The sockets whose drops count.
#[derive(Debug, Default)]
pub struct Kernel(BTreeSet<u64>);

impl Kernel {
    /// The sockets by the numbers under which the kernel lists them.
    pub fn new(inodes: impl IntoIterator<Item = u64>) -> Self {
        Self(inodes.into_iter().collect())
    }

    /// How many datagrams were dropped for want of room since the sockets were opened.
    pub fn dropped(&self) -> u64 {
        // The one of a thread, not of the process, would do as well; either is absent only off Linux.
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(std::fs::read_to_string);
        tables.iter().flatten().map(|table| self.dropped_in(table)).sum()
    }

    /// Columns: 9 is the inode, the last one the drops (Linux, net/ipv4/udp.c, `udp4_format_sock`).
    fn dropped_in(&self, table: &str) -> u64 {
        let drops = |line: &str| {
            let mut columns = line.split_ascii_whitespace();
            let inode: u64 = columns.nth(9)?.parse().ok()?;
            let drops: u64 = columns.next_back()?.parse().ok()?;
            self.0.contains(&inode).then_some(drops)
        };
        table.lines().filter_map(drops).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 4112: 0100007F:1B63 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 23456 2 0000000000000000 17
 4113: 0100007F:1B64 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 23457 2 0000000000000000 5
";

    #[test]
    fn only_the_drops_of_our_own_sockets_count() {
        assert_eq!(Kernel::new([23456]).dropped_in(TABLE), 17);
        assert_eq!(Kernel::new([23456, 23457]).dropped_in(TABLE), 22);
        assert_eq!(Kernel::new([1]).dropped_in(TABLE), 0);
    }

    #[test]
    fn what_a_full_socket_drops_is_told() {
        let sockets = crate::socket::Socket::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let kernel = Kernel::new(sockets[0].inode());
        assert_eq!(kernel.dropped(), 0);
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = sockets[0].receive_buffer() * 2 / 2048 + 100;
        for _ in 0..sent {
            sender.send_to(&[0; 2048], sockets[0].local_addr().unwrap()).unwrap();
        }
        assert!(kernel.dropped() > 0, "of {sent}");
    }
}
