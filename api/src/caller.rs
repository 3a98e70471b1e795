//! Who calls, and what they may do.

use std::time::Instant;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};
use queue::{Batch, Execution};

use crate::{
    App,
    error::{Error, Result},
    token::{Claims, Scope},
};

/// Who calls: known by a good token with the scope that the path needs.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) subject: String,
    admin: bool,
}

impl Caller {
    /// Whose work to list: nobody's in particular for an admin.
    pub(crate) fn only(&self) -> Option<&str> {
        (!self.admin).then_some(self.subject.as_str())
    }

    /// The execution if the caller may know of it; else as if it were not there.
    pub(crate) fn sees(&self, execution: Execution) -> queue::Result<Execution> {
        let own = self.admin || execution.spec.owner == self.subject;
        own.then_some(execution).ok_or(queue::Error::NotFound("execution"))
    }

    /// The batch if the caller may know of it; else as if it were not there.
    pub(crate) fn sees_batch(&self, batch: Batch) -> queue::Result<Batch> {
        let own = self.admin || batch.spec.owner == self.subject;
        own.then_some(batch).ok_or(queue::Error::NotFound("batch"))
    }
}

/// Lets a request through if its token is good for the scope.
pub(crate) async fn require(
    State((app, scope)): State<(App, Scope)>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let claims = app.local.tokens.read(bearer(request.headers())?).map_err(Error::Token)?;
    if app.local.revoked.contains(&claims.id, &*app.queue).await? {
        return Err(Error::Revoked);
    }
    let caller = allow(claims, scope)?;
    if let Some(rate) = &app.local.rate {
        rate.take(&caller.subject, Instant::now()).map_err(Error::Rate)?;
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = header.and_then(|it| it.split_once(' ')).ok_or(Error::NoToken)?;
    let token = scheme.eq_ignore_ascii_case("bearer").then_some(token.trim());
    token.filter(|it| !it.is_empty()).ok_or(Error::NoToken)
}

fn allow(claims: Claims, scope: Scope) -> Result<Caller> {
    let admin = claims.scopes.contains(&Scope::Admin);
    let allowed = admin || claims.scopes.contains(&scope);
    allowed.then_some(Caller { subject: claims.subject, admin }).ok_or(Error::Scope(scope))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    /// The caller that [`require`] let through; on a path without it, nobody has a token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.remove::<Caller>().ok_or(Error::NoToken)
    }
}
