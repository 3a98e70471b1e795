//! Logs, on standard error: text for people or JSON for machines.

use std::{io::IsTerminal, str::FromStr};

use anyhow::{Result, bail};
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// A level, or levels by part.
    pub(crate) level: String,
    /// For whom.
    pub(crate) format: Format,
}

/// For whom logs are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// People.
    Text,
    /// Machines: an object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Text }
    }
}

impl Config {
    /// The same for a command that shows how far it is: with less of it, if nobody asked for more.
    pub(crate) fn beside_a_bar(&self) -> Self {
        let usual = *self == Self::default();
        let level = if usual { "warn".to_owned() } else { self.level.clone() };
        Self { level, ..self.clone() }
    }
}

impl FromStr for Format {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => bail!("must be text or json"),
        }
    }
}

/// Reads a level: ours, Python's (`INFO`, `WARNING`, `CRITICAL`), or levels by part.
pub(crate) fn level(text: &str) -> Result<String> {
    let lower = text.to_ascii_lowercase();
    let level = match lower.as_str() {
        "warning" => "warn",
        "critical" | "fatal" => "error",
        "notset" => "trace",
        other => other,
    };
    let known = |it: &str| matches!(it, "error" | "warn" | "info" | "debug" | "trace" | "off");
    let by_part = level.contains('=')
        && level.split(',').all(|it| known(it.split_once('=').map_or(it, |(_, level)| level)));
    if known(level) || by_part && EnvFilter::try_new(level).is_ok() {
        return Ok(level.to_owned());
    }
    bail!("must be error, warn, info, debug or trace, or by part as in info,queue=debug")
}

/// Starts logging. Called once, by the commands that run a service.
pub(crate) fn start(config: &Config) {
    let filter = EnvFilter::new(&config.level);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        Format::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        Format::Json => logs.json().flatten_event(true).init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_python_are_understood() {
        assert_eq!(level("INFO").unwrap(), "info");
        assert_eq!(level("WARNING").unwrap(), "warn");
        assert_eq!(level("info,queue=debug").unwrap(), "info,queue=debug");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in ["", "loud", "queue=loud", "=", "a=b=c"] {
            assert!(level(text).is_err(), "{text}");
        }
    }
}
