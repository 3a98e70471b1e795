//! `dspyx doctor`: what is wrong, and what to do about it.

mod python;

use std::path::Path;

use anyhow::{Result, bail};
use queue::{Queue, StatsFilter};
use serde_json::json;

use crate::{
    cli::Doctor,
    config::Config,
    output::{self, BAD, GOOD, WARN, paint},
    wire,
};

/// How grave a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Grade {
    /// As it should be.
    Good,
    /// Works, and is worth a look.
    Warning,
    /// Does not work.
    Bad,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Grade::Good => "ok",
            Grade::Warning => "warning",
            Grade::Bad => "wrong",
        }
    }

    fn painted(self) -> String {
        let style = match self {
            Grade::Good => GOOD,
            Grade::Warning => WARN,
            Grade::Bad => BAD,
        };
        paint(style, format!("{:7}", self.word()))
    }
}

/// What was looked at, and what was found.
struct Finding {
    grade: Grade,
    about: &'static str,
    text: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, grade: Grade, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { grade, about, text: text.into() });
    }
}

pub(super) async fn run(config: &Config, arguments: &Doctor, json: bool) -> Result<()> {
    let mut findings = Findings::default();
    if arguments.worker {
        let queue = wire::queue_to_read(config).await?;
        own_worker(queue.as_ref(), &mut findings).await?;
    } else {
        settings(config, &mut findings);
        programs(config, &mut findings);
        models(config, &mut findings);
        python::look(config, &mut findings).await;
        if config.redis_url.is_none() && !config.database_path.exists() {
            let path = config.database_path.display();
            let text = format!("{path} is not there yet; `dspyx serve` makes it");
            findings.add(Grade::Good, "store", text);
        } else {
            match wire::queue_to_read(config).await {
                Ok(queue) => store(queue.as_ref(), &mut findings).await,
                Err(error) => findings.add(Grade::Bad, "store", format!("{error:#}")),
            }
        }
    }
    show(&findings.0, json)?;
    match findings.0.iter().filter(|it| it.grade == Grade::Bad).count() {
        0 => Ok(()),
        1 => bail!("one thing is wrong"),
        many => bail!("{many} things are wrong"),
    }
}

fn show(findings: &[Finding], json: bool) -> Result<()> {
    if json {
        let list = findings
            .iter()
            .map(|it| json!({"grade": it.grade.word(), "about": it.about, "finding": it.text}));
        return output::value(&list.collect());
    }
    let line =
        |it: &Finding| output::line(format!("{} {:8} {}", it.grade.painted(), it.about, it.text));
    findings.iter().try_for_each(line)
}

fn settings(config: &Config, to: &mut Findings) {
    match (&config.secret_key, config.api_host.is_loopback()) {
        (Some(_), _) => to.add(Grade::Good, "key", "SECRET_KEY is set"),
        (None, true) => to.add(
            Grade::Good,
            "key",
            "SECRET_KEY is not set: a server makes its own, and listens to this machine only",
        ),
        (None, false) => to.add(
            Grade::Bad,
            "key",
            format!(
                "API_HOST is {} and SECRET_KEY is not set: set it (`openssl rand -hex 32`)",
                config.api_host
            ),
        ),
    }
}

fn programs(config: &Config, to: &mut Findings) {
    let registry = wire::registry(config);
    let (count, folder) = (registry.list().len(), config.programs_dir.display());
    for problem in registry.problems() {
        to.add(Grade::Bad, "programs", problem.to_string());
    }
    if count == 0 && registry.problems().is_empty() {
        let hint = "put program files there, or set PROGRAMS_DIR";
        to.add(Grade::Warning, "programs", format!("none in {folder}; {hint}"));
    } else if count > 0 {
        to.add(Grade::Good, "programs", format!("{count} in {folder}"));
    }
}

fn models(config: &Config, to: &mut Findings) {
    let Some(model) = &config.gateway.model else {
        return to.add(
            Grade::Good,
            "model",
            "LM_MODEL is not set: every program must name its own model",
        );
    };
    let has_key = config.lm_api_key.is_some() || model.starts_with("dummy/");
    let text = match &config.gateway.api_base {
        Some(base) => format!("{model} at {base}"),
        None => model.clone(),
    };
    if has_key || config.gateway.api_base.is_some() {
        to.add(Grade::Good, "model", text);
    } else {
        let hint = "its key must be in the environment, e.g. OPENAI_API_KEY, or in LM_API_KEY";
        to.add(Grade::Warning, "model", format!("{text}: {hint}"));
    }
}

async fn store(queue: &dyn Queue, to: &mut Findings) {
    match queue.ping().await {
        Ok(name) => to.add(Grade::Good, "store", name),
        Err(error) => return to.add(Grade::Bad, "store", error.to_string()),
    }
    match queue.warnings().await {
        Ok(warnings) => {
            for warning in warnings {
                to.add(Grade::Warning, "store", warning);
            }
        }
        Err(error) => to.add(Grade::Bad, "store", error.to_string()),
    }
    match queue.violations().await {
        Ok(broken) if broken.is_empty() => {
            to.add(Grade::Good, "store", "every invariant is kept");
        }
        Ok(broken) => broken.into_iter().for_each(|it| to.add(Grade::Bad, "store", it)),
        Err(error) => to.add(Grade::Bad, "store", error.to_string()),
    }
    match queue.stats(&StatsFilter::default()).await {
        Ok(stats) if stats.workers.is_empty() => {
            to.add(Grade::Warning, "workers", "none is alive: start `dspyx worker` or `serve`");
        }
        Ok(stats) => {
            let slots: usize = stats.workers.iter().map(|it| it.slots).sum();
            let text = format!("{} alive, with {slots} slots", stats.workers.len());
            to.add(Grade::Good, "workers", text);
        }
        Err(error) => to.add(Grade::Bad, "workers", error.to_string()),
    }
}

/// Whether a worker of this machine is alive, for the store's clock.
async fn own_worker(queue: &dyn Queue, to: &mut Findings) -> Result<()> {
    let host = std::fs::read_to_string(Path::new(HOSTNAME)).unwrap_or_default();
    let host = host.trim();
    let stats = queue.stats(&StatsFilter::default()).await?;
    let own = stats.workers.iter().find(|it| it.host == host);
    match own {
        Some(worker) => to.add(Grade::Good, "worker", worker.id.to_string()),
        None => to.add(Grade::Bad, "worker", format!("no worker of {host} is alive")),
    }
    Ok(())
}

/// Where Linux tells the machine's name.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
