use bullmq::options::RedisConnectionOptions;
use bullmq::worker::CancellationToken;
use bullmq::{
    BulkJob, Job, Queue, QueueEvent, QueueEvents, QueueEventsOptions, QueueOptions, Worker,
    WorkerOptions,
};
use std::{
    env,
    io::Write,
    sync::{Mutex, OnceLock},
    time::*,
};
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
static F: OnceLock<Mutex<std::fs::File>> = OnceLock::new();
#[tokio::main]
async fn main() {
    let port = env::var("QPORT").unwrap();
    let n: u64 = env::var("QN").unwrap().parse().unwrap();
    let pay = "x".repeat(100);
    let connection = RedisConnectionOptions {
        url: format!("redis://127.0.0.1:{port}"),
        max_connections: 8,
        ..Default::default()
    };
    match env::args().nth(1).unwrap().as_str() {
        "enq" => {
            let q = Queue::with_options("q", QueueOptions { connection, ..Default::default() })
                .await
                .unwrap();
            let t = Instant::now();
            let mut k = 0;
            while k < n {
                let m = (k + 1000).min(n);
                q.add_bulk(
                    (k..m)
                        .map(|i| {
                            BulkJob::new("noop", serde_json::json!({"i":i,"enq":0.0,"payload":pay}))
                        })
                        .collect(),
                )
                .await
                .unwrap();
                k = m;
            }
            let a = t.elapsed().as_secs_f64();
            let t = Instant::now();
            for i in 0..500 {
                q.add("noop", serde_json::json!({"i":i,"enq":0.0,"payload":pay})).await.unwrap();
            }
            println!(
                "{}",
                serde_json::json!({"enqueue_s":a,"enqueue1_s":t.elapsed().as_secs_f64(),"n1":500})
            );
        }
        "work" => {
            let f = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(format!("{}/{}.ts", env::var("QDIR").unwrap(), std::process::id()))
                .unwrap();
            F.set(Mutex::new(f)).unwrap();
            let c: usize = env::var("QCONC").ok().and_then(|x| x.parse().ok()).unwrap_or(50);
            let _w = Worker::with_options(
                "q",
                |job: Job, _t: CancellationToken| async move {
                    let e = job.data()["enq"].as_f64().unwrap_or(0.0);
                    let mut b = [0u8; 16];
                    b[..8].copy_from_slice(&e.to_le_bytes());
                    b[8..].copy_from_slice(&now().to_le_bytes());
                    F.get().unwrap().lock().unwrap().write_all(&b).unwrap();
                    if job.name() == "hang" {
                        tokio::time::sleep(Duration::from_secs(5000)).await;
                    }
                    Ok(serde_json::json!({"ok":true}))
                },
                WorkerOptions { connection, concurrency: c, autorun: true, ..Default::default() },
            )
            .await
            .unwrap();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .unwrap()
                .recv()
                .await;
        }
        "crash" => {
            let q = Queue::with_options("q", QueueOptions { connection, ..Default::default() })
                .await
                .unwrap();
            q.add("hang", serde_json::json!({"enq":now()})).await.unwrap();
            println!("{{}}");
        }
        _ => {
            let q = Queue::with_options(
                "q",
                QueueOptions { connection: connection.clone(), ..Default::default() },
            )
            .await
            .unwrap();
            let ev = QueueEvents::with_options(
                "q",
                QueueEventsOptions { connection, ..Default::default() },
            )
            .await
            .unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut rt = vec![];
            let end = now() + env::var("QLATS").unwrap().parse::<f64>().unwrap();
            for i in 0..env::var("QLATN").unwrap().parse::<u64>().unwrap() {
                if now() > end {
                    break;
                }
                let t = now();
                let j =
                    q.add("noop", serde_json::json!({"i":i,"enq":t,"payload":pay})).await.unwrap();
                let id = j.id().to_string();
                loop {
                    match tokio::time::timeout(Duration::from_secs(5), ev.next_event()).await {
                        Ok(Some(e)) => {
                            if let QueueEvent::Completed { job_id, .. } = e.event {
                                if job_id == id {
                                    break;
                                }
                            }
                        }
                        _ => break,
                    }
                }
                rt.push((now() - t) * 1e3);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            println!("{}", serde_json::json!({"rt":rt}));
        }
    }
}
