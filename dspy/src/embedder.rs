//! A model that turns texts into vectors, by which the nearest demos are found.

use async_trait::async_trait;

use crate::LmError;

/// The models of embeddings that a program names.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// A vector for each text by the model of that name, all of one length.
    async fn embed(&self, model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, LmError>;
}

/// No model of embeddings.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEmbedder;

#[async_trait]
impl Embedder for NoEmbedder {
    async fn embed(&self, model: &str, _texts: &[String]) -> Result<Vec<Vec<f32>>, LmError> {
        Err(LmError::Configuration(format!("the program has no model of embeddings `{model}`")))
    }
}
