//! Unpacks an archive of GitHub, of which nothing leads out of its folder.
//!
//! Links are left out: without any in the folder, no path that is written can lead elsewhere.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Component, Path, PathBuf},
};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use super::{SourceError, budget::Budget};

/// What an archive holds besides files: headers and padding, for each of them.
const OVERHEAD_BYTES: u64 = 64 << 20;

/// Unpacks an archive into a folder, without the folder at its top. Says how many links were left
/// out.
pub(super) fn unpack(
    archive: impl Read,
    into: &Path,
    budget: &mut Budget,
) -> Result<usize, SourceError> {
    // What is left out is read all the same: that too has a bound.
    let bytes = GzDecoder::new(archive).take(budget.left().saturating_add(OVERHEAD_BYTES));
    let mut archive = Archive::new(bytes);
    let mut links = 0;
    for entry in archive.entries().map_err(|it| broken(&it))? {
        let mut entry = entry.map_err(|it| broken(&it))?;
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            links += 1;
            continue;
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::Directory) {
            continue;
        }
        let path = entry.path().map_err(|it| broken(&it))?.into_owned();
        let Some(path) = inside(&path)? else { continue };
        let path = into.join(path);
        budget.file()?;
        if kind == EntryType::Directory {
            fs::create_dir_all(&path).map_err(|it| unwritable(&path, &it))?;
        } else {
            budget.bytes(entry.size())?;
            write(&mut entry, &path)?;
        }
    }
    // What is cut off after the last file shows only at the end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|it| broken(&it))?;
    Ok(links)
}

fn write(entry: &mut impl Read, path: &Path) -> Result<(), SourceError> {
    let unwritable = |it: &io::Error| unwritable(path, it);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|it| unwritable(&it))?;
    }
    let mut file = File::create(path).map_err(|it| unwritable(&it))?;
    let mut chunk = vec![0; 64 << 10];
    loop {
        let length = entry.read(&mut chunk).map_err(|it| broken(&it))?;
        if length == 0 {
            break;
        }
        io::Write::write_all(&mut file, &chunk[..length]).map_err(|it| unwritable(&it))?;
    }
    file.sync_all().map_err(|it| unwritable(&it))
}

/// A path without its first folder; none for that itself.
fn inside(path: &Path) -> Result<Option<PathBuf>, SourceError> {
    let mut parts = path.components().filter(|it| *it != Component::CurDir);
    let leads_out = || {
        let text = format!("its archive names {}, which leads out of it", path.display());
        SourceError::Refused(text)
    };
    if parts.clone().any(|it| !matches!(it, Component::Normal(_))) {
        return Err(leads_out());
    }
    parts.next();
    let rest: PathBuf = parts.collect();
    Ok(Some(rest).filter(|it| !it.as_os_str().is_empty()))
}

fn broken(error: &io::Error) -> SourceError {
    if error.kind() == ErrorKind::UnexpectedEof {
        return SourceError::Unavailable("its archive was cut off on the way".to_owned());
    }
    SourceError::Refused(format!("its archive cannot be read: {error}"))
}

fn unwritable(path: &Path, error: &io::Error) -> SourceError {
    SourceError::disk(&format!("{} cannot be written", path.display()), error)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    use super::*;

    /// An archive of such entries: type, path, and content or target of the link.
    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (kind, path, content) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            // Written by hand: the library itself refuses to write what leads out.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            if kind.is_file() {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            } else {
                header.set_size(0);
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            }
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn unpacked(bytes: &[u8], bytes_max: u64) -> (tempfile::TempDir, Result<usize, SourceError>) {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("in");
        fs::create_dir(&into).unwrap();
        let result = unpack(bytes, &into, &mut Budget::new(bytes_max));
        (folder, result)
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn files_are_unpacked_without_the_folder_at_the_top() {
        let bytes = archive(&[
            (EntryType::XGlobalHeader, "pax_global_header", ""),
            (EntryType::Directory, "top/", ""),
            (FILE, "top/qa.py", "import dspy"),
            (FILE, "top/deep/er/x.txt", "x"),
        ]);

        let (folder, result) = unpacked(&bytes, 1000);

        assert_eq!(result, Ok(0));
        let read = |name: &str| fs::read_to_string(folder.path().join("in").join(name)).unwrap();
        assert_eq!((read("qa.py"), read("deep/er/x.txt")), ("import dspy".into(), "x".into()));
    }

    #[test]
    fn nothing_is_written_outside() {
        for path in ["top/../../evil.py", "../evil.py", "/tmp/evil.py", "top/a/../../../evil.py"] {
            let (folder, result) = unpacked(&archive(&[(FILE, path, "evil")]), 1000);

            let Err(SourceError::Refused(why)) = result else { panic!("{path}: {result:?}") };
            assert!(why.contains("leads out"), "{why}");
            assert!(!folder.path().join("evil.py").exists());
        }
    }

    #[test]
    fn links_are_left_out_and_nothing_is_written_through_them() {
        let bytes = archive(&[
            (EntryType::Symlink, "top/out", "../.."),
            (EntryType::Link, "top/hard", "/etc/passwd"),
            (FILE, "top/out/evil.py", "evil"),
        ]);

        let (folder, result) = unpacked(&bytes, 1000);

        assert_eq!(result, Ok(2));
        assert!(!folder.path().join("evil.py").exists());
        assert!(folder.path().join("in/out/evil.py").is_file());
        assert!(!folder.path().join("in/hard").exists());
    }

    #[test]
    fn what_is_too_large_or_cut_off_is_told() {
        let bytes = archive(&[(FILE, "top/a", &"a".repeat(600)), (FILE, "top/b", "b")]);

        let (_folder, large) = unpacked(&bytes, 500);
        let (_folder, cut) = unpacked(&bytes[..bytes.len() - 4], 1000);
        let (_folder, other) = unpacked(b"<html>not an archive</html>", 1000);

        assert!(matches!(large, Err(SourceError::Refused(it)) if it.contains("SOURCE_BYTES_MAX")));
        assert!(matches!(cut, Err(SourceError::Unavailable(it)) if it.contains("cut off")));
        assert!(matches!(other, Err(SourceError::Refused(_))));
    }

    #[test]
    fn an_archive_that_only_swells_has_an_end() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::best());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::XGlobalHeader);
        header.set_size(200 << 20);
        header.set_cksum();
        gz.write_all(header.as_bytes()).unwrap();
        for _ in 0..200 {
            gz.write_all(&vec![0; 1 << 20]).unwrap();
        }

        let (_folder, result) = unpacked(&gz.finish().unwrap(), 1000);

        assert!(result.is_err(), "{result:?}");
    }
}
