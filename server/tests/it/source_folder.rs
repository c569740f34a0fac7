//! Where this crate's sources are.

use std::path::PathBuf;

/// The folder of this crate, as whoever runs the test says: a target folder outlives a clone, and a test binary from it may have been built
/// in another one, whose scripts and suites are not those to be tested.
pub fn crate_folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}
