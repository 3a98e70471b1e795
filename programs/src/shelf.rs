//! The programs that can be asked for at one moment.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use crate::{LoadError, Program, version};

/// A program and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) origin: String,
    pub(crate) program: Arc<Program>,
    /// Whether it was registered over HTTP.
    pub(crate) kept: bool,
}

/// Programs by id; of each id first the one that is meant when no version is named.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    by_id: BTreeMap<String, Vec<Item>>,
    pub(crate) problems: Vec<LoadError>,
}

impl Shelf {
    /// Puts programs up. Of two with one id and version the registered one stays, or the first.
    pub(crate) fn new(items: impl Iterator<Item = Item>, problems: Vec<LoadError>) -> Self {
        let mut shelf = Self { by_id: BTreeMap::new(), problems };
        for item in items {
            shelf.put(item);
        }
        for versions in shelf.by_id.values_mut() {
            versions.sort_by(|a, b| {
                let newer = || version::compare(&b.program.version, &a.program.version);
                Reverse(a.kept).cmp(&Reverse(b.kept)).then_with(newer)
            });
        }
        shelf
    }

    /// The program of an id, or of an id and version.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Program>> {
        let (name, pinned) = version::split(id);
        let mut versions = self.by_id.get(name)?.iter().map(|it| &it.program);
        let found = match pinned {
            None => versions.next(),
            Some(pinned) => versions.find(|it| it.version == pinned),
        };
        found.cloned()
    }

    /// All programs, by id, the one that is meant by the bare id first.
    pub(crate) fn list(&self) -> impl Iterator<Item = &Arc<Program>> {
        self.by_id.values().flatten().map(|it| &it.program)
    }

    fn put(&mut self, item: Item) {
        let versions = self.by_id.entry(item.program.id.clone()).or_default();
        let twin = versions.iter_mut().find(|it| it.program.version == item.program.version);
        match twin {
            None => versions.push(item),
            Some(twin) if item.kept && !twin.kept => *twin = item,
            Some(twin) if twin.kept && !item.kept => {}
            Some(twin) => {
                let problem = format!("{} is already in {}", item.program.pinned(), twin.origin);
                let fix = "give one of them another `version` or `id`; this one is not loaded";
                self.problems.push(LoadError::whole(&item.origin, problem, fix));
            }
        }
    }
}
