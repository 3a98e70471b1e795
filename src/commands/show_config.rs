//! `dspyx config`: every setting with its value, and where that came from.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::{
    cli::ShowConfig,
    config::{self, Given, Origin},
    output::{self, DIM, paint},
    settings,
};

pub(super) fn run(given: &Given, arguments: &ShowConfig, json: bool) -> Result<()> {
    if arguments.example {
        return output::line(config::example().trim_end());
    }
    let shown = settings::all().map(|setting| {
        let (text, origin) = given.winner(setting);
        let hidden = setting.is_secret() && !text.is_empty();
        (setting.name, if hidden { "(hidden)" } else { text }, origin)
    });
    if json {
        let entry = |(name, value, origin): (&str, &str, Origin)| {
            (name.to_owned(), json!({"value": value, "origin": origin.to_string()}))
        };
        return output::value(&Value::Object(shown.map(entry).collect::<Map<_, _>>()));
    }
    let row = |(name, value, origin): (&str, &str, Origin)| {
        let from = if origin == Origin::Default { paint(DIM, origin) } else { origin.to_string() };
        [name.to_owned(), value.to_owned(), from]
    };
    output::line(output::table(["SETTING", "VALUE", "FROM"], &shown.map(row).collect::<Vec<_>>()))
}
