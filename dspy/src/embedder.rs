//! A model that turns texts into vectors, by which the nearest demos are found.

use async_trait::async_trait;

use crate::LmError;

/// A model of embeddings.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// A vector for each text, all of one length.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, LmError>;
}

/// No model of embeddings.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEmbedder;

#[async_trait]
impl Embedder for NoEmbedder {
    async fn embed(&self, _texts: &[String]) -> Result<Vec<Vec<f32>>, LmError> {
        Err(LmError::Configuration("the program names no model of embeddings".to_owned()))
    }
}
