//! The model of embeddings by which a program finds its nearest demos.

use dspy::LmEndpoint;

/// A model of embeddings, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderConfig {
    /// The model, with its provider's prefix: `openai/text-embedding-3-small`.
    pub model: String,
    /// Where it is asked.
    pub endpoint: LmEndpoint,
}
