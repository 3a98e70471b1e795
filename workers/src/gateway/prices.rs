//! What models cost where the operator says nothing: by the table that `scripts/model-prices`
//! makes, and nothing for those of a server of one's own.

use std::{collections::HashMap, sync::LazyLock};

use super::provider;

/// Dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Price {
    pub(super) input: f64,
    pub(super) output: f64,
    /// Of what is read from the provider's cache, if that has a price of its own.
    pub(super) cached: Option<f64>,
}

/// The table: `name input output` lines, some with a third price.
static TABLE: LazyLock<HashMap<&str, Price>> =
    LazyLock::new(|| include_str!("prices.txt").lines().filter_map(line).collect());

fn line(line: &str) -> Option<(&str, Price)> {
    let (name, prices) = line.split_once(' ').filter(|(name, _)| *name != "#")?;
    let mut prices = prices.split(' ').map(str::parse);
    let (input, output) = (prices.next()?.ok()?, prices.next()?.ok()?);
    Some((name, Price { input, output, cached: prices.next().transpose().ok()? }))
}

/// The price of a model, named as users name it: `openai/gpt-4o-mini`, `gpt-4o-mini`.
pub(super) fn of(model: &str) -> Option<Price> {
    let (provider, name) = provider::split(model).ok()?;
    if provider.is_own_server() {
        return Some(Price { input: 0.0, output: 0.0, cached: None });
    }
    TABLE.get(&*format!("{}/{name}", provider.prefix)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_prices_by_name() {
        let price = |input, output, cached| Some(Price { input, output, cached });
        let mini = price(0.15, 0.6, Some(0.075));

        assert_eq!(of("openai/gpt-4o-mini"), mini);
        assert_eq!(of("gpt-4o-mini"), mini);
        assert_eq!(of("anthropic/claude-haiku-4-5"), price(1.0, 5.0, Some(0.1)));
        assert_eq!(of("openai/text-embedding-3-small"), price(0.02, 0.0, None));
        assert_eq!(of("ollama/anything"), price(0.0, 0.0, None));
        assert_eq!(of("openai/nobody-knows"), None);
        assert_eq!(of("#"), None);
    }

    #[test]
    fn every_line_of_the_table_is_a_price() {
        let lines = include_str!("prices.txt").lines().filter(|it| !it.starts_with('#')).count();

        assert!(lines > 500);
        assert_eq!(TABLE.len(), lines);
        assert!(TABLE.values().all(|it| it.input >= 0.0 && it.output >= 0.0));
    }
}
