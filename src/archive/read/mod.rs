//! Reading archives that others wrote, within limits.
