//! The composition root: open, recover, serve, drain.
