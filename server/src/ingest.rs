//! The life of a commit: rows -> constraints -> segments -> one command.
