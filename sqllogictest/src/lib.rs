//! Map to come.
