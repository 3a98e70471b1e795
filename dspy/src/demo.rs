//! A demonstration: an example shown to the model before the question.

use serde::{Deserialize, Serialize};

use crate::Fields;

/// Field values of an example, inputs and outputs together; some may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Demo(pub Fields);
