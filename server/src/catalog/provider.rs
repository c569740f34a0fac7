//! DataFusion's catalog traits over one [`crate::view::View`].
