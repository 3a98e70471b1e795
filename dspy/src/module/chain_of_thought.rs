//! `dspy.ChainOfThought`: the model writes its `reasoning` before the outputs.

use crate::{Field, Signature, Type};

/// The signature with `reasoning` as its first output; instructions that are there do not name it.
pub(super) fn signature(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    let own = signature.outputs.iter().position(|it| it.name == "reasoning");
    let reasoning = match own {
        Some(at) => signature.outputs.remove(at),
        None => Field::new("reasoning", Type::Str),
    };
    signature.outputs.insert(0, reasoning);
    signature.made_anew()
}
