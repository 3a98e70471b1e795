//! The dashboard of the documents shows what there is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::site::{Site, succeeded};

const DASHBOARD: &str = include_str!("../../../docs/grafana.json");

/// The names of metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|it| it.starts_with("dspyx_"))
}

#[tokio::test]
async fn every_metric_of_the_dashboard_is_there() {
    let site = Site::new().await;
    site.submit().await;
    site.work(succeeded).await;
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|it| it["targets"].as_array().unwrap());
    let wanted: BTreeSet<&str> =
        targets.flat_map(|it| names(it["expr"].as_str().unwrap())).collect();

    let metrics = site.get("/metrics").await;

    let there: BTreeSet<&str> =
        metrics.text().lines().filter_map(|it| it.split(['{', ' ']).next()).collect();
    let missing: Vec<_> = wanted.difference(&there).collect();
    assert!(wanted.len() > 10 && missing.is_empty(), "{missing:?} of\n{}", metrics.text());
}
