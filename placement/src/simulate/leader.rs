//! The leader of a scenario: the real one, and the log of what was decided, which is all that the next one has.

use crate::cluster::{Cluster, Decision, EventError, Generation};
use crate::leader::{Leader as RealLeader, LeaderPolicy};
use std::ops::{Deref, DerefMut};

/// The leader.
#[derive(Clone, Debug, Default)]
pub struct Leader {
    leader: RealLeader,
    log: Vec<(Decision, u64)>,
    next: u64,
    policy: LeaderPolicy,
    /// When somebody last planned, whoever led.
    pub(super) planned_ms: u64,
}

impl Deref for Leader {
    type Target = RealLeader;
    fn deref(&self) -> &RealLeader {
        &self.leader
    }
}

impl DerefMut for Leader {
    fn deref_mut(&mut self) -> &mut RealLeader {
        &mut self.leader
    }
}

impl Leader {
    /// The first, in a cluster whose nodes tell how they are so often.
    pub fn new(heartbeat_ms: u64) -> Self {
        let policy = LeaderPolicy::default();
        let policy = LeaderPolicy { silence_ms: policy.silence_ms.max(heartbeat_ms.saturating_mul(3)), ..policy };
        Self { leader: RealLeader::new(Cluster::default(), policy, 0), policy, ..Self::default() }
    }

    /// Takes a decision, and keeps it.
    pub fn decide(&mut self, decision: Decision, now_ms: u64) -> Result<(), EventError> {
        self.leader.decided(&decision, now_ms)?;
        self.log.push((decision, now_ms));
        Ok(())
    }

    /// The name of the next move.
    pub fn next_generation(&mut self) -> Generation {
        self.next += 1;
        Generation(self.next)
    }

    /// Another takes over, who has the log.
    pub fn change(&mut self, now_ms: u64) {
        let mut cluster = Cluster::default();
        for (decision, at_ms) in &self.log {
            let replayed = cluster.decide(decision, *at_ms);
            debug_assert_eq!(replayed, Ok(()), "what the log has taken once, it takes again");
        }
        self.leader = RealLeader::new(cluster, self.policy, now_ms);
    }

    /// A plan is made now.
    pub fn plans(&mut self, now_ms: u64) {
        self.leader.planned(now_ms);
        self.planned_ms = now_ms;
    }
}
