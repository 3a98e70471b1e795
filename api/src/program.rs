//! The programs that can be asked for.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use programs::{Manifest, Program, Registry};
use queue::WorkerInfo;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    App,
    answer::{Ended, Misread, NotThere},
    body::{self, Name},
    error::{Error, Result},
    execute::location,
    schema,
};

/// A program, and who can run it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProgramView {
    /// The id by which requests name it.
    #[schema(example = "email-assistant")]
    program_id: String,
    name: String,
    #[schema(example = "1.0.0")]
    version: String,
    description: String,
    /// `native` or `python`.
    runtime: String,
    /// What runs: `predict`, `react`, `chain`; absent where Python decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    /// Its signatures: name, instructions, module, inputs and outputs.
    #[schema(value_type = Vec<Object>)]
    signatures: Value,
    /// The JSON Schema of its inputs.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// The JSON Schema of its outputs.
    #[schema(value_type = Object)]
    output_schema: Value,
    /// What can be asked for instead, by name: `name#signature`.
    choices: Vec<String>,
    /// The tools that its agents may call.
    tools: Vec<String>,
    /// The saved states in it, with the versions of the packages that saved them.
    #[schema(value_type = Vec<Object>)]
    saved: Value,
    /// Where its code is, if that is elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mlflow:models:/email-assistant@champion")]
    source: Option<String>,
    /// What exactly workers run of it: a version, a commit; absent until one has fetched it.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// Why workers cannot load it; absent if they can, or have not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// How many live workers can run it.
    workers: usize,
}

/// All programs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Programs {
    programs: Vec<ProgramView>,
    /// Program files that cannot be loaded, and why.
    problems: Vec<String>,
}

impl ProgramView {
    fn new(program: &Program, workers: &[WorkerInfo]) -> Self {
        let pinned = program.pinned();
        let can = |it: &&WorkerInfo| it.programs.contains(&pinned);
        let workers = workers.iter().filter(can).count();
        let it: Manifest = program.manifest();
        Self {
            program_id: it.program_id,
            name: it.name,
            version: it.version,
            description: it.description,
            runtime: it.runtime,
            signatures: serde_json::to_value(it.signatures).unwrap_or_default(),
            input_schema: it.input_schema,
            output_schema: it.output_schema,
            module: it.module,
            choices: it.choices,
            tools: it.tools,
            saved: serde_json::to_value(it.saved).unwrap_or_default(),
            source: it.source,
            revision: it.revision,
            problem: it.problem,
            workers,
        }
    }
}

/// What can be run: every program and version.
#[utoipa::path(
    get, path = "/programs", tag = "Programs",
    responses((status = 200, description = "The programs", body = Programs))
)]
pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Programs>> {
    app.catch_up().await?;
    let workers = app.queue.stats(&queue::StatsFilter::default()).await?.workers;
    let all = app.registry.list();
    let programs = all.iter().map(|it| ProgramView::new(it, &workers)).collect();
    // The folder is the operator's business.
    let named = |it: programs::LoadError| {
        let name = std::path::Path::new(&it.origin).file_name();
        let origin = name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        programs::LoadError { origin, ..it }.to_string()
    };
    let problems = app.registry.problems().into_iter().map(named).collect();
    Ok(axum::Json(Programs { programs, problems }))
}

/// One program: `name`, whose newest version is meant, or `name@version`.
#[utoipa::path(
    get, path = "/programs/{id}", tag = "Programs", params(("id" = String, Path)),
    responses((status = 200, description = "The program", body = ProgramView), NotThere)
)]
pub(crate) async fn show(
    State(app): State<App>,
    Name(id): Name,
) -> Result<axum::Json<ProgramView>> {
    let program = app.program(&id).await?;
    let workers = app.queue.stats(&queue::StatsFilter::default()).await?.workers;
    Ok(axum::Json(ProgramView::new(&program, &workers)))
}

/// Register a program, or replace the one registered so: the text of a program file.
#[utoipa::path(
    put, path = "/programs/{id}", tag = "Programs", params(("id" = String, Path)),
    request_body(content(
        (String = "application/yaml"), (schema::AnyObject = "application/json"),
    ), description = "The program file"),
    responses(
        (status = 200, description = "It was replaced", body = ProgramView),
        (status = 201, description = "It was registered", body = ProgramView),
        Misread,
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    Name(id): Name,
    request: Request,
) -> Result<Response> {
    let text = text(&app, request).await?;
    let program = check(&id, &text, app.config.allow_mcp_commands)?;
    let known = app.registry.get(&id).is_ok();
    app.queue.put_program(&id, &text).await?;
    app.catch_up().await?;
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    let view = ProgramView::new(&program, &[]);
    Ok((status, location("programs", &id), axum::Json(view)).into_response())
}

/// The text of a program file, sent as YAML or JSON.
async fn text(app: &App, request: Request) -> Result<String> {
    const YAML: [&str; 4] = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"];
    let media_type = body::media_type(request.headers());
    if !YAML.iter().any(|it| it.eq_ignore_ascii_case(media_type)) && !body::is_json(media_type) {
        return Err(Error::ContentType("application/yaml"));
    }
    let bytes = body::read(request, &app.config, app.config.program_bytes_max).await?;
    let text = String::from_utf8(bytes.into());
    text.map_err(|_| Error::Malformed("a program file is UTF-8".to_owned()))
}

/// The program of a text that is to be registered under an id.
fn check(id: &str, text: &str, allow_mcp_commands: bool) -> Result<Program> {
    let (name, version) = id.split_once('@').map_or((id, None), |(name, it)| (name, Some(it)));
    let program = Registry::parse(text, name)?;
    if let Some(tool) = program.command_tool().filter(|_| !allow_mcp_commands) {
        return Err(Error::Invalid(
            format!(
                "tools.{tool} starts a process, which a program registered over HTTP may not: put \
                 the file into PROGRAMS_DIR, or set ALLOW_MCP_COMMANDS"
            ),
            Vec::new(),
        ));
    }
    if program.file_id() == name && version.is_none_or(|it| it == program.version) {
        return Ok(program);
    }
    let pinned = program.pinned();
    Err(Error::Invalid(format!("the file is of `{pinned}`, and the path says `{id}`"), Vec::new()))
}

/// Remove a registered program. Its executions keep their records.
#[utoipa::path(
    delete, path = "/programs/{id}", tag = "Programs", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone"), NotThere, Ended)
)]
pub(crate) async fn remove(State(app): State<App>, Name(id): Name) -> Result<StatusCode> {
    if app.queue.remove_program(&id).await? {
        app.catch_up().await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    // Known all the same: then it comes from a file, which is the operator's to remove.
    app.program(&id).await?;
    Err(Error::Conflict(format!("`{id}` is a file of the server, and was not registered here")))
}
