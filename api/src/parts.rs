//! Uploads of batches: whole in one request, or part by part, each of which may be sent again.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use queue::{BatchId, Part, Release, Seal};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App, PREFIX,
    accept::{self, Plan},
    answer::{Ended, Misread, NotThere},
    batch::BatchView,
    body::{self, Id, Query, media_type},
    bounds,
    caller::Caller,
    decoding::Coding,
    error::{Error, Result},
    execute::{accepted_batch, location, mark},
    item::Items,
    prefer::Key,
    request::UploadQuery,
    telemetry::Cause,
    upload::{Discard, Filling, Sink, Upload},
};

/// How many bytes the body of a request may have that has hardly one.
const SMALL_BODY_BYTES: usize = 64 * 1024;

/// How an upload stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct UploadView {
    batch_id: String,
    #[schema(example = "uploading")]
    status: &'static str,
    /// How many items have come: the index of the first of the next part.
    received: u64,
    links: UploadLinks,
}

/// Where to go on.
#[derive(Serialize, ToSchema)]
pub(crate) struct UploadLinks {
    #[serde(rename = "self")]
    batch: String,
    /// Where parts are sent to, with `?first=` and the index of their first item.
    items: String,
    seal: String,
}

impl UploadView {
    fn new(id: BatchId, received: u64) -> Self {
        let batch = format!("{PREFIX}/batch/{id}");
        let (items, seal) = (format!("{batch}/items"), format!("{batch}/seal"));
        let links = UploadLinks { batch, items, seal };
        Self { batch_id: id.to_string(), status: "uploading", received, links }
    }
}

/// Where a part belongs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartQuery {
    /// The index of its first item, which is how many items came before.
    first: u32,
}

/// What must be so for an upload to be ended.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealRequest {
    /// How many items there are in all.
    total: Option<u64>,
}

/// Takes a whole batch from one request. Nobody sees it before it is whole.
pub(crate) async fn whole(
    app: &App,
    caller: &Caller,
    key: Key,
    cause: Cause,
    request: Request,
) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    let Query(query) = Query::<UploadQuery>::from_request_parts(&mut head, &()).await?;
    let coding = Coding::of(&head.headers)?;
    let (mut new, plan) = empty_batch(app, caller, query).await?;
    new.spec.trace = cause.0;
    let (id, mode, program_id) = (new.id, new.spec.mode, new.spec.program.clone());
    let _permit = app.upload_permit().await?;
    app.queue.open_batch(new, Release::Whole).await?;
    let discard = Discard::unless_kept(&app.queue, id);
    let upload = Upload {
        body,
        coding,
        items: Arc::new(Items::new(plan, app.config.line_bytes_max, String::new())),
        hashed: key.is_given(),
        bytes_max: None,
        items_max: app.config.batch_items_max as u64,
    };
    let mut filling = Filling::of(&app.queue, id, &upload.items);
    let sealed = async {
        let hash = app.read_upload(upload, Sink::Batch(&mut filling)).await?;
        bounds::not_empty(u64::from(filling.total))?;
        let path = format!("/execute/batch?{}", head.uri.query().unwrap_or_default());
        let idempotency = key.of(&path, &hash.unwrap_or_default());
        let seal = Seal { total: Some(u64::from(filling.total)), idempotency };
        Ok(app.queue.seal_batch(id, seal).await?)
    };
    match sealed.await {
        Ok(submitted) => {
            discard.keep();
            let (total, invalid) = (filling.total as usize, filling.invalid);
            Ok(accepted_batch(submitted, program_id, mode, total, invalid))
        }
        Err(error) => {
            discard.now().await;
            Err(error)
        }
    }
}

async fn empty_batch(
    app: &App,
    caller: &Caller,
    query: UploadQuery,
) -> Result<(queue::NewBatch, Plan)> {
    let program = app.program(&query.program_id).await?;
    let (policy, options) = query.split();
    accept::empty_batch(policy, options, &program, &caller.subject, &app.config)
}

/// Open a batch whose items come in parts.
///
/// Send the items to `PUT /batch/{id}/items` in parts, then `POST /batch/{id}/seal`. Items run as
/// soon as their part is in. A batch that nobody adds to for a day is called off.
#[utoipa::path(
    post, path = "/batch", tag = "Submission",
    params(
        UploadQuery,
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request: repeated within 24 h, it opens one batch"),
    ),
    responses(
        (status = 201, description = "It is open", body = UploadView,
            headers(("Location" = String))),
        Misread, NotThere,
    )
)]
pub(crate) async fn open(
    State(app): State<App>,
    caller: Caller,
    key: Key,
    cause: Cause,
    request: Request,
) -> Result<Response> {
    let (mut head, _) = request.into_parts();
    let Query(query) = Query::<UploadQuery>::from_request_parts(&mut head, &()).await?;
    let (mut new, _) = empty_batch(&app, &caller, query).await?;
    new.spec.trace = cause.0;
    new.idempotency = key.of("/batch", head.uri.query().unwrap_or_default().as_bytes());
    let submitted = app.queue.open_batch(new, Release::PartByPart).await?;
    let received = app.queue.batch(submitted.id).await?.total;
    let view = axum::Json(UploadView::new(submitted.id, received));
    let location = location("batch", &submitted.id.to_string());
    let response = (StatusCode::CREATED, location, view).into_response();
    Ok(mark(response, submitted.replayed, None))
}

/// Add a part to an open batch: all of it, or nothing.
///
/// The body is lines of JSON as in `POST /execute/batch`. A part that was sent before changes
/// nothing. One that does not begin where the last ended is refused with 409, which tells where.
#[utoipa::path(
    put, path = "/batch/{id}/items", tag = "Submission",
    request_body(content_type = "application/x-ndjson", content = String),
    params(
        ("id" = String, Path), PartQuery,
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
        ("Content-Digest" = Option<String>, Header,
            description = "`sha-256=:BASE64:` of the body as sent: another is refused"),
    ),
    responses(
        (status = 200, description = "It is in", body = UploadView), Misread, NotThere, Ended,
    )
)]
pub(crate) async fn add(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
    Query(PartQuery { first }): Query<PartQuery>,
    request: Request,
) -> Result<axum::Json<UploadView>> {
    if !body::is_lines(media_type(request.headers())) {
        return Err(Error::ContentType("application/x-ndjson"));
    }
    let coding = Coding::of(request.headers())?;
    let batch = app.own_batch(&caller, id).await?;
    let program = app.program_of(&batch.spec).await?;
    let plan = Plan::of_batch(batch, program, Arc::clone(&app.config));
    let place = format!(" of the part that begins with item {first}");
    let items = Arc::new(Items::new(plan, app.config.line_bytes_max, place));
    let room = (app.config.batch_items_max as u64).saturating_sub(u64::from(first));
    let upload = Upload {
        body: request.into_body(),
        coding,
        items: Arc::clone(&items),
        hashed: true,
        bytes_max: Some(app.config.body_bytes_max),
        items_max: room,
    };
    let _permit = app.upload_permit().await?;
    let mut all = Vec::new();
    let hash = app.read_upload(upload, Sink::Memory(&mut all)).await?;
    let mut names = None;
    if all.iter().any(|(_, item)| item.custom_id.is_some()) {
        names = Some(app.custom_ids(id).await?);
    }
    let items = items.name_once(names.get_or_insert_default(), first, all);
    let digest = format!("{:x}", hash.unwrap_or_default());
    let received = app.queue.add_part(id, Part { first, items, digest }).await?;
    if let Some(names) = names {
        app.local.uploads.remember(id, names);
    }
    Ok(axum::Json(UploadView::new(id, received)))
}

/// End the upload of a batch: no more items come. Repeating it is no error.
#[utoipa::path(
    post, path = "/batch/{id}/seal", tag = "Submission",
    request_body = Option<SealRequest>, params(("id" = String, Path)),
    responses(
        (status = 202, description = "It is whole", body = BatchView), Misread, NotThere, Ended,
    )
)]
pub(crate) async fn seal(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
    request: Request,
) -> Result<Response> {
    let bytes = body::read(request, &app.config, SMALL_BODY_BYTES).await?;
    let asked = if bytes.is_empty() { SealRequest::default() } else { body::parse(&bytes)? };
    let batch = app.own_batch(&caller, id).await?;
    bounds::not_empty(batch.total)?;
    app.queue.seal_batch(id, Seal { total: asked.total, idempotency: None }).await?;
    app.local.uploads.forget(id);
    let view = BatchView::from(app.queue.batch(id).await?);
    Ok((StatusCode::ACCEPTED, axum::Json(view)).into_response())
}

/// Hand nothing more of a batch out until it is resumed. What runs goes on.
#[utoipa::path(
    post, path = "/batch/{id}/pause", tag = "Batches", params(("id" = String, Path)),
    responses((status = 200, description = "It is paused", body = BatchView), NotThere)
)]
pub(crate) async fn pause(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
) -> Result<axum::Json<BatchView>> {
    app.own_batch(&caller, id).await?;
    app.queue.pause_batch(id).await?;
    Ok(axum::Json(app.queue.batch(id).await?.into()))
}

/// Hand a batch out again.
#[utoipa::path(
    post, path = "/batch/{id}/resume", tag = "Batches", params(("id" = String, Path)),
    responses((status = 200, description = "It goes on", body = BatchView), NotThere)
)]
pub(crate) async fn resume(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
) -> Result<axum::Json<BatchView>> {
    app.own_batch(&caller, id).await?;
    app.queue.resume_batch(id).await?;
    Ok(axum::Json(app.queue.batch(id).await?.into()))
}

/// What a batch may spend from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetRequest {
    /// Dollars that all its items together may spend on models; no bound if null.
    #[schema(minimum = 0, maximum = 1_000_000)]
    budget: Option<f64>,
}

/// Change what a batch may spend, so that items that were refused for it can be run again.
#[utoipa::path(
    post, path = "/batch/{id}/budget", tag = "Batches",
    request_body = BudgetRequest, params(("id" = String, Path)),
    responses((status = 200, description = "It is changed", body = BatchView), Misread, NotThere)
)]
pub(crate) async fn budget(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
    body::Json { value: BudgetRequest { budget }, .. }: body::Json<BudgetRequest>,
) -> Result<axum::Json<BatchView>> {
    bounds::budget(budget)?;
    app.own_batch(&caller, id).await?;
    app.queue.set_batch_budget(id, budget.map(queue::micros)).await?;
    Ok(axum::Json(app.queue.batch(id).await?.into()))
}
