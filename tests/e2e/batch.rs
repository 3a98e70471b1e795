//! Many executions as one thing, from the request to the results.

use serde_json::{Value, json};
use testkit::Reply;

use crate::site::{Site, Store};

async fn results(site: &Site, path: &str, query: &str) -> Vec<Value> {
    let answer = site.http.get(&format!("{path}/results{query}")).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn indexes(results: &[Value]) -> Vec<u64> {
    results.iter().map(|it| it["batch_index"].as_u64().unwrap()).collect()
}

pub(crate) async fn batch_is_done_in_order(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    let path = site.ask_many(200).await;
    let batch = site.ended(&path).await;

    assert_eq!((&batch["status"], &batch["total"]), (&json!("completed"), &json!(200)));
    assert_eq!((&batch["counts"]["succeeded"], &batch["progress"]), (&json!(200), &json!(1.0)));
    assert_eq!(batch["usage"]["prompt_tokens"], 200 * 7);
    assert_eq!(site.lm.calls(), 200);
    let all = results(&site, &path, "").await;
    assert_eq!(indexes(&all), (0..200).collect::<Vec<u64>>());
    assert!(all.iter().all(|it| it["outputs"]["score"] == 42));
    assert_eq!(all[7]["inputs"]["question"], "7");
    let some = results(&site, &path, "?cursor=150&limit=20").await;
    assert_eq!(indexes(&some), (150..170).collect::<Vec<u64>>());
    let id = path.trim_start_matches("/batch/");
    let item = site.succeeded(&format!("/execution/{id}-199")).await;
    assert_eq!((&item["batch_index"], &item["batch_id"]), (&json!(199), &json!(id)));
    site.check(up).await;
}

pub(crate) async fn bad_items_fail_alone(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let inputs = json!([{ "question": "1" }, {}, { "question": 5 }, 7, { "question": "2" }]);
    let body = json!({ "program_id": "qa", "inputs_list": inputs });

    let answer = site.http.post("/execute/batch", &body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    let path = format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap());
    let batch = site.ended(&path).await;

    let failed = results(&site, &path, "?status=failed").await;
    assert_eq!(failed[0]["error"], "Missing required input fields: ['question']");
    assert!(failed.iter().all(|it| it["error_kind"] == "validation"), "{failed:#?}");
    let good = results(&site, &path, "?status=succeeded").await.len();
    assert_eq!(
        (good + failed.len(), batch["counts"]["succeeded"].as_u64()),
        (5, Some(good as u64))
    );
    assert!(indexes(&failed).contains(&1) && indexes(&failed).contains(&3));
    site.check(up).await;
}

pub(crate) async fn batch_is_called_off(store: Store) {
    let site = store.site().await;
    site.lm.usually(Reply::Nothing);
    let up = site.up().await;
    let path = site.ask_many(100).await;
    site.until_calls(1).await;

    let answer = site.http.post(&format!("{path}/cancel"), &json!({})).await.unwrap();

    assert_eq!(answer.status, 202, "{}", answer.body);
    let batch = site.ended(&path).await;
    assert_eq!(
        (&batch["status"], &batch["counts"]["cancelled"]),
        (&json!("cancelled"), &json!(100))
    );
    site.lm.usually(Reply::Fitting);
    site.succeeded(&site.ask("after it").await).await;
    site.check(up).await;
}

pub(crate) async fn failed_items_are_run_again(store: Store) {
    let site = store.site().await;
    for _ in 0..3 {
        site.lm.then(Reply::error(400));
    }
    let up = site.up().await;
    let path = site.ask_many(70).await;
    let batch = site.ended(&path).await;
    assert_eq!(batch["counts"]["failed"], 3, "{batch:#}");

    let answer = site.http.post(&format!("{path}/retry"), &json!({})).await.unwrap();

    assert_eq!((answer.status, &answer.json()["retried"]), (202, &json!(3)));
    let batch = site.ended(&path).await;
    assert_eq!(
        (&batch["counts"]["succeeded"], &batch["counts"]["failed"]),
        (&json!(70), &json!(0))
    );
    assert_eq!(site.lm.calls(), 73);
    site.check(up).await;
}
