//! `dspyx demo`
use anyhow::{Result, bail};
use crate::{cli::Demo, config::Config};
pub(super) async fn run(_config: Config, _arguments: &Demo, _json: bool) -> Result<()> {
    std::future::ready(()).await;
    bail!("not yet")
}
