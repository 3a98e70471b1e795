//! A Python value, as replies are parsed into before they are typed.
//!
//! JSON alone cannot hold what a reply may say: `inf`, `nan`, integers of any length, tuples, sets.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use std::{cmp::Ordering, collections::HashMap};

use serde_json::{Number, Value};

/// A Python value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Object {
    #[default]
    None,
    Bool(bool),
    Int(Int),
    Float(f64),
    Str(String),
    /// A `decimal.Decimal`, as Python prints it.
    Decimal(String),
    Bytes(Vec<u8>),
    List(Vec<Object>),
    Tuple(Vec<Object>),
    Set(Vec<Object>),
    Dict(Dict),
    /// A complex number, its real and its imaginary part: nothing accepts one.
    Complex(f64, f64),
    Ellipsis,
}

/// An integer of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Int {
    Small(i64),
    /// Decimal digits with a sign if negative; out of the range of an `i64`.
    Big(String),
}

/// Up to so many entries are looked through: that is faster than hashing.
const LOOKED_THROUGH_MAX: usize = 8;

/// A dictionary: in order of insertion, a later value for a key takes the earlier one's place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dict {
    entries: Vec<(Object, Object)>,
    index: Option<Box<Index>>,
}

/// Where the entries of a large dictionary are.
#[derive(Clone, Debug, Default)]
struct Index {
    by_name: HashMap<String, usize>,
    /// Those under other keys than text, by what Python hashes.
    by_hash: HashMap<String, usize>,
}

impl Int {
    /// The integer with these decimal digits, given that there is nothing else.
    pub(crate) fn from_digits(negative: bool, digits: &str) -> Self {
        let digits = digits.trim_start_matches('0');
        let sign = if negative { "-" } else { "" };
        match format!("{sign}{digits}") {
            text if digits.is_empty() || text.is_empty() => Self::Small(0),
            text => text.parse().map_or(Self::Big(text), Self::Small),
        }
    }

    /// The integer nearest to a float that has no fraction.
    pub(crate) fn from_whole(float: f64) -> Self {
        let digits = format!("{:.0}", float.abs());
        Self::from_digits(float < 0.0, &digits)
    }

    /// Whether a whole number divides it.
    pub(crate) fn is_multiple_of(&self, of: f64) -> bool {
        let digits = match self {
            Self::Small(small) => small.unsigned_abs().to_string(),
            Self::Big(digits) => digits.trim_start_matches('-').to_owned(),
        };
        let rest = |rest: f64, digit: u8| (rest * 10.0 + f64::from(digit - b'0')) % of;
        digits.bytes().fold(0.0, rest) == 0.0
    }

    pub(crate) fn to_f64(&self) -> f64 {
        match self {
            Self::Small(small) => *small as f64,
            Self::Big(digits) => digits.parse().unwrap_or(f64::NAN),
        }
    }
}

impl std::fmt::Display for Int {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Small(small) => write!(f, "{small}"),
            Self::Big(digits) => f.write_str(digits),
        }
    }
}

impl Dict {
    pub(crate) fn insert(&mut self, key: Object, value: Object) {
        *self.place_of(key) = value;
    }

    /// Where the value of a key is; that of a new one is none yet.
    pub(crate) fn place_of(&mut self, key: Object) -> &mut Object {
        let at = self.position(&key).unwrap_or_else(|| self.add(key));
        &mut self.entries[at].1
    }

    fn add(&mut self, key: Object) -> usize {
        self.entries.push((key, Object::None));
        match self.entries.len() {
            ..LOOKED_THROUGH_MAX => {}
            LOOKED_THROUGH_MAX => (0..LOOKED_THROUGH_MAX).for_each(|at| self.index(at)),
            len => self.index(len - 1),
        }
        self.entries.len() - 1
    }

    fn index(&mut self, at: usize) {
        let index = self.index.get_or_insert_default();
        match &self.entries[at].0 {
            Object::Str(name) => index.by_name.insert(name.clone(), at),
            key => index.by_hash.insert(key.hashed(), at),
        };
    }

    fn position(&self, key: &Object) -> Option<usize> {
        match (key, &self.index) {
            (Object::Str(name), _) => self.position_of(name),
            (key, Some(index)) => index.by_hash.get(&key.hashed()).copied(),
            (key, None) => self.entries.iter().position(|(it, _)| it.equals(key)),
        }
    }

    fn position_of(&self, name: &str) -> Option<usize> {
        if let Some(index) = &self.index {
            return index.by_name.get(name).copied();
        }
        let is_it = |(key, _): &(Object, Object)| matches!(key, Object::Str(it) if it == name);
        self.entries.iter().position(is_it)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Object> {
        self.position_of(name).map(|at| &self.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Object> {
        self.position_of(name).map(|at| &mut self.entries[at].1)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.position_of(name).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn last_name(&self) -> Option<&str> {
        match self.entries.last() {
            Some((Object::Str(name), _)) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Object, &Object)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

impl IntoIterator for Dict {
    type Item = (Object, Object);
    type IntoIter = std::vec::IntoIter<(Object, Object)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl PartialEq for Dict {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Object {
    pub(crate) fn int(small: i64) -> Self {
        Self::Int(Int::Small(small))
    }

    /// Python's `==`: numbers are equal across their types, and `True` is 1.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self.number(), other.number()) {
            (Some(Int::Big(a)), Some(Int::Big(b))) => return a == b,
            (Some(Int::Small(a)), Some(Int::Small(b))) => return a == b,
            (Some(_), Some(_)) => return false,
            _ => {}
        }
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b) == Some(Ordering::Equal),
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (a, b) => a == b,
        }
    }

    /// A text that equal values share, and others do not: what sets and dictionaries tell by.
    pub(crate) fn hashed(&self) -> String {
        match (self.number(), self) {
            (Some(int), _) => int.to_string(),
            (None, Self::Tuple(items)) => {
                let items: Vec<_> = items.iter().map(Self::hashed).collect();
                format!("({})", items.join(","))
            }
            (None, other) => super::repr::repr(other),
        }
    }

    /// Equality of type and value: `1` is not `True`.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.type_name() == other.type_name() && self.equals(other)
    }

    /// The integer that this value equals, if it equals one.
    pub(crate) fn number(&self) -> Option<Int> {
        match self {
            Self::Bool(flag) => Some(Int::Small(i64::from(*flag))),
            Self::Int(int) => Some(int.clone()),
            Self::Float(float) if float.fract() == 0.0 => Some(Int::from_whole(*float)),
            _ => None,
        }
    }

    /// Whether Python takes it for true.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(flag) => *flag,
            Self::Int(int) => *int != Int::Small(0),
            Self::Float(float) => *float != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => !items.is_empty(),
            Self::Dict(dict) => !dict.is_empty(),
            Self::Decimal(text) => text.contains(|c: char| ('1'..='9').contains(&c)),
            Self::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Self::Ellipsis => true,
        }
    }

    /// The name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Decimal(_) => "Decimal",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::Dict(_) => "dict",
            Self::Complex(..) => "complex",
            Self::Ellipsis => "ellipsis",
        }
    }

    /// Where in it is an ellipsis, which JSON cannot write, as Python goes there: `[1]`.
    pub(crate) fn ellipsis(&self) -> Option<String> {
        let item = |(i, it): (usize, &Self)| Some(format!("[{i}]{}", it.ellipsis()?));
        match self {
            Self::Ellipsis => Some(String::new()),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                items.iter().enumerate().find_map(item)
            }
            Self::Dict(dict) => dict.iter().find_map(|(key, it)| {
                let place = key.ellipsis().map(|_| String::new()).or_else(|| it.ellipsis())?;
                Some(format!("[{}]{place}", super::repr::repr(key)))
            }),
            _ => None,
        }
    }

    /// Its JSON form. What JSON cannot write is written as pydantic does when told to: `"NaN"`,
    /// `"Infinity"`; integers over 64 bits become the nearest float.
    pub(crate) fn into_json(self) -> Value {
        match self {
            Self::None | Self::Ellipsis => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(Int::Small(small)) => small.into(),
            Self::Int(Int::Big(digits)) => match digits.parse::<u64>() {
                Ok(large) => large.into(),
                Err(_) => float_json(digits.parse().unwrap_or(f64::NAN)),
            },
            Self::Float(float) => float_json(float),
            Self::Str(text) | Self::Decimal(text) => Value::String(text),
            Self::Complex(..) => super::repr::repr(&self).trim_matches(['(', ')']).into(),
            Self::Bytes(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                items.into_iter().map(Self::into_json).collect()
            }
            Self::Dict(dict) => Value::Object(
                dict.into_iter().map(|(k, v)| (k.into_json_key(), v.into_json())).collect(),
            ),
        }
    }

    /// A key of a dictionary as pydantic writes it: `true`, `1,2` of a tuple.
    fn into_json_key(self) -> String {
        match self {
            Self::Str(text) => text,
            Self::Bool(flag) => flag.to_string(),
            Self::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Self::Tuple(items) => {
                items.into_iter().map(Self::into_json_key).collect::<Vec<_>>().join(",")
            }
            other => super::repr::str(&other),
        }
    }
}

fn float_json(float: f64) -> Value {
    let special = if float.is_nan() {
        "NaN"
    } else if float > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Number::from_f64(float).map_or_else(|| special.into(), Value::Number)
}

impl From<&Value> for Object {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::None,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(small), _) => Self::int(small),
                (None, Some(large)) => Self::Int(Int::Big(large.to_string())),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Str(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => {
                let mut dict = Dict::default();
                for (name, value) in map {
                    dict.insert(Self::Str(name.clone()), value.into());
                }
                Self::Dict(dict)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::python::literal;

    #[test]
    fn keys_become_the_text_that_pydantic_writes() {
        let object = literal::eval("{True: 1, None: 2, 1e-7: 3, (1, (b'a', False)): 4}").unwrap();
        let want = json!({"true": 1, "None": 2, "1e-07": 3, "1,a,false": 4});

        assert_eq!(object.into_json(), want);
    }

    #[test]
    fn ellipsis_is_found_among_keys_too() {
        let place = |text: &str| literal::eval(text).unwrap().ellipsis();

        assert_eq!(place("{'a': [1, {...: 1}]}").as_deref(), Some("['a'][1][Ellipsis]"));
        assert_eq!(place("{(1, ...): 1}").as_deref(), Some("[(1, Ellipsis)]"));
        assert_eq!(place("{'a': 1}"), None);
    }
}
