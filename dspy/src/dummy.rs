//! The offline model.

use async_trait::async_trait;

use crate::{Lm, LmError, LmReply, LmRequest};

/// A deterministic model that needs no network; its names begin with `dummy/`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DummyLm;

#[async_trait]
impl Lm for DummyLm {
    async fn complete(&self, _request: &LmRequest) -> Result<LmReply, LmError> {
        Ok(LmReply::default())
    }
}
