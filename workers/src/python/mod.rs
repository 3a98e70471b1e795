//! The Python runtime.

mod interpreter;

pub use interpreter::{Interpreter, NoInterpreter, Places};
