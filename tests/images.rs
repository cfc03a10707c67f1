//! Images read, assembled, validated and written.
