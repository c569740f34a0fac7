//! Chance from a seed: the same numbers on every machine, so no floats and no library whose algorithm may change.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

/// One, in the fixed-point numbers of this file: 16 bits behind the point.
const ONE: i64 = 1 << 16;

impl Random {
    /// The sequence of one seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for one purpose, so that drawing more for another does not change it.
    pub fn fork(&self, purpose: u64) -> Self {
        Self(Self(self.0 ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93)).draw())
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// True in so many of a hundred draws.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// `value`, up to so many percent more or less, evenly.
    pub fn around(&mut self, value: u64, percent: u64) -> u64 {
        if percent == 0 {
            return value;
        }
        let per_10_000 = 10_000 - percent * 100 + self.below(percent * 200 + 1);
        scale(value, per_10_000, 10_000)
    }

    /// Lognormal around the median: its logarithm to base 2 has a standard deviation of `spread_percent` hundredths. The normal variable is
    /// the sum of twelve even ones (Irwin-Hall), the power of 2 a cubic, both in fixed point.
    pub fn lognormal(&mut self, median: u64, spread_percent: u64) -> u64 {
        if spread_percent == 0 {
            return median;
        }
        let sum: i64 = (0..12).map(|_| self.below(ONE as u64) as i64).sum();
        power_of_two(median, (sum - 6 * ONE) * spread_percent as i64 / 100)
    }
}

/// `value * 2^(exponent / 65536)`.
pub fn power_of_two(value: u64, exponent: i64) -> u64 {
    let (whole, part) = (exponent.div_euclid(ONE), exponent.rem_euclid(ONE));
    // 2^x on [0, 1]: 1 + 0.6951 x + 0.2276 x^2 + 0.0773 x^3, off by less than 0.0002.
    let square = part * part / ONE;
    let cube = square * part / ONE;
    let factor = ONE + (45_554 * part + 14_916 * square + 5_066 * cube) / ONE;
    let scaled = u128::from(value) * factor as u128;
    let shift = 16 - whole.clamp(-64, 40);
    u64::try_from(if shift >= 0 { scaled >> shift.min(127) } else { scaled << -shift }).unwrap_or(u64::MAX)
}

/// `value * numerator / denominator` without overflow on the way.
pub fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(numerator) / u128::from(denominator.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_near_enough() {
        assert_eq!(power_of_two(1 << 30, 0), 1 << 30);
        assert_eq!(power_of_two(1 << 30, 3 * ONE), 1 << 33);
        assert_eq!(power_of_two(1 << 30, -2 * ONE), 1 << 28);
        let root = power_of_two(1_000_000, ONE / 2);
        assert!((1_413_500..1_415_000).contains(&root), "{root}");
    }

    #[test]
    fn draws_are_where_they_should_be() {
        let mut random = Random::new(1);
        let mean = (0..10_000).map(|_| random.below(1000)).sum::<u64>() / 10_000;
        assert!((480..520).contains(&mean), "{mean}");
        let mut sizes: Vec<_> = (0..10_001).map(|_| random.lognormal(1 << 20, 100)).collect();
        sizes.sort();
        assert!((sizes[5_000] as i64 - (1 << 20)).abs() < 60_000, "{}", sizes[5_000]);
        assert!((0..1000).all(|_| (90..=110).contains(&random.around(100, 10))));
    }

    #[test]
    fn one_seed_is_one_sequence() {
        let draw = |seed| (0..4).map(|_| Random::new(seed).draw()).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(Random::new(7).draw(), Random::new(8).draw());
        assert_ne!(Random::new(7).fork(1).draw(), Random::new(7).fork(2).draw());
    }
}
