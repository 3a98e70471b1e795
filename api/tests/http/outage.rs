//! What is answered while the store is gone.

use std::time::Duration;

use serde_json::json;
use testkit::{RedisServer, until_true};

use crate::site::{Site, mail};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn lost_store_is_told_and_its_return_is_seen() {
    let mut redis = RedisServer::with_aof();
    let site = Site::on_redis(redis.url()).await;
    let id = site.submit().await;

    redis.kill();

    for (method, path) in [("GET", format!("/execution/{id}")), ("GET", "/stats".to_owned())] {
        let reply = site.call(method, &path).send().await;
        let problem = reply.problem(503, "unavailable");
        assert_eq!(reply.header("retry-after"), "1");
        assert!(!problem.to_string().contains(&redis.port().to_string()), "{problem}");
    }
    site.post("/execute", mail()).await.problem(503, "unavailable");
    let health = site.call("GET", "/health").token(None).send().await;
    assert_eq!(
        (health.status, health.json()),
        (503, json!({"status": "unhealthy", "failing": "store"}))
    );
    assert_eq!(site.call("GET", "/health/ready").token(None).send().await.status, 503);
    assert_eq!(site.call("GET", "/health/live").token(None).send().await.status, 200);

    redis.start_again();

    until_true("the execution is there again", SOON, async || {
        site.get(&format!("/execution/{id}")).await.status == 200
    })
    .await;
    until_true("the service is ready again", SOON, async || {
        site.call("GET", "/health/ready").token(None).send().await.status == 200
    })
    .await;
}
