//! Work in the background: compaction, folding of inlined rows, the sweep of files that nobody needs.
