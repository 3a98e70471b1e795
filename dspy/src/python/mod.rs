//! Python's own ways, to the letter: its values, how it prints, reads and splits them.

pub(crate) mod code_point;
pub(crate) mod decimal;
pub(crate) mod json;
pub(crate) mod json_read;
pub(crate) mod literal;
pub(crate) mod name;
mod number;
pub(crate) mod object;
pub(crate) mod repr;
mod string_literal;
pub(crate) mod text;
pub(crate) mod unicode;
