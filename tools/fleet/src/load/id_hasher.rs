//! Fast hasher for uplink IDs. Collision attacks are not a concern: the map holds only the fleet's own IDs,
//! and IDs from outside are only looked up.

use std::hash::Hasher;

/// Hashes a few integers: each is mixed in by a multiplication, as in Firefox's and rustc's `FxHasher`; at the end the
/// high bits are mixed into the low ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IdHasher(u64);

/// An odd number with well-mixed bits: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for IdHasher {
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(MULTIPLIER);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault};

    use super::*;

    #[test]
    fn names_next_to_each_other_have_hashes_that_share_neither_their_low_bits_nor_their_high_ones() {
        let hashes = BuildHasherDefault::<IdHasher>::default();
        let names = (0..200_000_u32).map(|meter| (meter, 1 + meter.wrapping_mul(2_654_435_761) % 1_000_000));
        let (mut low, mut high, mut whole) = (HashSet::new(), [0_u32; 128], HashSet::new());
        for name in names {
            let hash = hashes.hash_one(name);
            whole.insert(hash);
            low.insert(hash & 0x3_FFFF);
            high[usize::try_from(hash >> 57).unwrap()] += 1;
        }
        assert_eq!(whole.len(), 200_000);
        // 200,000 random values in 2^18 places occupy 1 - 1/e^0.76 of them: 140,000.
        assert!(low.len() > 130_000, "{}", low.len());
        assert!(high.iter().all(|&count| (1_100..2_100).contains(&count)), "{high:?}");
    }
}
