//! The model of embeddings by which a program finds its nearest demos.

/// A model of embeddings, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderConfig {
    /// The model, with its provider's prefix: `openai/text-embedding-3-small`.
    pub model: String,
    /// The base URL of its endpoint; the provider's own if none.
    pub api_base: Option<String>,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
}
