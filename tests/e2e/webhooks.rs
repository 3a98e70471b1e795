//! Webhooks: called when something has ended, signed, until they are taken.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::{Page, StubWeb, Visit, until};

use crate::site::{SOON, Site, Store};

/// The old key and the new one.
const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];
const HOOK: &str = "/hook";

/// A site whose workers may call this machine.
async fn site(store: Store) -> Site {
    let secrets = KEYS.map(|key| format!("whsec_{}", STANDARD.encode(key))).join(",");
    let site = store.site().await.with("WEBHOOK_SECRET", &secrets);
    site.with("WEBHOOK_ALLOW", "loopback").with("WEBHOOK_TIMEOUT", "1s")
}

async fn ask(site: &Site, web: &StubWeb, question: &str) -> String {
    let url = format!("{}{HOOK}", web.url());
    let inputs = json!({ "question": question });
    site.submit(&json!({ "program_id": "qa", "inputs": inputs, "webhook": url })).await
}

/// The calls, once there are so many.
async fn calls(web: &StubWeb, count: usize) -> Vec<Visit> {
    let enough = async || Some(web.visits()).filter(|it| it.len() >= count);
    until("the webhook is called", SOON, enough).await
}

async fn until_told(site: &Site, what: &str, count: u64) {
    site.until("/stats", |it| it["outbox"]["webhook"][what] == count).await;
}

/// What was told, after the signatures by both keys were verified as the standard says.
fn verified(visit: &Visit) -> Value {
    let [id, time] = ["webhook-id", "webhook-timestamp"].map(|it| visit.header(it));
    let signed = KEYS.map(|key| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{time}.{}", visit.body).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    assert_eq!(visit.header("webhook-signature"), signed.join(" "));
    let age = chrono::Utc::now().timestamp() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age), "{time}");
    assert_eq!(visit.header("content-type"), "application/json");
    serde_json::from_str(&visit.body).unwrap()
}

pub(crate) async fn webhook_is_called_and_signed(store: Store) {
    let (site, web) = (site(store).await, StubWeb::new());
    web.put(HOOK, Page::status(204, ""));
    let up = site.up().await;

    let path = ask(&site, &web, "?").await;

    let record = site.succeeded(&path).await;
    let told = verified(&calls(&web, 1).await[0]);
    assert_eq!((&told["type"], &told["data"]), (&json!("execution.completed"), &record));
    assert_eq!(told["timestamp"], record["finished_at"]);
    until_told(&site, "sent", 1).await;
    assert_eq!(web.visits().len(), 1);
    let metrics = site.http.get("/metrics").await.unwrap().body;
    assert!(metrics.contains("dspyx_outbox_sent{channel=\"webhook\"} 1"), "{metrics}");
    let (_, shown) = site.run(&["config"]).await;
    assert!(!shown.contains("whsec_") && shown.contains("WEBHOOK_SECRET"), "{shown}");
    site.check(up).await;
}

pub(crate) async fn webhook_is_called_until_it_is_taken(store: Store) {
    let (site, web) = (site(store).await, StubWeb::new());
    web.put(HOOK, Page::elsewhere(&web.url()));
    let up = site.up().await;
    let path = ask(&site, &web, "?").await;
    site.succeeded(&path).await;

    let first = calls(&web, 1).await.remove(0);
    web.put(HOOK, Page::new("thanks"));
    let second = calls(&web, 2).await.remove(1);

    assert_eq!(verified(&first), verified(&second));
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    until_told(&site, "sent", 1).await;
    assert_eq!(web.paths(), [HOOK, HOOK], "redirects are not followed");
    site.check(up).await;
}

pub(crate) async fn webhook_that_is_gone_is_not_called_again(store: Store) {
    let (site, web) = (site(store).await, StubWeb::new());
    web.put(HOOK, Page::status(410, ""));
    let up = site.up().await;

    ask(&site, &web, "?").await;

    until_told(&site, "dropped", 1).await;
    assert_eq!(web.visits().len(), 1);
    site.check(up).await;
}

pub(crate) async fn webhook_is_called_when_a_batch_has_ended(store: Store) {
    let (site, web) = (site(store).await, StubWeb::new());
    web.put(HOOK, Page::new(""));
    let up = site.up().await;
    let inputs = [json!({ "question": "1" }), json!({ "question": "2" }), json!({})];
    let url = format!("{}{HOOK}", web.url());
    let body = json!({ "program_id": "qa", "inputs_list": inputs, "webhook": url });

    let accepted = site.http.post("/execute/batch", &body).await.unwrap().json();

    let told = verified(&calls(&web, 1).await[0]);
    assert_eq!(told["type"], "batch.completed");
    assert_eq!(told["data"]["batch_id"], accepted["batch_id"]);
    let counts = &told["data"]["counts"];
    assert_eq!((&counts["succeeded"], &counts["failed"]), (&json!(2), &json!(1)));
    until_told(&site, "sent", 1).await;
    assert_eq!(web.visits().len(), 1, "items are not told");
    site.check(up).await;
}

pub(crate) async fn webhook_of_a_killed_runner_is_called_by_its_heir(store: Store) {
    let (site, web) = (site(store).await.with("WEBHOOK_TIMEOUT", "5s"), StubWeb::new());
    web.put(HOOK, Page::silence());
    let mut up = site.up().await;
    let path = ask(&site, &web, "?").await;
    site.succeeded(&path).await;
    let first = calls(&web, 1).await.remove(0);

    web.put(HOOK, Page::new(""));
    up.crash_runner(&site).await;

    let second = calls(&web, 2).await.remove(1);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(verified(&second)["data"]["status"], "succeeded");
    until_told(&site, "sent", 1).await;
    site.check(up).await;
}
