//! The token of a server that made its own key, in a file that only its user can read, so that
//! commands on the same machine need not be told. Named by port, and gone when the server ends.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::config::{self, Secret};

/// A published token; its file is removed when this is dropped.
pub(crate) struct Published(PathBuf);

impl Published {
    /// Where it can be read.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // A file that stays is harmless: its token is worth nothing to the next server.
        let _gone = fs::remove_file(&self.0);
    }
}

/// Writes the token of the server on this port where its user's commands look for it.
pub(crate) fn publish(port: u16, token: &str) -> Result<Published> {
    let folder = config::runtime_dir().context("neither XDG_RUNTIME_DIR nor HOME is set")?;
    publish_in(&folder, port, token)
}

fn publish_in(folder: &Path, port: u16, token: &str) -> Result<Published> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(name(port));
    // Written beside and moved, so that nobody reads half a token or an old file's rights stay.
    let draft = folder.join(format!("{}.{}", name(port), std::process::id()));
    let _old = fs::remove_file(&draft);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    file.and_then(|mut file| file.write_all(token.as_bytes()))
        .and_then(|()| fs::rename(&draft, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Published(path))
}

/// The token of the server on this port of this machine, if it was published.
pub(crate) fn find(port: u16) -> Option<Secret> {
    let token = fs::read_to_string(config::runtime_dir()?.join(name(port))).ok()?;
    (!token.is_empty()).then(|| Secret::new(token.trim()))
}

fn name(port: u16) -> String {
    format!("{port}.token")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_user_can_read_the_token_while_the_server_runs() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("dspyx");
        let published = publish_in(&below, 8001, "first").unwrap();
        drop(published);
        let published = publish_in(&below, 8001, "second").unwrap();

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(published.path()), mode(&below)), (0o600, 0o700));
        assert_eq!(fs::read_to_string(published.path()).unwrap(), "second");

        drop(published);
        assert_eq!(fs::read_dir(&below).unwrap().count(), 0);
    }
}
