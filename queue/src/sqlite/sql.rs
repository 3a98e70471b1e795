//! Finds statements in the `.sql` files beside the code, when it is compiled.

/// The statement called `name` in the `.sql` file of a theme.
macro_rules! sql {
    ($file:literal, $name:literal) => {
        const { $crate::sqlite::sql::statement(include_str!($file), $name) }
    };
}
pub(super) use sql;

/// What opens a statement, before its name, a colon and what it does.
const HEAD: &[u8] = b"-- @";

/// The text between the head line of `name` and the next head. Compilation fails without one.
pub(super) const fn statement(file: &'static str, name: &str) -> &'static str {
    let bytes = file.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if has(bytes, at, HEAD) && has(bytes, at + HEAD.len(), name.as_bytes()) {
            let colon = at + HEAD.len() + name.len();
            if bytes[colon] == b':' {
                let (_, rest) = file.split_at(end_of_line(bytes, colon));
                let (found, _) = rest.split_at(next_head(rest.as_bytes()));
                return found;
            }
        }
        at += 1;
    }
    panic!("no such statement")
}

const fn has(bytes: &[u8], at: usize, part: &[u8]) -> bool {
    let mut n = 0;
    while n < part.len() {
        if at + n >= bytes.len() || bytes[at + n] != part[n] {
            return false;
        }
        n += 1;
    }
    true
}

const fn end_of_line(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'\n' {
        at += 1;
    }
    at
}

const fn next_head(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && !has(bytes, at, HEAD) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "-- @one: First.\nSELECT 1\n\n-- @one_more: Second.\nSELECT 2\n";

    #[test]
    fn statement_ends_where_the_next_begins() {
        assert_eq!(statement(FILE, "one").trim(), "SELECT 1");
        assert_eq!(statement(FILE, "one_more").trim(), "SELECT 2");
    }
}
