//! What one raft entry carries: a batch of commands, encoded once, by whoever proposed them.

use crate::command::{Command, Outcome};
use openraft::EntryPayload;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

openraft::declare_raft_types!(
    /// The types that openraft is instantiated with.
    pub TypeConfig:
        D = Batch,
        R = Vec<Outcome>,
        NodeId = u64,
        Node = openraft::BasicNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// The commands of one entry, in the order in which they are applied. Cloning is cheap.
#[derive(Clone)]
pub struct Batch {
    /// The commands.
    pub commands: Arc<[Command]>,
    /// The same as a msgpack array: what the log stores.
    pub bytes: Arc<[u8]>,
}

/// The head of a msgpack array whose length is a 32-bit number.
const ARRAY_32: u8 = 0xdd;

impl Batch {
    /// A batch of commands and their encodings.
    pub fn new(encoded: impl Iterator<Item = (Command, Vec<u8>)>) -> Self {
        let (commands, encodings): (Vec<Command>, Vec<Vec<u8>>) = encoded.unzip();
        let count = u32::try_from(commands.len()).expect("a batch is bounded far below 2^32 commands");
        let mut bytes = Vec::with_capacity(5 + encodings.iter().map(Vec::len).sum::<usize>());
        bytes.push(ARRAY_32);
        bytes.extend_from_slice(&count.to_be_bytes());
        encodings.iter().for_each(|encoding| bytes.extend_from_slice(encoding));
        Self { commands: commands.into(), bytes: bytes.into() }
    }

    /// Is this what `entry` carries?
    pub(crate) fn is_in(&self, entry: &openraft::Entry<TypeConfig>) -> bool {
        matches!(&entry.payload, EntryPayload::Normal(batch) if batch.bytes == self.bytes)
    }
}

/// Encodes one command for [`Batch::new`].
pub fn encode_command(command: &Command) -> Vec<u8> {
    rmp_serde::to_vec_named(command).expect("writing plain data to a vector does not fail")
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} commands, {} bytes)", self.commands.len(), self.bytes.len())
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bytes)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?.into_vec();
        let commands: Vec<Command> = rmp_serde::from_slice(&bytes).map_err(D::Error::custom)?;
        Ok(Self { commands: commands.into(), bytes: bytes.into() })
    }
}
