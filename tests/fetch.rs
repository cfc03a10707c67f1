//! Fetching: mirrors, digests, failures.
