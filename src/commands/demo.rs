//! `dspyx demo`: the main job, end to end, with nothing but this binary.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{
    batch, execute,
    service::{Base, Front},
    stats, view,
};
use crate::{
    cli::Demo,
    client::Client,
    config::{Config, Secret},
    output::{self, BOLD, DIM, HEAD, paint},
    signal::Stop,
    wire,
};

/// The programs that it brings, by file.
const PROGRAMS: [(&str, &str); 5] = [
    ("email-assistant-v1.yaml", include_str!("../../examples/programs/email-assistant-v1.yaml")),
    ("summarizer-v2.yaml", include_str!("../../examples/programs/summarizer-v2.yaml")),
    ("sentiment.yaml", include_str!("../../examples/programs/sentiment.yaml")),
    ("qa.yaml", include_str!("../../examples/programs/qa.yaml")),
    ("echo.yaml", include_str!("../../examples/programs/echo.yaml")),
];
/// How many results of the batch are shown.
const SHOWN: usize = 3;
/// What the items of the batch are about.
const TEXTS: [&str; 4] = [
    "The delivery was two days early and everything worked at once.",
    "It broke on the first day, and nobody answered my letters.",
    "It does what it says. Not more, not less.",
    "I would buy it again, though the manual is hard to read.",
];

pub(super) async fn run(config: Config, arguments: &Demo, json: bool) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let config = in_folder(config, &folder)?;
    let front = Front::open(&config).await?;
    let (address, token) = (front.address, front.token()?);
    let (queue, registry) = (wire::queue(&config).await?, wire::registry(&config));
    let base = Base { config: &config, queue, registry, stop: Stop::new(), traces: None };
    let mut parts = JoinSet::new();
    base.start_both(front, &mut parts)?;
    let client = Client::new(&format!("http://{address}"), Some(Secret::new(&token)))?;

    let story = Story { client, token, json };
    let told = story.tell(arguments.items).await;
    if told.is_ok() && arguments.keep {
        output::note(paint(BOLD, "\nThe server stays up until Ctrl-C."));
        return base.until_stopped(parts).await;
    }
    base.stop.stop.cancel();
    while let Some(ended) = parts.join_next().await {
        ended.context("a part of the demo panicked")??;
    }
    told
}

/// The configuration, with everything that it keeps in a temporary folder.
fn in_folder(config: Config, folder: &TempDir) -> Result<Config> {
    let programs_dir = folder.path().join("programs");
    write_programs(&programs_dir)?;
    Ok(Config {
        api_port: 0,
        redis_url: None,
        secret_key: None,
        database_path: folder.path().join("demo.db"),
        programs_dir,
        ..config
    })
}

fn write_programs(folder: &Path) -> Result<()> {
    fs::create_dir(folder)?;
    for (name, text) in PROGRAMS {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// What is shown, step by step, over real HTTP.
struct Story {
    client: Client,
    token: String,
    json: bool,
}

impl Story {
    async fn tell(&self, items: u32) -> Result<()> {
        let words =
            "dspyx demo: an API, a worker and a store in this process; the model is offline.";
        self.say(&paint(BOLD, words))?;
        self.programs().await?;
        let email = json!({
            "recipient": "john@example.com",
            "subject": "Meeting Follow-up",
            "context": "Discussed Q4 targets",
        });
        self.title("One execution")?;
        self.execute(&json!({"program_id": "email-assistant-v1", "inputs": email})).await?;
        self.title("A dry run checks the inputs, and runs nothing")?;
        let request = json!({"program_id": "email-assistant-v1", "inputs": {}, "mode": "dry_run"});
        let record = self.client.post("/execute", &request).await?;
        view::execution(&record, self.json)?;
        ensure!(record["success"] == false, "a dry run without inputs succeeded");
        self.title("A debug run keeps every step")?;
        self.debug().await?;
        self.title("A batch")?;
        let id = self.batch(items).await?;
        self.title("Statistics")?;
        let stats = self.client.get("/stats").await?;
        if self.json {
            output::value(&stats)?;
        } else {
            output::line(stats::table(&stats))?;
        }
        self.commands(&id)
    }

    fn say(&self, text: &str) -> Result<()> {
        if self.json { Ok(()) } else { output::line(text) }
    }

    fn title(&self, text: &str) -> Result<()> {
        self.say(&format!("\n{}", paint(HEAD, text)))
    }

    async fn programs(&self) -> Result<()> {
        let list = self.client.get("/programs").await?;
        let programs = list["programs"].as_array().map_or(&[][..], Vec::as_slice);
        ensure!(programs.len() == PROGRAMS.len(), "not all programs were loaded: {list}");
        let ids = programs.iter().map(|it| view::text(it, "program_id")).collect::<Vec<_>>();
        self.say(&format!("Programs: {}", ids.join(", ")))
    }

    /// Submits, waits, shows; it must succeed.
    async fn execute(&self, request: &Value) -> Result<Value> {
        let accepted = self.client.post("/execute", request).await?;
        let id = view::text(&accepted, "execution_id");
        let record = execute::follow(&self.client, id, Some(Duration::from_secs(60))).await?;
        view::execution(&record, self.json)?;
        execute::judge(&record)?;
        Ok(record)
    }

    async fn debug(&self) -> Result<()> {
        let request = json!({
            "program_id": "sentiment",
            "inputs": {"text": TEXTS[0]},
            "mode": "debug",
        });
        let record = self.execute(&request).await?;
        let steps = record.pointer("/metadata/debug_trace/steps").and_then(Value::as_array);
        let step = steps.and_then(|it| it.first()).context("a debug run without a trace")?;
        let messages = step.pointer("/request/messages").and_then(Value::as_array);
        let messages = messages.context("a debug run without messages")?.len();
        let reply = output::short(&output::plain(&step["reply"]["text"]), 100);
        self.say(&paint(DIM, format!("  {messages} messages to the model; it replied: {reply}")))
    }

    async fn batch(&self, items: u32) -> Result<String> {
        let texts = (0..items).zip(TEXTS.iter().cycle());
        let inputs: Vec<Value> =
            texts.map(|(n, text)| json!({"text": format!("Letter {n}: {text}")})).collect();
        let request = json!({"program_id": "sentiment", "inputs_list": inputs});
        let accepted = self.client.post("/execute/batch", &request).await?;
        let id = view::text(&accepted, "batch_id").to_owned();
        batch::follow(&self.client, &id, self.json).await?;
        let mut lines = self.client.stream(&format!("/batch/{id}/results")).await?;
        let mut text = Vec::new();
        while let Some(piece) = lines.chunk().await? {
            text.extend_from_slice(&piece);
        }
        for line in String::from_utf8_lossy(&text).lines().take(SHOWN) {
            view::execution(&serde_json::from_str(line)?, self.json)?;
        }
        Ok(id)
    }

    /// The same by hand.
    fn commands(&self, batch: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let base = format!("{}{}", self.client.url(), api::PREFIX);
        self.title("The same by hand, while a server is up (`dspyx demo --keep`, `dspyx serve`)")?;
        output::line(format!(
            "export TOKEN={token}\n\
             curl -X POST {base}/execute -H \"Authorization: Bearer $TOKEN\" \\\n  \
             -H 'Content-Type: application/json' -H 'Prefer: wait=10' \\\n  \
             -d '{body}'\n\
             curl {base}/batch/{batch} -H \"Authorization: Bearer $TOKEN\"\n\
             curl {base}/batch/{batch}/results -H \"Authorization: Bearer $TOKEN\"\n\
             curl {base}/stats -H \"Authorization: Bearer $TOKEN\"",
            token = self.token,
            body = json!({"program_id": "summarizer-v2", "inputs": {"text": "A long text"}}),
        ))
    }
}
