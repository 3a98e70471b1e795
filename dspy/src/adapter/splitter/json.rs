//! Strings of the first object in a reply, as long as it is JSON as it should be.

use super::Tell;

/// The deepest nesting that is followed.
const DEPTH_MAX: usize = 1000;

/// Reads an object's members one after the other.
#[derive(Debug)]
pub(crate) struct Json {
    fields: Vec<String>,
    place: Place,
    /// What encloses the place within a value: closing brackets.
    within: Vec<char>,
    key: String,
    /// The field whose text is read.
    field: Option<usize>,
    fresh: String,
    escape: Escape,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    /// A key, or the end of an object without members.
    Start,
    Member,
    Key,
    Colon,
    Value,
    Text,
    /// A string that nobody waits for.
    Other,
    /// A number or a word.
    Bare,
    /// The end of a member.
    After,
    /// Nothing that could be told.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// So many digits, their value, and the high surrogate before it.
    Digits(u32, u32, Option<u32>),
    /// A high surrogate, whose other half must follow.
    Half(u32),
    /// Its backslash has come.
    HalfBegun(u32),
}

impl Json {
    pub(super) fn new(fields: &[String]) -> Self {
        Self {
            fields: fields.to_vec(),
            place: Place::Before,
            within: Vec::new(),
            key: String::new(),
            field: None,
            fresh: String::new(),
            escape: Escape::None,
        }
    }

    pub(super) fn push(&mut self, text: &str, tell: &mut Tell<'_>) {
        for c in text.chars() {
            if self.place == Place::Lost {
                return;
            }
            self.place = self.take(c);
            if self.place != Place::Text {
                self.tell(tell);
            }
        }
        self.tell(tell);
    }

    fn tell(&mut self, tell: &mut Tell<'_>) {
        if let Some(field) = self.field.filter(|_| !self.fresh.is_empty()) {
            tell(field, &self.fresh);
        }
        self.fresh.clear();
    }

    fn take(&mut self, c: char) -> Place {
        match self.place {
            Place::Key | Place::Text | Place::Other => self.string(c),
            Place::Before => {
                if c == '{' {
                    Place::Start
                } else {
                    Place::Before
                }
            }
            Place::Lost => Place::Lost,
            Place::Bare if c.is_alphanumeric() || "+-.".contains(c) => Place::Bare,
            place if c.is_whitespace() => {
                if place == Place::Bare {
                    Place::After
                } else {
                    place
                }
            }
            Place::Start | Place::Member if c == '"' && self.within.is_empty() => self.begin_key(),
            Place::Colon => {
                if c == ':' {
                    Place::Value
                } else {
                    Place::Lost
                }
            }
            Place::Bare | Place::After => self.after(c),
            Place::Start | Place::Member | Place::Value => self.value(c),
        }
    }

    fn begin_key(&mut self) -> Place {
        self.key.clear();
        Place::Key
    }

    fn value(&mut self, c: char) -> Place {
        let is_member =
            matches!(self.place, Place::Start | Place::Member) && self.within.is_empty();
        match c {
            _ if is_member => Place::Lost,
            '"' if self.within.is_empty() => {
                self.field = self.fields.iter().position(|it| *it == self.key);
                if self.field.is_some() { Place::Text } else { Place::Other }
            }
            '"' => Place::Other,
            '{' | '[' if self.within.len() < DEPTH_MAX => {
                self.within.push(if c == '{' { '}' } else { ']' });
                Place::Value
            }
            '}' | ']' => self.after(c),
            _ if c.is_alphanumeric() || c == '-' => Place::Bare,
            _ => Place::Lost,
        }
    }

    /// Within a value keys and members are not told apart: only where it ends matters.
    fn after(&mut self, c: char) -> Place {
        match (c, self.within.last()) {
            (',' | ':', Some(_)) => Place::Value,
            (',', None) => Place::Member,
            (c, Some(end)) if c == *end => {
                self.within.pop();
                Place::After
            }
            _ => Place::Lost,
        }
    }

    fn string(&mut self, c: char) -> Place {
        let place = self.place;
        self.escape = match (self.escape, c) {
            (Escape::None, '"') => {
                return if place == Place::Key { Place::Colon } else { Place::After };
            }
            (Escape::None, '\\') => Escape::Begun,
            (Escape::None, c) => self.write(c),
            (Escape::Begun, 'u') => Escape::Digits(0, 0, None),
            (Escape::Begun, c) => match unescaped(c) {
                Some(c) => self.write(c),
                None => return Place::Lost,
            },
            (Escape::Half(high), '\\') => Escape::HalfBegun(high),
            (Escape::HalfBegun(high), 'u') => Escape::Digits(0, 0, Some(high)),
            (Escape::Half(_) | Escape::HalfBegun(_), _) => return Place::Lost,
            (Escape::Digits(count, value, high), c) => {
                let Some(digit) = c.to_digit(16) else { return Place::Lost };
                match self.digit(count + 1, value * 16 + digit, high) {
                    Some(escape) => escape,
                    None => return Place::Lost,
                }
            }
        };
        place
    }

    fn digit(&mut self, count: u32, value: u32, high: Option<u32>) -> Option<Escape> {
        if count < 4 {
            return Some(Escape::Digits(count, value, high));
        }
        let code = match (high, value) {
            (None, 0xd800..=0xdbff) => return Some(Escape::Half(value)),
            (Some(high), 0xdc00..=0xdfff) => 0x1_0000 + ((high - 0xd800) << 10) + value - 0xdc00,
            (None, value) => value,
            (Some(_), _) => return None,
        };
        Some(self.write(char::from_u32(code)?))
    }

    fn write(&mut self, c: char) -> Escape {
        if self.place == Place::Key {
            self.key.push(c);
        } else if self.place == Place::Text {
            self.fresh.push(c);
        }
        Escape::None
    }
}

fn unescaped(c: char) -> Option<char> {
    Some(match c {
        '"' | '\\' | '/' => c,
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        _ => return None,
    })
}
