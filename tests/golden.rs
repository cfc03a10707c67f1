//! Golden digests: encoding v1 must give these bytes for ever.
