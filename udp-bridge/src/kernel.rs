//! Datagrams that the kernel dropped because a socket's buffer was full. The count is read from `/proc/net/udp`, where
//! it is available without another datagram; `SO_RXQ_OVFL` reports it only with the next one.

use std::collections::BTreeSet;

/// The bridge's sockets, by inode.
#[derive(Debug, Default)]
pub struct Kernel(BTreeSet<u64>);

impl Kernel {
    /// Takes the inodes of the sockets.
    pub fn new(inodes: impl IntoIterator<Item = u64>) -> Self {
        Self(inodes.into_iter().collect())
    }

    /// Number of datagrams dropped on these sockets since they were opened.
    pub fn dropped(&self) -> u64 {
        // The files are absent only on systems other than Linux.
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(std::fs::read_to_string);
        tables.iter().flatten().map(|table| self.dropped_in(table)).sum()
    }

    /// Sums the drops: column 9 is the inode, the last column the drops (Linux, net/ipv4/udp.c, `udp4_format_sock`).
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
