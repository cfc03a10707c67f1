//! Specs as users write them, right and wrong, in both syntaxes.
