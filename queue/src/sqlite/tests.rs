//! What the conformance suite does not see.
