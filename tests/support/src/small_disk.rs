//! A disk that can be filled: a file system in memory, which only the processes see that enter it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::{server_child::ServerChild, until};

const MOUNTED: &str = "mounted";

/// A small disk in place of a folder, until it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    /// Without a process in it a namespace is gone.
    keeper: ServerChild,
    folder: PathBuf,
    _log: TempDir,
}

impl SmallDisk {
    /// A disk of so many megabytes. None where the system gives a user no namespaces.
    pub async fn over(folder: &Path, megabytes: usize) -> Option<Self> {
        let log = tempfile::tempdir().expect("a folder");
        let (size, folder) = (format!("size={megabytes}m"), folder.to_owned());
        let mount = format!("mount -t tmpfs -o {size} disk '{}'", folder.display());
        let script = format!("{mount} && echo {MOUNTED} && exec sleep infinity");
        let args = ["--user", "--map-root-user", "--mount"].into_iter().chain(DIES_WITH_THE_TEST);
        let args: Vec<_> = args.chain(["sh", "-c", &script]).map(str::to_owned).collect();
        let mut keeper = ServerChild::start(log.path(), "keeper", "unshare", &args);
        let is_there = until("a disk is mounted or refused", Duration::from_secs(10), async || {
            let said = std::fs::read_to_string(log.path().join("keeper")).unwrap_or_default();
            let is_mounted = said.contains(MOUNTED);
            (is_mounted || !keeper.is_alive()).then_some(is_mounted)
        });
        let is_there = is_there.await;
        is_there.then(|| Self { keeper, folder, _log: log })
    }

    /// The command by which a program sees the disk.
    pub fn enter(&self, program: &str) -> Vec<String> {
        let target = self.keeper.pid().to_string();
        let enter = ["nsenter", "--target", &target, "--user", "--mount", "--preserve-credentials"];
        let words = enter.into_iter().chain(DIES_WITH_THE_TEST).chain([program]);
        words.map(str::to_owned).collect()
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).expect("a file on the disk");
        let full = std::iter::repeat_with(|| ballast.write_all(&[0; 4096])).find_map(Result::err);
        let full = full.map(|error| error.kind());
        assert_eq!(full, Some(std::io::ErrorKind::StorageFull));
    }

    /// Gives back what was filled.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.pid()));
        root.join(self.folder.strip_prefix("/").unwrap_or(&self.folder)).join("ballast")
    }
}

/// Entering a namespace takes away what was said before of the end of the parent.
const DIES_WITH_THE_TEST: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];
