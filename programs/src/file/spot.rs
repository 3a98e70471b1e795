//! A value of the file together with its path: reads it as what it must be, or says what is wrong.

use serde_json::Value;

use super::{
    hint,
    node::{Content, Entry, Node, Place},
};
use crate::LoadError;

/// A value and its path in the file.
#[derive(Clone, Debug)]
pub(super) struct Spot<'a> {
    origin: &'a str,
    path: String,
    node: &'a Node,
}

/// A mapping with known keys.
#[derive(Clone, Debug)]
pub(super) struct Table<'a> {
    spot: Spot<'a>,
    entries: &'a [Entry],
}

/// A key that the author chose, and its value.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) spot: Spot<'a>,
    place: Place,
}

impl<'a> Spot<'a> {
    /// The whole file.
    pub(super) fn root(origin: &'a str, node: &'a Node) -> Self {
        Self { origin, path: String::new(), node }
    }

    /// A value at a path of its own.
    pub(super) fn at(origin: &'a str, path: &str, node: &'a Node) -> Self {
        Self { origin, path: path.to_owned(), node }
    }

    /// The path of it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What is written here.
    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    /// An error about this value.
    pub(super) fn fail(&self, problem: impl Into<String>, fix: impl Into<String>) -> LoadError {
        self.fail_at(self.node.place, &self.path, problem.into(), fix.into())
    }

    /// The name of the text in errors.
    pub(super) fn origin(&self) -> &'a str {
        self.origin
    }

    /// The value as JSON.
    pub(super) fn json(&self) -> Value {
        self.node.json()
    }

    /// Whether nothing is written here, or `null`.
    pub(super) fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// Whether it is a mapping.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.node.content, Content::Table(_))
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.content, Content::List(_))
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Result<&'a str, LoadError> {
        match &self.node.content {
            Content::Scalar { raw, value: Value::String(_), .. } if !raw.trim().is_empty() => {
                Ok(raw)
            }
            Content::Scalar { value: Value::String(_), .. } => {
                Err(self.fail("is empty", "write a text, or remove the key"))
            }
            Content::Scalar { .. } | Content::List(_) | Content::Table(_) => {
                Err(self.must_be("a text", "put it in quotes"))
            }
        }
    }

    /// A text, be it empty.
    pub(super) fn string(&self) -> Result<&'a str, LoadError> {
        match &self.node.content {
            Content::Scalar { raw, value: Value::String(_), .. } => Ok(raw),
            Content::Scalar { .. } | Content::List(_) | Content::Table(_) => {
                Err(self.must_be("a text", "put it in quotes"))
            }
        }
    }

    /// A text for the model: to the letter in quotes, else without the blanks around it that a
    /// YAML block has.
    pub(super) fn prose(&self) -> Result<String, LoadError> {
        let text = self.text()?;
        Ok(if self.is_quoted() { text } else { text.trim() }.to_owned())
    }

    /// Whether it is a text in quotes.
    pub(super) fn is_quoted(&self) -> bool {
        matches!(self.node.content, Content::Scalar { quoted: true, .. })
    }

    /// A text or number, as written: `1.10` stays `1.10`.
    pub(super) fn word(&self) -> Result<&'a str, LoadError> {
        match &self.node.content {
            Content::Scalar { raw, value: Value::Number(_), .. } => Ok(raw),
            Content::Scalar { .. } | Content::List(_) | Content::Table(_) => self.text(),
        }
    }

    /// Texts, of a list.
    pub(super) fn texts(&self, max: usize) -> Result<Vec<String>, LoadError> {
        let items = self.list(max)?;
        items.iter().map(|it| it.text().map(str::to_owned)).collect()
    }

    /// True or false.
    pub(super) fn bool(&self) -> Result<bool, LoadError> {
        let found = self.value().and_then(Value::as_bool);
        found.ok_or_else(|| self.must_be("true or false", "write `true` or `false`"))
    }

    /// A number between two bounds.
    pub(super) fn number(&self, min: f64, max: f64) -> Result<f64, LoadError> {
        let found = self.value().and_then(Value::as_f64);
        let number = found.ok_or_else(|| self.must_be("a number", "write one, without quotes"))?;
        if (min..=max).contains(&number) {
            return Ok(number);
        }
        let problem = format!("is {number}, but must be from {min} to {max}");
        Err(self.fail(problem, "write another number"))
    }

    /// A whole number between two bounds.
    pub(super) fn count(&self, min: u64, max: u64) -> Result<u64, LoadError> {
        let found = self.value().filter(|it| it.is_number());
        let Some(value) = found else {
            return Err(self.must_be("a whole number", "write one, without quotes"));
        };
        let whole = value.as_u64().filter(|it| (min..=max).contains(it));
        let problem = || format!("is {value}, but must be a whole number from {min} to {max}");
        whole.ok_or_else(|| self.fail(problem(), "write another number"))
    }

    /// Any whole number.
    pub(super) fn whole(&self) -> Result<i64, LoadError> {
        let found = self.value().and_then(Value::as_i64);
        found.ok_or_else(|| self.must_be("a whole number", "write one, without quotes"))
    }

    /// The items of a list.
    pub(super) fn list(&self, max: usize) -> Result<Vec<Spot<'a>>, LoadError> {
        let Content::List(items) = &self.node.content else {
            return Err(self.must_be("a list", "write `[a, b]`, or a line `- a` for each"));
        };
        if items.len() > max {
            let problem = format!("has {} items, but may have {max}", items.len());
            return Err(self.fail(problem, "remove some"));
        }
        let item = |(i, node)| Self { path: format!("{}[{i}]", self.path), node, ..*self };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// A mapping whose keys are known.
    pub(super) fn table(&self, known: &[&str]) -> Result<Table<'a>, LoadError> {
        let entries = self.entries()?;
        if let Some(entry) = entries.iter().find(|it| !known.contains(&it.key.as_str())) {
            let (problem, fix) = hint::unknown(&self.path, &entry.key, known);
            let path = self.path_of(&entry.key);
            return Err(self.fail_at(entry.place, &path, problem, fix));
        }
        Ok(Table { spot: self.clone(), entries })
    }

    /// A mapping whose keys are known; a text stands for one in which nothing is written.
    pub(super) fn table_or_none(&self, known: &[&str]) -> Result<Table<'a>, LoadError> {
        if let Content::Scalar { .. } = self.node.content {
            return Ok(Table { spot: self.clone(), entries: &[] });
        }
        self.table(known)
    }

    /// The value of the key that decides which others there may be.
    pub(super) fn tag(&self, key: &str, fix: &str) -> Result<Spot<'a>, LoadError> {
        let names = self.names()?;
        let found = names.into_iter().find(|it| it.name == key && !it.spot.is_null());
        found.map(|it| it.spot).ok_or_else(|| self.fail(format!("has no `{key}`"), fix))
    }

    /// The entries of a mapping whose keys the author chose.
    pub(super) fn names(&self) -> Result<Vec<Named<'a>>, LoadError> {
        let named = |it: &'a Entry| Named {
            name: &it.key,
            spot: Self { path: self.path_of(&it.key), node: &it.node, ..*self },
            place: it.place,
        };
        Ok(self.entries()?.iter().map(named).collect())
    }

    fn entries(&self) -> Result<&'a [Entry], LoadError> {
        match &self.node.content {
            Content::Table(entries) => Ok(entries),
            Content::Scalar { .. } | Content::List(_) => {
                Err(self.must_be("a mapping", "write a line `key: value` for each"))
            }
        }
    }

    fn value(&self) -> Option<&'a Value> {
        match &self.node.content {
            Content::Scalar { value, .. } => Some(value),
            Content::List(_) | Content::Table(_) => None,
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn must_be(&self, wanted: &str, fix: &str) -> LoadError {
        self.fail(format!("must be {wanted}, but is {}", self.node.kind()), fix)
    }

    fn fail_at(&self, place: Place, path: &str, problem: String, fix: String) -> LoadError {
        LoadError {
            origin: self.origin.to_owned(),
            line: Some(place.line),
            column: Some(place.column),
            key: path.to_owned(),
            problem,
            fix,
        }
    }
}

impl<'a> Table<'a> {
    /// The mapping itself.
    pub(super) fn spot(&self) -> &Spot<'a> {
        &self.spot
    }

    /// The value of a key; nothing when nothing is written there.
    pub(super) fn get(&self, key: &str) -> Option<Spot<'a>> {
        self.get_or_null(key).filter(|it| !it.is_null())
    }

    /// The value of a key, be it `null`.
    pub(super) fn get_or_null(&self, key: &str) -> Option<Spot<'a>> {
        let entry = self.entries.iter().find(|it| it.key == key)?;
        let path = self.spot.path_of(key);
        Some(Spot { path, node: &entry.node, ..self.spot })
    }

    /// The value of the one key among some that mean the same.
    pub(super) fn one_of(&self, keys: &[&str]) -> Result<Option<Spot<'a>>, LoadError> {
        let mut found = keys.iter().filter_map(|key| Some((key, self.get(key)?)));
        let first = found.next();
        if let (Some((one, _)), Some((other, spot))) = (&first, found.next()) {
            let problem = format!("means the same as `{one}`, which is there too");
            return Err(spot.fail(problem, format!("keep `{one}` or `{other}`")));
        }
        Ok(first.map(|(_, spot)| spot))
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str, fix: &str) -> Result<Spot<'a>, LoadError> {
        self.get(key).ok_or_else(|| self.spot.fail(format!("has no `{key}`"), fix))
    }
}

impl<'a> Named<'a> {
    /// A name that is written as a value.
    pub(super) fn of(name: &'a str, spot: Spot<'a>) -> Self {
        let place = spot.node.place;
        Self { name, spot, place }
    }

    /// An error about the key.
    pub(super) fn fail(&self, problem: impl Into<String>, fix: impl Into<String>) -> LoadError {
        self.spot.fail_at(self.place, &self.spot.path, problem.into(), fix.into())
    }
}
