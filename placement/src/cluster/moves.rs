//! Moves: a change of where a segment's copies are, and the life of such a change.
//!
//! 1. Begun: decided, charged at both ends. The target may refuse, at the moment of loading.
//! 2. Copied: the file is on the target's disk, verified.
//! 3. Warm: enough of it is resident to serve.
//! 4. Switched: new queries go to the target; the source keeps those that it has.
//! 5. Finished: the source has drained, its copy is gone. Or, before it was switched, aborted or refused: nothing has changed.

use super::node::{Epoch, NodeId};
use crate::model::UnitId;
use serde::{Deserialize, Serialize};

/// Names a move for ever, and orders moves: an executor that holds an older number than the log is stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// What a move does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MoveKind {
    /// The copy on `from` is replaced by one on `to` that is served.
    Relocate,
    /// One more served copy, on `to`; it is read from `from`, which keeps its own.
    Replicate,
    /// One more copy on the disk of `to`, not served; it is read from `from`, which keeps its own.
    ReplicateToDisk,
    /// The copy on `from`, not served, is replaced by one on the disk of `to`.
    RelocateOnDisk,
    /// The copy that `to` has on its disk is served from now on.
    Promote,
    /// The copy on `from` is kept on disk, and no longer served.
    Demote,
    /// The copy on `from` goes: there are others enough.
    Drop,
}

impl MoveKind {
    /// Does it bring a copy to a node that had none?
    pub fn transfers(self) -> bool {
        matches!(self, Self::Relocate | Self::Replicate | Self::ReplicateToDisk | Self::RelocateOnDisk)
    }

    /// Does `to` serve the segment when it is done?
    pub fn serves(self) -> bool {
        matches!(self, Self::Relocate | Self::Replicate | Self::Promote)
    }

    /// Does the copy on `from` go when it is done?
    pub fn removes(self) -> bool {
        matches!(self, Self::Relocate | Self::RelocateOnDisk | Self::Drop)
    }

    /// Its name, as users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relocate => "move",
            Self::Replicate => "copy",
            Self::ReplicateToDisk => "copy to disk",
            Self::RelocateOnDisk => "move on disk",
            Self::Promote => "serve",
            Self::Demote => "stop serving",
            Self::Drop => "drop",
        }
    }
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Decided.
    Begun,
    /// The file is there, and verified.
    Copied,
    /// It can be served.
    Warm,
    /// It is served by the target.
    Switched,
    /// Done.
    Finished,
    /// Given up; nothing has changed.
    Aborted,
    /// The target has said no; nothing has changed.
    Refused,
}

impl Phase {
    /// May a move of this phase be in `next` next? The only list of legal transitions.
    pub fn may_become(self, next: Self) -> bool {
        use Phase::{Aborted, Begun, Copied, Finished, Refused, Switched, Warm};
        matches!(
            (self, next),
            (Begun, Copied | Warm | Finished | Aborted | Refused)
                | (Copied, Warm | Finished | Aborted | Refused)
                | (Warm, Switched | Aborted | Refused)
                | (Switched, Finished)
        )
    }

    /// Is nothing left to do?
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Aborted | Self::Refused)
    }
}

/// A move in flight. What it must not do is decided; nothing in it is left to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Its name; none has the same.
    pub generation: Generation,
    /// The segment.
    pub segment: UnitId,
    /// What it does.
    pub kind: MoveKind,
    /// The node whose copy is read, and for some kinds removed. None only where the kind needs none.
    pub from: Option<NodeId>,
    /// The node that gets or serves the copy. None only where the kind needs none.
    pub to: Option<NodeId>,
    /// The epoch of `to` that the decision was made for: a later one may refuse it as stale.
    pub to_epoch: Epoch,
    /// When it was begun.
    pub begun_at_ms: u64,
    /// How far it is.
    pub phase: Phase,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Phase; 7] = [Phase::Begun, Phase::Copied, Phase::Warm, Phase::Switched, Phase::Finished, Phase::Aborted, Phase::Refused];

    #[test]
    fn a_move_that_is_over_stays_so_and_one_that_was_switched_can_only_finish() {
        for phase in ALL {
            let next: Vec<_> = ALL.into_iter().filter(|next| phase.may_become(*next)).collect();
            assert_eq!(next.is_empty(), phase.is_over(), "{phase:?}");
            assert!(next.iter().all(|next| *next > phase), "{phase:?} never goes back: {next:?}");
        }
        assert!(!Phase::Switched.may_become(Phase::Aborted) && !Phase::Switched.may_become(Phase::Refused));
    }
}
