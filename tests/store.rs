//! The store under crashes, neighbours and damage.
