//! Deterministic numbers from texts: FNV-1a for a seed, SplitMix64 for a sequence. Not for cryptography.

/// A seed from bytes (FNV-1a, 64 bits).
pub(crate) fn seed(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A sequence of well-mixed numbers (SplitMix64 as in Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number in [-1, 1).
    pub(crate) fn signed_unit(&mut self) -> f32 {
        // 24 bits are what an f32 holds exactly.
        let bits = u32::try_from(self.bits() >> 40).unwrap_or_default();
        bits as f32 / (1 << 23) as f32 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Sequence, seed};

    #[test]
    fn published_values_come_out() {
        assert_eq!(seed(b"foobar"), 0x8594_4171_f739_67e8);
        let mut sequence = Sequence(1_234_567);
        assert_eq!(
            [sequence.bits(), sequence.bits()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }

    #[test]
    fn numbers_fill_their_range() {
        let mut sequence = Sequence(7);
        let numbers: Vec<f32> = (0..10_000).map(|_| sequence.signed_unit()).collect();
        assert!(numbers.iter().all(|number| (-1.0..1.0).contains(number)));
        let mean = numbers.iter().sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
    }
}
