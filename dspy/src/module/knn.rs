//! `dspy.KNN`: the examples nearest to a question are its demos.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::{Made, Module, Notes};
use crate::{
    Demo, Error, Fields, LmError, Run,
    python::{object::Object, repr},
};

/// A module whose demos are, for each question, the nearest of some examples, the nearest first:
/// what `predict(demos=knn(**inputs), **inputs)` does with the package's `dspy.KNN`.
///
/// The examples' vectors are asked for once, at the first question, and are kept for all.
#[derive(Clone, Debug)]
pub struct Knn {
    /// What is asked.
    pub module: Box<Module>,
    /// How many examples are shown.
    pub k: usize,
    /// The model of embeddings, by its name in the program.
    pub embedder: String,
    examples: Vec<Demo>,
    vectors: Arc<OnceCell<Vec<Vec<f32>>>>,
}

impl PartialEq for Knn {
    fn eq(&self, other: &Self) -> bool {
        let parts = |it: &Self| (it.k, it.embedder.clone(), it.examples.clone());
        self.module == other.module && parts(self) == parts(other)
    }
}

impl Knn {
    /// A module that is shown the `k` nearest of these examples, by a model of embeddings.
    pub fn new(module: Module, examples: Vec<Demo>, k: usize, embedder: impl Into<String>) -> Self {
        let (module, embedder) = (Box::new(module), embedder.into());
        Self { module, k, embedder, examples, vectors: Arc::default() }
    }

    /// The examples from which the nearest are chosen.
    pub fn examples(&self) -> &[Demo] {
        &self.examples
    }

    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let demos = self.nearest(inputs, run).await?;
        let mut run = run;
        run.scope.demos = Some(&demos);
        self.module.perform(inputs, run, notes).await
    }

    async fn nearest(&self, inputs: &Fields, run: Run<'_>) -> Result<Vec<Demo>, Error> {
        if self.examples.is_empty() || self.k == 0 {
            return Ok(Vec::new());
        }
        let vectors = self.vectors.get_or_try_init(|| self.embed_examples(run)).await?;
        let asked = self.embed(run, &[text(inputs.iter())]).await?;
        let Some(asked) = asked.first() else { return Err(unfit()) };
        let mut scored = Vec::with_capacity(vectors.len());
        for (at, vector) in vectors.iter().enumerate() {
            if vector.len() != asked.len() {
                return Err(unfit());
            }
            let products = vector.iter().zip(asked).map(|(a, b)| f64::from(*a) * f64::from(*b));
            scored.push((products.sum::<f64>(), at));
        }
        // As `argsort()[-k:][::-1]`: of equal ones the later is nearer.
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        let nearest = scored.into_iter().take(self.k);
        Ok(nearest.map(|(_, at)| self.examples[at].clone()).collect())
    }

    async fn embed_examples(&self, run: Run<'_>) -> Result<Vec<Vec<f32>>, Error> {
        let names: Vec<_> = self.module.inputs().into_iter().map(|it| it.name).collect();
        let of_example = |Demo(it): &Demo| text(it.iter().filter(|(name, _)| names.contains(name)));
        let texts: Vec<_> = self.examples.iter().map(of_example).collect();
        self.embed(run, &texts).await
    }

    async fn embed(&self, run: Run<'_>, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let vectors = run.embedder.embed(&self.embedder, texts).await?;
        if vectors.len() == texts.len() { Ok(vectors) } else { Err(unfit()) }
    }
}

fn unfit() -> Error {
    let message = "the model of embeddings gave vectors that do not fit the texts or each other";
    LmError::InvalidResponse(message.to_owned()).into()
}

/// `name: value | name: value`
fn text<'a>(fields: impl Iterator<Item = (&'a String, &'a serde_json::Value)>) -> String {
    let parts = fields.map(|(name, value)| format!("{name}: {}", repr::str(&Object::from(value))));
    parts.collect::<Vec<_>>().join(" | ")
}
