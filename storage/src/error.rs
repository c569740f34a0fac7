//! What can go wrong with files and segments; kinds say what the caller can do about it.

use std::io;

/// The result of everything in this crate that can fail.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why a storage operation failed. Every variant names the file, where there is one.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk has no room left (ENOSPC, EDQUOT): free space and try again.
    #[error("could not write file \"{file}\": no space left on device")]
    DiskFull {
        /// The file that was being written.
        file: String,
    },
    /// The operating system refused a file operation.
    #[error("could not {operation} file \"{file}\": {source}")]
    Io {
        /// `open`, `read`, `write`, `sync`, `rename`, `remove`, `map`, `list`.
        operation: &'static str,
        /// The file concerned.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not what was written: truncated, altered, or never a segment. Restore it from a replica or a backup.
    #[error("segment file \"{file}\" is damaged{}: {reason}", column.as_ref().map(|c| format!(" in column \"{c}\"")).unwrap_or_default())]
    Damaged {
        /// The file concerned.
        file: String,
        /// The column, where the damage is confined to one.
        column: Option<String>,
        /// What was found, and what was expected.
        reason: String,
    },
    /// The file was written by a newer version than this one.
    #[error("segment file \"{file}\" has format version {found}, newer than {supported} which this server reads")]
    NewerFormat {
        /// The file concerned.
        file: String,
        /// The version found in the file.
        found: u32,
        /// The newest version that this build reads.
        supported: u32,
    },
    /// An Arrow kernel failed, for instance on a value that its type cannot hold.
    #[error("{0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl StorageError {
    /// An operating system error on a file; the lack of space has a kind of its own.
    pub fn io(operation: &'static str, file: &str, source: io::Error) -> Self {
        let full = [rustix::io::Errno::NOSPC.raw_os_error(), rustix::io::Errno::DQUOT.raw_os_error()];
        match source.raw_os_error() {
            Some(code) if full.contains(&code) => Self::DiskFull { file: file.to_string() },
            _ => Self::Io { operation, file: file.to_string(), source },
        }
    }

    /// Bytes that are not what was written.
    pub fn damaged(file: &str, column: Option<&str>, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_string(), column: column.map(str::to_string), reason: reason.into() }
    }
}
