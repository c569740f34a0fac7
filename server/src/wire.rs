//! The PostgreSQL protocol: bytes <-> messages. Knows sessions, not SQL.
