//! Which functions and methods there are, and how many arguments they take.

use super::ExpressionError;

/// Name, fewest and most arguments.
type Known = (&'static str, usize, usize);

/// The most arguments of `min` and `max`.
const MANY: usize = 100;

const FUNCTIONS: [Known; 14] = [
    ("len", 1, 1),
    ("min", 1, MANY),
    ("max", 1, MANY),
    ("sum", 1, 1),
    ("abs", 1, 1),
    ("round", 1, 2),
    ("int", 1, 1),
    ("float", 1, 1),
    ("str", 1, 1),
    ("bool", 1, 1),
    ("lower", 1, 1),
    ("upper", 1, 1),
    ("any", 1, 1),
    ("all", 1, 1),
];

const METHODS: [Known; 13] = [
    ("lower", 0, 0),
    ("upper", 0, 0),
    ("strip", 0, 0),
    ("startswith", 1, 1),
    ("endswith", 1, 1),
    ("count", 1, 1),
    ("split", 0, 1),
    ("replace", 2, 2),
    ("splitlines", 0, 0),
    ("isdigit", 0, 0),
    ("get", 1, 2),
    ("keys", 0, 0),
    ("values", 0, 0),
];

/// Checks that there is such a function, and that it takes so many arguments.
pub(super) fn check(name: &str, count: usize, column: usize) -> Result<(), ExpressionError> {
    check_in(&FUNCTIONS, "function", name, count, column)
}

/// Checks that there is such a method, and that it takes so many arguments.
pub(super) fn check_method(name: &str, count: usize, column: usize) -> Result<(), ExpressionError> {
    check_in(&METHODS, "method", name, count, column)
}

fn check_in(
    known: &[Known],
    what: &str,
    name: &str,
    count: usize,
    column: usize,
) -> Result<(), ExpressionError> {
    let fail = |message| Err(ExpressionError::at(column, message));
    let Some((_, fewest, most)) = known.iter().find(|(it, ..)| *it == name) else {
        let names: Vec<_> = known.iter().map(|(it, ..)| *it).collect();
        return fail(format!("there is no {what} `{name}`; there are {}", names.join(", ")));
    };
    if (*fewest..=*most).contains(&count) {
        return Ok(());
    }
    let takes = if fewest == most { fewest.to_string() } else { format!("{fewest} to {most}") };
    fail(format!("`{name}` takes {takes} arguments, and {count} are given"))
}
