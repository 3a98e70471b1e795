//! Python's own ways, to the letter: how it prints, reads and splits.

pub(crate) mod repr;
