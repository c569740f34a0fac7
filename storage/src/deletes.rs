//! Which rows of a unit are gone: a roaring bitmap of row offsets.

use crate::error::Result;
use roaring::RoaringBitmap;

/// The deleted row offsets of one segment or inlined batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletes(pub RoaringBitmap);

impl Deletes {
    /// The portable serialized form that commits carry.
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads [`Deletes::to_bytes`] back; refuses anything else.
    pub fn from_bytes(_bytes: &[u8]) -> Result<Self> {
        todo!()
    }
}
