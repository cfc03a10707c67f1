//! Writing layers: encoding v1.
