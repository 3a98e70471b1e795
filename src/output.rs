//! What people and machines see on the terminal. Results go to standard output, progress and
//! errors to standard error; colours and bars only where somebody looks.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// Important.
pub(crate) const BOLD: Style = Style::new().bold();
/// Unimportant.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Good.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Worth a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Bad.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// A heading.
pub(crate) const HEAD: Style = AnsiColor::Cyan.on_default().bold();

/// How often a bar or a spinner moves.
const FRAME: Duration = Duration::from_millis(100);

/// Paints a text.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The colour of a state, of an execution or of a batch.
pub(crate) fn state(word: &str) -> String {
    let style = match word {
        "succeeded" | "completed" | "healthy" => GOOD,
        "failed" | "unhealthy" => BAD,
        "cancelled" | "cancelling" | "expired" => WARN,
        _ => HEAD,
    };
    paint(style, word)
}

/// Writes a line to standard output.
pub(crate) fn line(text: impl Display) -> Result<()> {
    Ok(writeln!(anstream::stdout().lock(), "{text}")?)
}

/// Writes a line to standard error.
pub(crate) fn note(text: impl Display) {
    // Nobody can be told when this fails.
    let _lost = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes a part of a line to standard error, at once.
pub(crate) fn progress(text: &str) {
    let mut stderr = anstream::stderr().lock();
    // Nobody can be told when this fails.
    let _lost = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Writes a value for machines.
pub(crate) fn value(value: &Value) -> Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Writes an error, with all that led to it.
pub(crate) fn error(error: &anyhow::Error, json: bool) {
    let text = format!("{error:#}");
    if json {
        note(json!({"error": text}));
    } else {
        note(format!("{}: {text}", paint(BAD.bold(), "error")));
    }
}

/// Whether nobody reads any more what is written, as in `dspyx … | head`.
pub(crate) fn reader_is_gone(error: &anyhow::Error) -> bool {
    let broken = |it: &io::Error| it.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}

/// Rows under headings, in columns as wide as they need to be.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| shown_width(&row[column]));
        cells.chain([headings[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    let heads: [String; N] = headings.map(|it| paint(DIM, it));
    for row in std::iter::once(&heads).chain(rows) {
        for (column, cell) in row.iter().enumerate() {
            let gap = if column + 1 == N { 0 } else { widths[column] - shown_width(cell) + 2 };
            // Writing to a string cannot fail.
            let _ok = write!(text, "{cell}{:gap$}", "");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// How many characters of a text are seen: colours are not.
fn shown_width(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

/// The beginning of a text on one line.
pub(crate) fn short(text: &str, most: usize) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > most {
        line = line.chars().take(most.saturating_sub(1)).chain(['…']).collect();
    }
    line
}

/// A number at a glance: `999`, `1.2k`, `3.4M`.
pub(crate) fn rounded(number: u64) -> String {
    let units = [(1_000_000_000, 'G'), (1_000_000, 'M'), (1_000, 'k')];
    let unit = units.into_iter().find(|(size, _)| number >= *size);
    unit.map_or_else(
        || number.to_string(),
        |(size, letter)| format!("{:.1}{letter}", number as f64 / size as f64),
    )
}

/// A value as a person would write it: a text without quotes.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A bar for `total` things.
pub(crate) fn bar(total: u64, what: &'static str) -> ProgressBar {
    let form = "{msg} {bar:40.cyan/dim} {pos}/{len}  {per_sec}  {eta_precise} left  {prefix}";
    let bar = ProgressBar::new(total).with_message(what);
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar.enable_steady_tick(FRAME);
    bar
}

/// Something that shows that one waits.
pub(crate) fn spinner(what: impl Into<std::borrow::Cow<'static, str>>) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(FRAME);
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colour() {
        let rows = [[state("failed"), "1".to_owned()], ["ok".to_owned(), "22".to_owned()]];
        let text = anstream::adapter::strip_str(&table(["STATE", "N"], &rows)).to_string();
        assert_eq!(text, "STATE   N\nfailed  1\nok      22");
    }

    #[test]
    fn short_texts_are_one_line() {
        assert_eq!(short("a\n  b c", 10), "a b c");
        assert_eq!(short("abcdef", 4), "abc…");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(reader_is_gone(&error));
        assert!(!reader_is_gone(&anyhow::anyhow!("else")));
    }
}
