//! Random numbers and the ids made of them.

/// A SplitMix64 generator: small, seedable, and random enough for ids and dice.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        // 53 bits fill the mantissa of an f64 exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64")]
        let roll = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        roll < probability
    }

    /// An EC2 resource id of the long form: prefix and 17 hexadecimal digits.
    pub(crate) fn resource_id(&mut self, prefix: &str) -> String {
        let (high, low) = (self.next_u64(), self.next_u64());
        format!("{prefix}-0{:08x}{:08x}", high >> 32, low >> 32)
    }

    /// A UUID-shaped id, as requests and fleets have.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next_u64(), self.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 52) & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }
}

/// A stable number for a text (FNV-1a), from which fixed ids of default networks and images are made.
pub(crate) fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A resource id that is always the same for the same text.
pub(crate) fn stable_id(prefix: &str, text: &str) -> String {
    Random::new(stable_hash(text)).resource_id(prefix)
}

#[cfg(test)]
mod tests {
    use super::{Random, stable_id};

    #[test]
    fn ids_have_the_long_form() {
        let id = Random::new(1).resource_id("i");
        assert_eq!(id.len(), 19);
        assert!(id[2..].bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(Random::new(7).uuid().len(), 36);
        assert_eq!(stable_id("vpc", "x"), stable_id("vpc", "x"));
    }

    #[test]
    fn chance_is_never_below_zero_and_always_at_one() {
        let mut random = Random::new(3);
        assert!((0..100).all(|_| random.chance(1.0) && !random.chance(0.0)));
    }
}
