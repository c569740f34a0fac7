//! The node's side of footprints: what it measures of a segment, averaged, and when that is worth telling.
//!
//! A measurement is noisy and a cluster has millions of segments: a node tells what has changed, and a change is more than noise. What the leader
//! makes of it, and when the log learns of it, is in [`crate::leader`].

use crate::cluster::Footprint;

/// Every threshold of telling, and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TellingPolicy {
    /// What a new measurement counts for in the average: one part of so many. 8: of noise of 10 % a thirtieth or so is left.
    pub average_parts: u64,
    /// By how much the average must have moved from what was told, in percent. 5: a fifth of what a report may be off for noise.
    pub moved_percent: u64,
    /// By how much one measurement must be off what was told to be no noise, in percent: it is told at once. 25: what reports may be off
    /// (`report_noise`).
    pub jumped_percent: u64,
}

impl Default for TellingPolicy {
    fn default() -> Self {
        Self { average_parts: 8, moved_percent: 5, jumped_percent: 25 }
    }
}

/// What a node knows of one segment's footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    average: Footprint,
    told: Footprint,
}

impl Measured {
    /// Of a segment that costs what is expected, as far as is known.
    pub fn expected(footprint: Footprint) -> Self {
        Self { average: footprint, told: footprint }
    }

    /// What was last told.
    pub fn told(&self) -> Footprint {
        self.told
    }

    /// Takes a measurement; `true` if there is something to tell: [`Measured::told`] is another.
    pub fn learn(&mut self, measured: Footprint, policy: &TellingPolicy) -> bool {
        if measured == self.told && measured == self.average {
            return false;
        }
        let jumped = differs(&measured, &self.told, policy.jumped_percent);
        self.average = match jumped {
            true => measured,
            false => Footprint {
                resident_bytes: blend(self.average.resident_bytes, measured.resident_bytes, policy.average_parts),
                cpu_micros: blend(self.average.cpu_micros, measured.cpu_micros, policy.average_parts),
                ..measured
            },
        };
        let tells = jumped || differs(&self.average, &self.told, policy.moved_percent);
        if tells {
            self.told = self.average;
        }
        tells
    }
}

/// Is the memory or the processor time of `a` off that of `b` by more than so many percent of it?
fn differs(a: &Footprint, b: &Footprint, percent: u64) -> bool {
    let off = |a: u64, b: u64| u128::from(a.abs_diff(b)) * 100 > u128::from(b) * u128::from(percent);
    off(a.resident_bytes, b.resident_bytes) || off(a.cpu_micros, b.cpu_micros)
}

fn blend(average: u64, new: u64, parts: u64) -> u64 {
    let parts = u128::from(parts.max(1));
    let sum = u128::from(average) * (parts - 1) + u128::from(new);
    u64::try_from(sum / parts).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(resident_bytes: u64) -> Footprint {
        Footprint { resident_bytes, disk_bytes: 9_000, cpu_micros: 100, load_peak_bytes: 0 }
    }

    #[test]
    fn noise_is_not_told_a_drift_is_and_a_jump_at_once() {
        let policy = TellingPolicy::default();
        let mut it = Measured::expected(of(1_000));
        assert!((0..100).all(|turn| !it.learn(of(if turn % 2 == 0 { 1_100 } else { 900 }), &policy)), "noise of 10 %");
        let tells = (0..100).filter(|turn| it.learn(of(1_000 + turn * 2), &policy)).count();
        assert!((2..=4).contains(&tells) && it.told().resident_bytes.abs_diff(1_200) < 60, "{tells} times, {:?}", it.told());
        assert!(it.learn(of(1_600), &policy) && it.told() == of(1_600), "a jump is believed as it is");
        assert!(!it.learn(of(1_600), &policy), "and told once");
    }

    #[test]
    fn no_measurement_is_too_large_or_too_small() {
        let policy = TellingPolicy { average_parts: 0, ..TellingPolicy::default() };
        let mut it = Measured::expected(of(0));
        assert!(it.learn(of(u64::MAX), &policy) && !it.learn(of(u64::MAX), &policy) && it.learn(of(0), &policy));
    }
}
