//! Pressure: what the kernel and the queries say of a node, made into one level, with hysteresis.
//!
//! Each signal names a level by itself; the highest counts, and its signal is the cause. A level rises once it has been named for a
//! moment, critical at once; it falls one step at a time, once every signal has been well below for a while. How much memory the process
//! has resident decides nothing.

use crate::cluster::Level;

/// What a node measures of itself. All of it is passed in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// PSI: part of the last 10 s in which some task waited for memory, in percent (`memory.pressure`, some avg10).
    pub some_avg10_percent: f64,
    /// PSI: part of the last 10 s in which all tasks did, in percent (full avg10).
    pub full_avg10_percent: f64,
    /// Pages read again soon after they were evicted, a second (`workingset_refault_file`).
    pub refaults_per_s: f64,
    /// Page faults that waited for a disk, a second.
    pub major_faults_per_s: f64,
    /// Bytes written to swap, a second.
    pub swap_out_bytes_per_s: f64,
    /// Memory that cannot be reclaimed (anonymous, locked, kernel, retained by the allocator), as a part of the limit.
    pub unreclaimable_share: f64,
    /// The 99th percentile of the node's own queries as a multiple of its target; 0 if there were none.
    pub p99_to_target: f64,
}

/// A signal, as the cause of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// [`Signals::some_avg10_percent`].
    PsiSome,
    /// [`Signals::full_avg10_percent`].
    PsiFull,
    /// [`Signals::refaults_per_s`].
    Refaults,
    /// [`Signals::major_faults_per_s`].
    MajorFaults,
    /// [`Signals::swap_out_bytes_per_s`].
    SwapOut,
    /// [`Signals::unreclaimable_share`].
    Unreclaimable,
    /// [`Signals::p99_to_target`].
    Latency,
}

/// From which value on a signal names a level; infinite where it never does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// The node is loaded.
    pub loaded: f64,
    /// The node is strained.
    pub strained: f64,
    /// The node is critical.
    pub critical: f64,
}

/// Every threshold of pressure, and its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PressurePolicy {
    /// 1, 5, 10 %: starting points of the design, to be calibrated. Meta's senpai holds a workload at about 0.1 %; systemd-oomd kills at 60 %.
    pub some_avg10_percent: Thresholds,
    /// Critical from 1 %: time in which nothing at all went on.
    pub full_avg10_percent: Thresholds,
    /// A real thrash, made on ext4, read 200 cold pages a second; each cost a refault. A quarter of it is a beginning.
    pub refaults_per_s: Thresholds,
    /// Likewise. Mapped segments fault when they are first touched: never critical.
    pub major_faults_per_s: Thresholds,
    /// A little swap is a good canary: 1 MiB a second says that memory is short, 16 that it is being fought for.
    pub swap_out_bytes_per_s: Thresholds,
    /// What cannot be evicted leaves no room for segments.
    pub unreclaimable_share: Thresholds,
    /// Above the target nothing new, above twice the target relief. Slow queries alone are never critical: shedding them is for memory.
    pub p99_to_target: Thresholds,
    /// For how long a level must be named before it is taken. Critical is taken at once.
    pub rise_ms: u64,
    /// For how long every signal must be below `release` of its threshold before the level falls by one. Three times the span of avg10.
    pub fall_ms: u64,
    /// See `fall_ms`.
    pub release: f64,
}

impl Default for PressurePolicy {
    fn default() -> Self {
        let never = f64::INFINITY;
        let thresholds = |loaded, strained, critical| Thresholds { loaded, strained, critical };
        Self {
            some_avg10_percent: thresholds(1.0, 5.0, 10.0),
            full_avg10_percent: thresholds(0.2, 0.5, 1.0),
            refaults_per_s: thresholds(50.0, 200.0, never),
            major_faults_per_s: thresholds(100.0, 500.0, never),
            swap_out_bytes_per_s: thresholds(1_048_576.0, 16_777_216.0, never),
            unreclaimable_share: thresholds(0.70, 0.80, 0.90),
            p99_to_target: thresholds(1.0, 2.0, never),
            rise_ms: 2_000,
            fall_ms: 30_000,
            release: 0.5,
        }
    }
}

impl PressurePolicy {
    fn readings(&self, signals: &Signals) -> [(Signal, f64, Thresholds); 7] {
        [
            (Signal::PsiSome, signals.some_avg10_percent, self.some_avg10_percent),
            (Signal::PsiFull, signals.full_avg10_percent, self.full_avg10_percent),
            (Signal::Refaults, signals.refaults_per_s, self.refaults_per_s),
            (Signal::MajorFaults, signals.major_faults_per_s, self.major_faults_per_s),
            (Signal::SwapOut, signals.swap_out_bytes_per_s, self.swap_out_bytes_per_s),
            (Signal::Unreclaimable, signals.unreclaimable_share, self.unreclaimable_share),
            (Signal::Latency, signals.p99_to_target, self.p99_to_target),
        ]
    }

    /// The level that the signals name at this moment when every threshold is multiplied by `scale`, and the first signal that names it.
    fn named(&self, signals: &Signals, scale: f64) -> (Level, Option<Signal>) {
        let level = |value: f64, at: Thresholds| match () {
            () if value >= at.critical * scale => Level::Critical,
            () if value >= at.strained * scale => Level::Strained,
            () if value >= at.loaded * scale => Level::Loaded,
            () => Level::Calm,
        };
        let named = self.readings(signals).map(|(signal, value, at)| (level(value, at), Some(signal)));
        named.into_iter().fold((Level::Calm, None), |most, it| if it.0 > most.0 { it } else { most })
    }
}

/// A node's level, and what it is on its way to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// The level.
    pub level: Level,
    /// What named it; none when calm.
    pub cause: Option<Signal>,
    /// Since when a higher level has been named without a break.
    rising_since_ms: Option<u64>,
    /// Since when every signal has been low enough for the level to fall.
    falling_since_ms: Option<u64>,
}

impl Pressure {
    /// The pressure after `signals`, measured at `now_ms`.
    pub fn step(self, signals: &Signals, policy: &PressurePolicy, now_ms: u64) -> Self {
        let (named, cause) = policy.named(signals, 1.0);
        if named > self.level {
            return self.rise(named, cause, policy, now_ms);
        }
        let (held, _) = policy.named(signals, policy.release);
        if self.level > Level::Calm && held < self.level {
            return self.fall(policy, now_ms);
        }
        Self { rising_since_ms: None, falling_since_ms: None, ..self }
    }

    fn rise(self, named: Level, cause: Option<Signal>, policy: &PressurePolicy, now_ms: u64) -> Self {
        let since = self.rising_since_ms.unwrap_or(now_ms);
        if named == Level::Critical || now_ms.saturating_sub(since) >= policy.rise_ms {
            return Self { level: named, cause, rising_since_ms: None, falling_since_ms: None };
        }
        Self { rising_since_ms: Some(since), falling_since_ms: None, ..self }
    }

    fn fall(self, policy: &PressurePolicy, now_ms: u64) -> Self {
        let since = self.falling_since_ms.unwrap_or(now_ms);
        if now_ms.saturating_sub(since) < policy.fall_ms {
            return Self { rising_since_ms: None, falling_since_ms: Some(since), ..self };
        }
        let level = match self.level {
            Level::Critical => Level::Strained,
            Level::Strained => Level::Loaded,
            Level::Loaded | Level::Calm => Level::Calm,
        };
        let cause = self.cause.filter(|_| level > Level::Calm);
        Self { level, cause, rising_since_ms: None, falling_since_ms: Some(now_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(percent: f64) -> Signals {
        Signals { some_avg10_percent: percent, ..Signals::default() }
    }

    fn run(pressure: &mut Pressure, signals: &Signals, from_ms: u64, to_ms: u64) -> Vec<Level> {
        let policy = PressurePolicy::default();
        let mut levels = vec![pressure.level];
        for now_ms in (from_ms..to_ms).step_by(1_000) {
            *pressure = pressure.step(signals, &policy, now_ms);
            if levels.last() != Some(&pressure.level) {
                levels.push(pressure.level);
            }
        }
        levels
    }

    #[test]
    fn a_level_is_taken_when_it_lasts_and_a_spike_is_not() {
        let mut pressure = Pressure::default();
        let policy = PressurePolicy::default();
        pressure = pressure.step(&some(6.0), &policy, 0).step(&some(0.0), &policy, 1_000).step(&some(6.0), &policy, 2_000);
        assert_eq!(pressure.level, Level::Calm);
        assert_eq!(run(&mut pressure, &some(6.0), 3_000, 6_000), [Level::Calm, Level::Strained]);
        assert_eq!(pressure.cause, Some(Signal::PsiSome));
    }

    #[test]
    fn critical_is_taken_at_once() {
        let signals = Signals { full_avg10_percent: 1.0, ..Signals::default() };
        let pressure = Pressure::default().step(&signals, &PressurePolicy::default(), 0);
        assert_eq!((pressure.level, pressure.cause), (Level::Critical, Some(Signal::PsiFull)));
    }

    #[test]
    fn it_falls_step_by_step_and_not_while_a_signal_is_near() {
        let mut pressure = Pressure { level: Level::Critical, cause: Some(Signal::PsiSome), ..Pressure::default() };
        assert_eq!(run(&mut pressure, &some(0.1), 0, 200_000), [Level::Critical, Level::Strained, Level::Loaded, Level::Calm]);
        assert_eq!(pressure.cause, None);
        let mut pressure = Pressure { level: Level::Strained, ..Pressure::default() };
        assert_eq!(run(&mut pressure, &some(3.0), 0, 500_000), [Level::Strained], "3 % is more than half of 5 %");
    }

    #[test]
    fn a_value_that_is_no_number_names_nothing() {
        let pressure = Pressure::default().step(&some(f64::NAN), &PressurePolicy::default(), 0);
        assert_eq!(pressure.level, Level::Calm);
    }
}
