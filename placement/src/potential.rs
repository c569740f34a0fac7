//! The potential: what balancing lowers.
//!
//! Of loads `L` and capacities `C` of the active nodes, and for each resource `r` its weight `w` and the sum `S` of the capacities:
//!
//! ```text
//! potential = sum over r, nodes of  w(r) / S(r) * L(n, r)^2 / C(n, r)
//! ```
//!
//! That is the mean over capacity of the square of the share `L / C`: least when all shares are equal, whatever the capacities. It is
//! convex, so that a scarce resource weighs more, and moving a load `d` changes two terms of it:
//!
//! ```text
//! gain(a -> b, d) = sum over r of  d(r) * (m(a, r) - m(b, r)) - d(r)^2 * (q(a, r) + q(b, r)),    q = w / (S * C),    m = 2 * q * L
//! ```
//!
//! Loads are exact integers; gains are computed in doubles, each from the exact loads, so that no error adds up. The relative error of a
//! gain's terms is below 1e-14; the least step is larger than that by orders of magnitude. docs/placement.md has the proof that it settles.

use crate::cluster::{RESOURCES, Resources};
use crate::policy::Policy;

/// The factors `w / S`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Potential {
    scale: [f64; RESOURCES],
    disk_share: f64,
    step_per_share: f64,
    step_min: f64,
}

/// A node's part in every gain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slope {
    m: [f64; RESOURCES],
    q: [f64; RESOURCES],
}

impl Potential {
    /// Of active nodes with these capacities in sum.
    pub fn new(policy: &Policy, capacity_sum: &[f64; RESOURCES]) -> Self {
        let mut scale = [0.0; RESOURCES];
        for r in 0..RESOURCES {
            scale[r] = if capacity_sum[r] > 0.0 { policy.weights[r] / capacity_sum[r] } else { 0.0 };
        }
        let disk_share = if capacity_sum[1] > 0.0 { 1.0 / capacity_sum[1] } else { 0.0 };
        Self { scale, disk_share, step_per_share: policy.step_per_share, step_min: policy.step_min }
    }

    /// A node's slope. A resource that it does not have has none: what needs it is ruled out there otherwise.
    pub fn slope(&self, load: &Resources, capacity: &Resources) -> Slope {
        let mut slope = Slope::default();
        for r in 0..RESOURCES {
            if capacity.0[r] > 0 {
                slope.q[r] = self.scale[r] / capacity.0[r] as f64;
                slope.m[r] = 2.0 * slope.q[r] * load.0[r] as f64;
            }
        }
        slope
    }

    /// One node's term.
    pub fn term(&self, load: &Resources, capacity: &Resources) -> f64 {
        let part = |r: usize| match capacity.0[r] {
            0 => 0.0,
            capacity => self.scale[r] * (load.0[r] as f64) * (load.0[r] as f64) / capacity as f64,
        };
        (0..RESOURCES).map(part).sum()
    }

    /// The part of all disks that a transfer of so many bytes is.
    pub fn transfer_share(&self, transfer_bytes: u64) -> f64 {
        transfer_bytes as f64 * self.disk_share
    }

    /// What a balancing move must gain that transfers so many bytes.
    pub fn step(&self, transfer_bytes: u64) -> f64 {
        self.step_min.max(self.step_per_share * self.transfer_share(transfer_bytes))
    }

    /// The least potential with these loads in sum: all shares equal.
    pub fn least(&self, load_sum: &[f64; RESOURCES], capacity_sum: &[f64; RESOURCES]) -> f64 {
        let part = |r: usize| if capacity_sum[r] > 0.0 { self.scale[r] * load_sum[r] * load_sum[r] / capacity_sum[r] } else { 0.0 };
        (0..RESOURCES).map(part).sum()
    }
}

impl Slope {
    /// By how much the potential falls when `load` goes from here to `to`.
    #[inline]
    pub fn gain(&self, to: &Self, load: &[f64; RESOURCES]) -> f64 {
        (0..RESOURCES).map(|r| load[r] * (self.m[r] - to.m[r] - load[r] * (self.q[r] + to.q[r]))).sum()
    }

    /// By how much the potential rises when `load` comes here.
    #[inline]
    pub fn cost(&self, load: &[f64; RESOURCES]) -> f64 {
        (0..RESOURCES).map(|r| load[r] * (self.m[r] + load[r] * self.q[r])).sum()
    }

    /// By how much the potential falls when `load` goes from here.
    #[inline]
    pub fn relief(&self, load: &[f64; RESOURCES]) -> f64 {
        (0..RESOURCES).map(|r| load[r] * (self.m[r] - load[r] * self.q[r])).sum()
    }
}

/// A load, as gains are computed from it.
#[inline]
pub fn real(load: &Resources) -> [f64; RESOURCES] {
    load.0.map(|it| it as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_the_difference_of_the_potentials() {
        let potential = Potential::new(&Policy::default(), &[300.0, 3000.0, 30.0]);
        let (capacity_a, capacity_b) = (Resources::new(100, 1000, 10), Resources::new(200, 2000, 20));
        let (mut a, mut b) = (Resources::new(90, 100, 5), Resources::new(20, 900, 8));
        let load = Resources::new(7, 30, 1);
        let sum = |a: &Resources, b: &Resources| potential.term(a, &capacity_a) + potential.term(b, &capacity_b);
        let before = sum(&a, &b);
        let (from, to) = (potential.slope(&a, &capacity_a), potential.slope(&b, &capacity_b));
        a.subtract(&load);
        b.add(&load);
        let gain = from.gain(&to, &real(&load));
        assert!((before - sum(&a, &b) - gain).abs() < 1e-15);
        assert!((from.relief(&real(&load)) - to.cost(&real(&load)) - gain).abs() < 1e-15);
    }
}
