//! `dspy.ChainOfThought`: the model writes its `reasoning` before the outputs.

use crate::{Field, Signature, Type, python::text::clean_doc};

/// The signature with `reasoning` as its first output; the instructions do not name it.
///
/// The package makes a new signature for it, and so cleans the instructions once more: the margin
/// that the lines below the first have in common goes too.
pub(super) fn signature(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    signature.instructions = clean_doc(&signature.instructions);
    let own = signature.outputs.iter().position(|it| it.name == "reasoning");
    let reasoning = match own {
        Some(at) => signature.outputs.remove(at),
        None => Field::new("reasoning", Type::Str),
    };
    signature.outputs.insert(0, reasoning);
    signature
}
