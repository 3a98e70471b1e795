//! What tests need from the outside world: Redis in all its forms, a language model, an MLflow, an
//! S3, a web server, a network that fails, a collector of traces, an HTTP client, a Python with the
//! real DSPy, and the program itself as a process.
//!
//! It knows none of our crates, so every one of them can use it. All that it starts is gone when
//! the value is dropped, and when the test dies without dropping anything.

mod background;
mod collector;
mod event_stream;
mod http;
mod lm_answer;
mod lm_stream;
mod mcp_server;
mod mlflow_server;
mod process;
mod provider_batch;
mod proxy;
mod python;
mod redis_cluster;
mod redis_sentinel;
mod redis_server;
mod request;
mod s3_server;
mod server_child;
mod small_disk;
mod stub_lm;
mod stub_provider;
mod stub_web;
mod wait;

pub use collector::{Collector, Span};
pub use event_stream::{EventStream, ServerEvent};
pub use http::{Answer, Http};
pub use lm_stream::Midway;
pub use mcp_server::McpServer;
pub use mlflow_server::{Artifacts, MLFLOW_PASSWORD, MLFLOW_USER, MlflowServer};
pub use process::Process;
pub use provider_batch::Course;
pub use proxy::{Network, Proxy};
pub use python::{deno_dir, python};
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
pub use redis_server::RedisServer;
pub use s3_server::S3Server;
pub use small_disk::SmallDisk;
pub use stub_lm::{Call, Reply, StubLm};
pub use stub_provider::{Mishap, StubProvider};
pub use stub_web::{Page, StubWeb, Visit};
pub use wait::{free_port, until, until_true};
