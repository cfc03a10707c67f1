//! Images and their layers as immutable values: reading, assembling, validating, writing.
