//! Files from elsewhere, pinned by digest.
