//! Blobs, names and records on disk: itself an OCI image layout.
