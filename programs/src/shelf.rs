//! The programs that can be asked for at one moment.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use crate::{Error, LoadError, Program, version, version::Address};

/// The programs of a file and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) origin: String,
    pub(crate) programs: Programs,
    /// Whether it was registered over HTTP.
    pub(crate) kept: bool,
}

/// The programs of one file: at least one. The first is the one that its bare id means, if it has
/// that id; the others are its signatures and chains.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) first: Arc<Program>,
    pub(crate) others: Vec<Arc<Program>>,
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
                let newer = || version::compare(b.version(), a.version());
                Reverse(a.kept).cmp(&Reverse(b.kept)).then_with(newer)
            });
        }
        shelf
    }

    /// The program of an address.
    pub(crate) fn get(&self, text: &str) -> Result<Arc<Program>, Error> {
        let missing = || Error::NotFound(text.to_owned());
        let address = Address::of(text);
        let mut versions = self.by_id.get(address.id).ok_or_else(missing)?.iter();
        let item = match address.version {
            None => versions.next(),
            Some(pinned) => versions.find(|it| it.version() == pinned),
        };
        let programs = &item.ok_or_else(missing)?.programs;
        let found = match address.entry {
            Some(_) => programs.others.iter().find(|it| it.entry() == address.entry),
            None => Some(&programs.first),
        };
        let found = found.ok_or_else(missing)?;
        if found.entry() == address.entry {
            return Ok(Arc::clone(found));
        }
        let choices: Vec<&str> = programs.others.iter().map(|it| it.id.as_str()).collect();
        Err(Error::Unchosen { id: text.to_owned(), choices: choices.join(", ") })
    }

    /// All programs, by id, the one that is meant by the bare id first. What only a chain or a
    /// choice reaches is left out, unless there is nothing but choices.
    pub(crate) fn list(&self) -> impl Iterator<Item = &Arc<Program>> {
        self.by_id.values().flatten().flat_map(|it| it.programs.shown())
    }

    fn put(&mut self, item: Item) {
        let versions = self.by_id.entry(item.programs.first.file_id().to_owned()).or_default();
        let twin = versions.iter_mut().find(|it| it.version() == item.version());
        match twin {
            None => versions.push(item),
            Some(twin) if item.kept && !twin.kept => *twin = item,
            Some(twin) if twin.kept && !item.kept => {}
            Some(twin) => {
                let first = &item.programs.first;
                let pinned = format!("{}@{}", first.file_id(), first.version);
                let problem = format!("{pinned} is already in {}", twin.origin);
                let fix = "give one of them another `version` or `id`; this one is not loaded";
                self.problems.push(LoadError::whole(&item.origin, problem, fix));
            }
        }
    }
}

impl Item {
    fn version(&self) -> &str {
        &self.programs.first.version
    }
}

impl Programs {
    /// The programs that stand in a list.
    pub(crate) fn shown(&self) -> &[Arc<Program>] {
        match self.first.entry() {
            None => std::slice::from_ref(&self.first),
            Some(_) => &self.others,
        }
    }
}
