//! An offline model of embeddings: texts that share words are near each other.

use async_trait::async_trait;

use crate::{Embedder, LmError};

/// How long a vector is.
const LENGTH: usize = 256;

/// A deterministic model of embeddings that needs no network. It knows nothing of meaning: every
/// word counts once in a place of its own, as far as there are places.
#[derive(Clone, Copy, Debug, Default)]
pub struct DummyEmbedder;

#[async_trait]
impl Embedder for DummyEmbedder {
    async fn embed(&self, _model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, LmError> {
        Ok(texts.iter().map(|it| vector(it)).collect())
    }
}

/// The words of a text, each in its place, made one long.
fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; LENGTH];
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|it| !it.is_empty());
    for word in words {
        vector[place(&word.to_lowercase())] += 1.0;
    }
    let length = vector.iter().map(|it| it * it).sum::<f32>().sqrt();
    if length > 0.0 {
        for it in &mut vector {
            *it /= length;
        }
    }
    vector
}

/// FNV-1a, which is the same everywhere and always.
fn place(word: &str) -> usize {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % LENGTH as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(a: &str, b: &str) -> f32 {
        vector(a).iter().zip(vector(b)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_with_the_same_words_are_near() {
        let (paris, rome) = ("What is the capital of France?", "How tall is Mont Blanc?");
        assert!(nearness(paris, "the Capital of france") > 2.0 * nearness(paris, rome));
        assert!((nearness(paris, paris) - 1.0).abs() < 1e-5);
        assert!(vector("").iter().all(|it| it.abs() < f32::EPSILON));
    }
}
